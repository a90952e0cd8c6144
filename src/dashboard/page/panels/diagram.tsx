/**
 * Diagram: the figure of the kernel document "I/O request handling" with live data. It has the
 * Service VM with the HSM and its clients, the shared page with its slots, and the hypervisor with
 * the User VM's vCPUs. Each arrow shows its rate per second.
 */

import type { JSX } from 'preact';
import type { Tables } from '../../protocol.js';
import { shortCount } from '../../view/amounts.js';
import { useApp } from '../parts/app-context.js';
import { strings } from '../settings.js';
import { ClientBoxes } from './client-boxes.js';
import { SlotGrid } from './slot-grid.js';

export function Diagram(): JSX.Element {
  const { live } = useApp();
  const { diagram } = strings();
  const rate = live.tables.value?.perSecond ?? 0;
  return (
    <section class="panel diagram" aria-label={diagram.title}>
      <div class="band service-vm">
        <h2 class="band-title">{diagram.serviceVm}</h2>
        <div class="box hsm">
          <strong>HSM</strong>
          <span class="dim">{diagram.worker}</span>
        </div>
        <div class="links">
          <Arrow to="right" name={diagram.assign} rate={rate} />
          <Arrow to="left" name={diagram.finish} rate={rate} />
        </div>
        <ClientBoxes />
      </div>
      <Arrow to="up" name={diagram.upcall} rate={rate} />
      <div class="page">
        <h2 class="band-title">{diagram.page}</h2>
        <SlotGrid />
      </div>
      <Arrow to="down" name={diagram.hypercall} rate={rate} />
      <HypervisorBand />
    </section>
  );
}

function HypervisorBand(): JSX.Element {
  const { live } = useApp();
  const { diagram } = strings();
  const trapped = perSecond(live.tables.value, live.tablesBefore.value, 'trapped');
  const answered = perSecond(live.tables.value, live.tablesBefore.value, 'answeredByHypervisor');
  return (
    <div class="band hypervisor">
      <h2 class="band-title">
        {diagram.hypervisor}
        <span class="dim"> {live.welcome.value?.vm.hypervisor}</span>
      </h2>
      <div class="box handler">
        <strong>{diagram.ioHandler}</strong>
        <span class="dim">
          {diagram.ownAnswers} <span class="rate">{shortCount(answered)}</span>
          {strings().header.perSecond}
        </span>
      </div>
      <div class="links">
        <Arrow to="left" name={diagram.trap} rate={trapped} />
        <Arrow to="right" name={diagram.resume} rate={trapped} />
      </div>
      <div class="box user-vm">
        <strong>
          {diagram.userVm} <span class="vm-name">{live.welcome.value?.vm.name}</span>
        </strong>
        {live.welcome.value?.vm.hypervisor === SERVED ? (
          <p class="dim">{diagram.contexts}</p>
        ) : (
          <div class={`vcpus${live.vcpus.value > MAX_NAMED ? ' many' : ''}`}>
            {live.slots.slice(0, live.vcpus.value).map((_, vcpu) => (
              <Vcpu key={vcpu} number={vcpu} />
            ))}
          </div>
        )}
      </div>
    </div>
  );
}

/** The hypervisor of a card that another machine monitor has, whose vCPUs upcall does not know. */
const SERVED = 'vfio-user';
/** Of more vCPUs only the numbers fit, in the colour of their states. */
const MAX_NAMED = 4;

function Vcpu({ number }: { readonly number: number }): JSX.Element {
  const { live } = useApp();
  const { diagram } = strings();
  // A vCPU is paused while its slot has a request.
  const isPaused = (live.slots[number]?.value?.state ?? 'FREE') !== 'FREE';
  const state = isPaused ? diagram.vcpuPaused : diagram.vcpuRuns;
  const className = `vcpu${isPaused ? ' paused' : ''}`;
  if (live.vcpus.value > MAX_NAMED) {
    const text = `${diagram.vcpu(number)}: ${state}`;
    return (
      <span class={className} role="img" aria-label={text} title={text}>
        {`${number}`}
      </span>
    );
  }
  return (
    <span class={className}>
      {diagram.vcpu(number)} <span class="dim">{state}</span>
    </span>
  );
}

interface ArrowProps {
  readonly to: 'up' | 'down' | 'left' | 'right';
  readonly name: string;
  /** Per second. */
  readonly rate: number;
}

function Arrow({ to, name, rate }: ArrowProps): JSX.Element {
  return (
    <div class={`arrow arrow-${to}${rate > 0 ? ' busy' : ''}`}>
      <span class="arrow-name">{name}</span>
      <span class="arrow-line" />
      <span class="rate">
        {shortCount(rate)}
        <span class="unit">{strings().header.perSecond}</span>
      </span>
    </div>
  );
}

/** The rate of a total between two `tables` messages, per second. */
function perSecond(
  now: Tables | undefined,
  before: Tables | undefined,
  key: 'trapped' | 'answeredByHypervisor',
): number {
  if (now === undefined || before === undefined || now.timeMs <= before.timeMs) return 0;
  return Math.max(0, ((now[key] - before[key]) * 1000) / (now.timeMs - before.timeMs));
}
