/**
 * UserVmEvent: what a User VM reports to its operator, as plain data. It includes the events of its
 * hypervisor (hypervisor/hypervisor.ts) and of the HSM (hsm/hsm-observer.ts).
 *
 * Emitted by: `UserVm.emit`, to each listener of `UserVm.onEvent`.
 */

import type { HoldPoint } from '../debugging/breakpoint.js';
import type { DeviceCall } from '../device-model/device-client.js';
import type { FaultRecord } from '../fault-injection/fault-trigger.js';
import type { HsmEvent } from '../hsm/hsm-observer.js';
import type { HoldCause } from '../hsm/thread-holder.js';
import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import { messageWithPlace } from '../io-request/author-frame.js';

/** Why a VM has ended. */
export interface VmEnd {
  /**
   * `power-off`: by the guest. `destroyed`: by its operator or by ACRN userspace. `halted`: no vCPU
   * can wake again. `reset-loop`: the guest kept resetting its machine. All but the first two are
   * failures.
   */
  readonly reason: 'power-off' | 'destroyed' | 'halted' | 'triple-fault' | 'crashed' | 'reset-loop';
  readonly message: string;
}

export type UserVmEvent =
  | HypervisorEvent
  | HsmEvent
  /** The guest reset its machine. */
  | { readonly kind: 'reset'; readonly reason: string }
  /**
   * The guest of a VM with ManualLifeCycle (vm/manual-life-cycle.ts: userspace decides each step)
   * asked for power-off, and userspace decides. Any other VM ends with reason `power-off` and does
   * not emit this.
   */
  | { readonly kind: 'power-off'; readonly reason: string }
  /** The guest set its clock, which showed `lastTime` (seconds since 1970), by `delta` seconds. */
  | { readonly kind: 'rtc-changed'; readonly lastTime: number; readonly delta: number }
  /** The hypervisor refused to inject the interrupt (MSI) of an irqfd. */
  | { readonly kind: 'injection-failed'; readonly vmId: number }
  /** A device threw, or its promise rejected: a bug of the device. `during`: in which call. */
  | {
      readonly kind: 'device-error';
      readonly device: string;
      readonly during: DeviceCall;
      readonly message: string;
      readonly stack?: string;
    }
  /** A device's thread ended by itself. Its requests read as all ones, and its range is free. */
  | { readonly kind: 'device-lost'; readonly device: string; readonly reason: string; readonly stack?: string }
  /**
   * The module of a device was loaded anew, and its accesses reach the new one. `ms`: since the
   * file was saved. `note`: why the new one began in its power-on state.
   */
  | {
      readonly kind: 'device-reloaded';
      readonly device: string;
      readonly ms: number;
      readonly isStateCarried: boolean;
      readonly note?: string;
    }
  /** A module cannot replace its device, which runs on. `message`: with the place, if known. */
  | { readonly kind: 'reload-failed'; readonly device: string; readonly message: string; readonly stack?: string }
  /**
   * The guest has placed a base address register of a PCI card where something else is. While it
   * lasts, the card does not answer there.
   */
  | {
      readonly kind: 'bar-conflict';
      readonly device: string;
      /** `00:05.0`. */
      readonly address: string;
      readonly bar: number;
      readonly range: string;
      readonly other: string;
    }
  /** A device reports what the guest did wrong with it, or what it lacks. */
  | { readonly kind: 'device-report'; readonly device: string; readonly message: string }
  /** A rule of the VM's fault plan has acted. */
  | ({ readonly kind: 'fault-injected' } & FaultRecord)
  /**
   * A breakpoint or a step of the live page holds a request, and the page is open in no browser any
   * more (dashboard/abandoned-holds.ts). `more`: how many others are held too. `releaseMs`: the
   * guest continues after that time. Without it, the requests stay held until a page continues
   * them.
   */
  | {
      readonly kind: 'hold-abandoned';
      readonly vcpu: number;
      readonly at: HoldPoint;
      readonly client: string;
      readonly request: string;
      readonly breakpoint?: number;
      readonly more: number;
      readonly releaseMs?: number;
    }
  /** A page is open again: its requests stay held. */
  | { readonly kind: 'hold-resumed' }
  /** No page has opened in time: the breakpoints of pages were removed, and the guest continues. */
  | { readonly kind: 'hold-released'; readonly afterMs: number; readonly breakpoints: number }
  | { readonly kind: 'ended'; readonly end: VmEnd };

const FAILED: Readonly<Record<DeviceCall, string>> = {
  read: 'failed in a read, the guest read all ones',
  write: 'failed in a write',
  'late answer': 'failed in an access that had ended before',
  reset: 'failed in its reset',
  close: 'failed in its close',
  outside: 'failed outside of an access and was removed',
};

/** An event in one line, for the terminal. */
export function describeEvent(event: UserVmEvent): string {
  switch (event.kind) {
    case 'triple-fault':
    case 'halted':
      return event.message;
    case 'crashed':
      return messageWithPlace(event.message, event.stack);
    case 'reset':
      return `the guest reset the machine: ${event.reason}`;
    case 'power-off':
      return `the guest asked for power-off: ${event.reason}`;
    case 'rtc-changed':
      return `the guest set its clock by ${event.delta > 0 ? '+' : ''}${event.delta} s`;
    case 'injection-failed':
      return 'the hypervisor refused the message of an irqfd';
    case 'device-error':
      return `device ${event.device} ${FAILED[event.during]}: ${messageWithPlace(event.message, event.stack)}`;
    case 'device-lost':
      return `device ${event.device} was removed because its thread ended: ${event.reason}`;
    case 'device-reloaded': {
      const state = event.isStateCarried
        ? 'with its state'
        : `from its power-on state: ${event.note ?? 'it has no state'}`;
      return `device ${event.device} was reloaded in ${Math.round(event.ms)} ms, ${state}`;
    }
    case 'reload-failed':
      return `device ${event.device} was not reloaded, the old one stays: ${messageWithPlace(event.message, event.stack)}`;
    case 'bar-conflict':
      return `card ${event.device} (${event.address}) does not answer at ${event.range}: the guest placed BAR ${event.bar} over ${event.other}`;
    case 'device-report':
      return `device ${event.device} ${event.message}`;
    case 'no-client':
      return `no I/O client for the request of vCPU ${event.vcpu}`;
    case 'client-failed':
      return `I/O client ${event.client} failed${event.isDefault === true ? '' : ' and was removed'}: ${messageWithPlace(event.message, event.stack)}`;
    case 'client-late':
      return describeLate(event);
    case 'limit-extended':
      return describeExtended(event);
    case 'notify-failed':
      return `the completion hypercall for vCPU ${event.vcpu} failed with ${event.result}`;
    case 'flush-timeout':
      return `I/O client ${event.client} did not finish its requests before the reset`;
    case 'fault-injected':
      return `fault injected in ${event.target}${event.request === undefined ? '' : `, ${event.request}`} (${event.rule})`;
    case 'hold-abandoned':
      return describeAbandoned(event);
    case 'hold-resumed':
      return 'a page is open again: the request stays held';
    case 'hold-released': {
      const { afterMs, breakpoints } = event;
      const removed = breakpoints === 0 ? '' : `, without the breakpoints of the page (${breakpoints})`;
      return `no page was opened for ${afterMs / 1000} s: the guest continues${removed}`;
    }
    case 'ended':
      return `ended: ${event.end.message}`;
  }
}

function describeAbandoned(event: Extract<UserVmEvent, { kind: 'hold-abandoned' }>): string {
  const { request, vcpu, at, breakpoint, more, releaseMs } = event;
  const point = at === 'pending' ? 'at PENDING' : 'before COMPLETE';
  const by = breakpoint === undefined ? '' : ` by breakpoint ${breakpoint}`;
  const others = more === 0 ? '' : `, and ${more} more`;
  const then =
    releaseMs === undefined
      ? 'it stays held until a page continues it'
      : `the guest continues in ${releaseMs / 1000} s`;
  return `no page is open while "${request}" of vCPU ${vcpu} is held ${point}${by}${others}; ${then}`;
}

/**
 * Says which policy for late requests (hsm/late-policy.ts) was applied, and why the request is
 * late.
 */
function describeLate(event: Extract<HsmEvent, { kind: 'client-late' }>): string {
  const { client, isDefault, request, limitMs, elapsedMs, policy, detail } = event;
  const why = detail === undefined ? '' : `; ${detail}`;
  return policy === 'all-ones'
    ? `I/O client ${client} took more than ${limitMs} ms for "${request}"${isDefault === true ? '' : ' and was removed'}${why}`
    : `I/O client ${client} has had "${request}" of vCPU ${event.vcpu} for ${Math.round(elapsedMs)} ms, and keeps it${why}`;
}

function describeExtended(event: Extract<HsmEvent, { kind: 'limit-extended' }>): string {
  const { client, request, vcpu, limitMs, heldMs, elapsedMs } = event;
  const held = `the Service VM's thread was held for ${Math.round(heldMs)} ms by ${describeCause(event)}`;
  const age = `I/O client ${client} has had "${request}" of vCPU ${vcpu} for ${Math.round(elapsedMs)} ms`;
  return `${age}, but ${held}: its limit of ${limitMs} ms begins again`;
}

function describeCause(hold: HoldCause): string {
  switch (hold.cause) {
    case 'client':
      return `I/O client ${hold.holder}`;
    case 'stopped':
      return 'a stop of the process';
    case 'unknown':
      return 'other work in it, such as a timer of a device';
  }
}
