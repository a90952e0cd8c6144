/**
 * FaultInjection: the faults of one User VM. It wraps each I/O client and interrupt line, and what
 * is behind a card (disk images and network ports), so that they fail as the rules say. It counts
 * the faults and emits an event for each.
 *
 * Called by: UserVm. vm/vm-faults.ts creates it if the VM has a fault plan. Without one its clients
 * are not wrapped. Those who create cards call `disk` and `network`. The checks of a VM's options
 * call `checkFaultPlan`.
 * Threads: the Service VM's thread only.
 */

import { host } from '../host/current.js';
import { SystemClock, type Clock, type ClockTimer } from '../device-model/clock.js';
import type { InterruptLine } from '../device-model/device.js';
import type { DiskImage } from '../device-model/disk/disk-image.js';
import type { NetworkPort } from '../device-model/network/network-port.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { DiskFault, FaultPlan, FaultRule, FrameWay, LineFault, NetFault, RequestFault } from './fault-rule.js';
import { expectRule } from './fault-rule-check.js';
import { faultRuleText, parseFaultRule } from './fault-rule-text.js';
import { isNamed, selects } from './fault-selector.js';
import { FaultTrigger, type FaultRecord, type FaultReportRow, type RequestTrigger } from './fault-trigger.js';
import { FaultyClient, type ClientFaults } from './faulty-client.js';
import { describeWork, FaultyDisk, selectsOperation, type DiskFaults, type DiskWork } from './faulty-disk.js';
import { FaultyLine, type LineFaults } from './faulty-line.js';
import { FaultyPort, type PortFaults } from './faulty-port.js';

/** Limit of the rules of one VM. Each request is compared with every rule for requests. */
export const MAX_FAULT_RULES = 1000;

export interface FaultInjectionOptions {
  readonly clock: Clock;
  readonly emit: (fault: FaultRecord) => void;
  /** Removes a client, like UserVm.destroyClient. */
  readonly remove: (client: IoClient) => void;
  /**
   * A client threw in a call that the HSM did not make, such as a `slow` one: treats it as the HSM
   * does (VmClients.fail).
   */
  readonly fail: (client: IoClient, error: unknown) => void;
}

export class FaultInjection implements ClientFaults, LineFaults, DiskFaults, PortFaults {
  /** Seed of all random choices. The same seed, rules and accesses give the same faults. */
  readonly seed: number;
  readonly clock: Clock;
  readonly #options: FaultInjectionOptions;
  /** The triggers of all rules, in the order of the plan. */
  readonly #triggers: FaultTrigger[] = [];
  /** The triggers of the rules of each kind. */
  readonly #requests: RequestTrigger[] = [];
  readonly #lines: FaultTrigger<LineFault>[] = [];
  readonly #disks: FaultTrigger<DiskFault>[] = [];
  readonly #nets: FaultTrigger<NetFault>[] = [];
  readonly #timers = new Set<ClockTimer>();
  /** Ends of the waits that a reset ends. */
  readonly #waits = new Set<() => void>();
  #startMs: number | undefined;

  /**
   * Throws OPTION_INVALID for an invalid rule, and VM_LIMIT for too many rules. Of a rule that is
   * data, values of fields are not checked.
   */
  constructor(plan: FaultPlan, options: FaultInjectionOptions) {
    this.seed = plan.seed ?? Math.floor(Math.random() * 0x8000_0000);
    this.clock = options.clock;
    this.#options = options;
    for (const rule of plan.rules) this.add(rule);
  }

  /** Adds a rule. The VM may be running. Throws as the constructor does. */
  add(rule: string | FaultRule): void {
    if (this.#triggers.length >= MAX_FAULT_RULES)
      throw new UpcallError('VM_LIMIT', `more than ${MAX_FAULT_RULES} fault rules`, { remedy: 'Merge some of them' });
    const parsed = typeof rule === 'string' ? parseFaultRule(rule) : rule;
    if (typeof rule !== 'string') expectRule(rule);
    const text = typeof rule === 'string' ? rule.trim() : faultRuleText(rule);
    const create = <R extends FaultRule>(one: R): FaultTrigger<R> => {
      const trigger = new FaultTrigger(one, text, this.seed, this.#triggers.length);
      this.#triggers.push(trigger);
      return trigger;
    };
    switch (parsed.kind) {
      case 'request':
        this.#requests.push(create<RequestFault>(parsed));
        break;
      case 'line':
        this.#lines.push(create(parsed));
        break;
      case 'disk':
        this.#disks.push(create(parsed));
        break;
      case 'net':
        this.#nets.push(create(parsed));
    }
  }

  /** The VM starts. `from` and `until` count from the first start. */
  begin(): void {
    this.#startMs ??= this.clock.now();
  }

  /**
   * The VM was reset or has ended: cancels the callbacks of `later`, and ends every `wait` at once.
   */
  reset(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    for (const end of [...this.#waits]) end();
  }

  /**
   * Wraps a client for the HSM. For the default client, the fault `remove` is a crash instead:
   * without a default client, unclaimed accesses would wait forever.
   */
  wrap(client: IoClient, isDefault = false): IoClient {
    const { remove, fail } = this.#options;
    return new FaultyClient(client, this, {
      remove: isDefault ? undefined : () => remove(client),
      fail: (error) => fail(client, error),
    });
  }

  /** A faulty output to line `gsi`. `line`: the real one. */
  line(gsi: number, line: InterruptLine): InterruptLine {
    return new FaultyLine(gsi, line, this);
  }

  /** The image behind a disk card called `name`, with the faults of the plan. */
  disk(name: string, image: DiskImage): DiskImage {
    return new FaultyDisk(name, image, this);
  }

  /** The port that a network card called `name` is plugged into, with the faults of the plan. */
  network(name: string, port: NetworkPort): NetworkPort {
    return new FaultyPort(name, port, this);
  }

  /** Whether a rule selects operations of this disk, or frames of this network card. */
  hasRuleFor(kind: 'disk' | 'net', name: string): boolean {
    return kind === 'disk'
      ? this.#disks.some(({ rule }) => isNamed(rule.disk, name))
      : this.#nets.some(({ rule }) => isNamed(rule.net, name));
  }

  /** The counts of each rule, in the order of the rules. */
  report(): FaultReportRow[] {
    return this.#triggers.map((trigger) => trigger.report());
  }

  /** Milliseconds since the VM's first start. 0 before. */
  get timeMs(): number {
    return this.#startMs === undefined ? 0 : this.clock.now() - this.#startMs;
  }

  /** The rules that select this request. The caller counts them (FaultTrigger.hits). */
  *rulesFor(client: string, request: AssignedRequest): Generator<RequestTrigger> {
    for (const trigger of this.#requests) if (selects(trigger.rule, client, request)) yield trigger;
  }

  /** The faults of a rising edge of line `gsi`. Counts and emits them. */
  lineHits(gsi: number): LineFault['effect'][] {
    const hits = this.#hits(this.#lines, ({ line }) => line === gsi, `line ${gsi}`);
    return hits.map(({ rule }) => rule.effect);
  }

  /** The faults of an operation of a disk. Counts and emits them. */
  diskHits(name: string, work: DiskWork): readonly FaultTrigger<DiskFault>[] {
    return this.#hits(
      this.#disks,
      (rule) => isNamed(rule.disk, name) && selectsOperation(rule, work),
      name,
      () => describeWork(work),
    );
  }

  /** The faults of a frame of `bytes` bytes. Counts and emits them. */
  frameHits(name: string, way: FrameWay, bytes: number): readonly FaultTrigger<NetFault>[] {
    const isSelected = (rule: NetFault): boolean => isNamed(rule.net, name) && (rule.way ?? way) === way;
    return this.#hits(this.#nets, isSelected, name, () => `${way} a frame of ${bytes} bytes`);
  }

  #hits<Rule extends FaultRule>(
    triggers: readonly FaultTrigger<Rule>[],
    isSelected: (rule: Rule) => boolean,
    target: string,
    describe?: () => string,
  ): FaultTrigger<Rule>[] {
    const { timeMs } = this;
    const hits = triggers.filter((trigger) => isSelected(trigger.rule) && trigger.hits(timeMs));
    const details = hits.length === 0 || describe === undefined ? {} : { request: describe() };
    for (const trigger of hits) this.#options.emit(trigger.record(timeMs, target, details));
    return hits;
  }

  /** Resolves after `ms`, or when the VM is reset or ends. `Infinity`: only then. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        this.#waits.delete(end);
        resolve();
      };
      this.#waits.add(end);
      if (ms !== Infinity) this.later(ms, end);
    });
  }

  emit(fault: FaultRecord): void {
    this.#options.emit(fault);
  }

  /**
   * Calls back after `ms`, unless the VM is reset or ends first. Below 1 ms, the resolution of
   * timers, it polls the clock once per turn of the event loop.
   */
  later(ms: number, callback: () => void): void {
    const at = this.clock.now() + ms;
    let timer: ClockTimer | undefined;
    const act = (): void => {
      if (timer !== undefined) this.#timers.delete(timer);
      callback();
    };
    if (ms < 1) {
      let isCancelled = false;
      timer = { cancel: () => void (isCancelled = true) };
      const poll = async (): Promise<void> => {
        do await host.turn();
        while (!isCancelled && this.clock.now() < at);
        if (!isCancelled) act();
      };
      void poll();
    } else timer = this.clock.schedule(at, act);
    this.#timers.add(timer);
  }
}

/** Throws OPTION_INVALID or VM_LIMIT for a plan that FaultInjection would refuse. */
export function checkFaultPlan(plan: FaultPlan): void {
  if (plan.seed !== undefined && !Number.isInteger(plan.seed))
    throw new UpcallError('OPTION_INVALID', `invalid fault seed ${plan.seed}`, { remedy: 'Give a whole number' });
  const nothing = (): void => undefined;
  new FaultInjection(plan, { clock: new SystemClock(), emit: nothing, remove: nothing, fail: nothing });
}
