/**
 * FaultInjection: the faults of one User VM. It wraps each I/O client and each interrupt line so
 * that they fail as the rules say. It counts the faults and emits an event for each.
 *
 * Called by: UserVm, and only if the VM has a fault plan. Without one its clients are not wrapped.
 * Threads: the Service VM's thread only.
 */

import { host } from '../host/current.js';
import { SystemClock, type Clock, type ClockTimer } from '../device-model/clock.js';
import type { InterruptLine } from '../device-model/device.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { FaultPlan, FaultRule, LineFault } from './fault-rule.js';
import { faultRuleText, parseFaultRule } from './fault-rule-text.js';
import { selects } from './fault-selector.js';
import { FaultTrigger, type FaultRecord, type FaultReportRow, type RequestTrigger } from './fault-trigger.js';
import { FaultyClient, type ClientFaults } from './faulty-client.js';
import { FaultyLine, type LineFaults } from './faulty-line.js';

/** Limit of the rules of one VM. Each is evaluated for each request. */
export const MAX_FAULT_RULES = 1000;

export interface FaultInjectionOptions {
  readonly clock: Clock;
  readonly emit: (fault: FaultRecord) => void;
  /** Removes a client, like UserVm.destroyClient. */
  readonly remove: (client: IoClient) => void;
  /**
   * A client threw in a call that the HSM did not make: treats it as the HSM does (VmClients.fail).
   */
  readonly fail: (client: IoClient, error: unknown) => void;
}

export class FaultInjection implements ClientFaults, LineFaults {
  /** Seed of all random choices. The same seed, rules and accesses give the same faults. */
  readonly seed: number;
  readonly clock: Clock;
  readonly #options: FaultInjectionOptions;
  readonly #requestTriggers: RequestTrigger[] = [];
  readonly #lineTriggers: FaultTrigger<LineFault>[] = [];
  /** In the order of the rules. */
  readonly #triggers: FaultTrigger[] = [];
  readonly #timers = new Set<ClockTimer>();
  #startMs: number | undefined;

  /** Throws OPTION_INVALID for an invalid rule, and VM_LIMIT for too many. */
  constructor(plan: FaultPlan, options: FaultInjectionOptions) {
    this.seed = plan.seed ?? Math.floor(Math.random() * 0x8000_0000);
    this.clock = options.clock;
    this.#options = options;
    for (const rule of plan.rules) this.add(rule);
  }

  /** Adds a rule. The VM may be running. */
  add(rule: string | FaultRule): void {
    if (this.#triggers.length >= MAX_FAULT_RULES)
      throw new UpcallError('VM_LIMIT', `more than ${MAX_FAULT_RULES} fault rules`, { remedy: 'Merge some of them' });
    const parsed = typeof rule === 'string' ? parseFaultRule(rule) : rule;
    const text = typeof rule === 'string' ? rule.trim() : faultRuleText(rule);
    const create = <R extends FaultRule>(one: R): FaultTrigger<R> =>
      new FaultTrigger(one, text, this.seed, this.#triggers.length);
    if (parsed.kind === 'line') this.#lineTriggers.push(push(this.#triggers, create(parsed)));
    else this.#requestTriggers.push(push(this.#triggers, create(parsed)));
  }

  /** The VM starts. `from` and `until` count from the first start. */
  begin(): void {
    this.#startMs ??= this.clock.now();
  }

  /** The VM was reset or has ended: cancels everything that was delayed. */
  reset(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /**
   * The client that the HSM gets. The default client is never removed: without it unclaimed
   * accesses would wait forever.
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
    for (const trigger of this.#requestTriggers) if (selects(trigger.rule, client, request)) yield trigger;
  }

  /** The faults of a rising edge of line `gsi`. Counts and emits them. */
  lineHits(gsi: number): LineFault['effect'][] {
    const { timeMs } = this;
    return this.#lineTriggers
      .filter((trigger) => trigger.rule.line === gsi && trigger.hits(timeMs))
      .map((trigger) => {
        this.#options.emit(trigger.record(timeMs, `line ${gsi}`));
        return trigger.rule.effect;
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

/** Adds the trigger, and returns it with its own type for the list of its kind. */
function push<R extends FaultRule>(all: FaultTrigger[], trigger: FaultTrigger<R>): FaultTrigger<R> {
  all.push(trigger);
  return trigger;
}
