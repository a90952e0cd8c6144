/**
 * FaultInjection: the faults of one User VM. UserVm hands it each I/O client and each interrupt line; it gives back ones
 * that go wrong as the rules say, keeps the counts, and tells each fault. A VM without a fault plan has none of this: its
 * clients are the clients themselves.
 */

import { host } from '../host/current.js';
import { SystemClock, type Clock, type ClockTimer } from '../device-model/clock.js';
import type { InterruptLine } from '../device-model/device.js';
import type { AssignedRequest } from '../hsm/assigned-request.js';
import type { IoClient } from '../hsm/io-client.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { FaultPlan, FaultRule, LineFault, RequestFault } from './fault-rule.js';
import { faultRuleText, parseFaultRule } from './fault-rule-text.js';
import { selects } from './fault-selector.js';
import { FaultTrigger, type FaultRecord, type FaultReportRow } from './fault-trigger.js';
import { FaultyClient } from './faulty-client.js';
import { FaultyLine } from './faulty-line.js';

/** Rules that one VM may have: each is looked at for each request. */
export const MAX_FAULT_RULES = 1000;

export interface FaultInjectionOptions {
  readonly clock: Clock;
  readonly emit: (fault: FaultRecord) => void;
  /** Takes a client out, as UserVm.destroyClient. */
  readonly remove: (client: IoClient) => void;
}

export type RequestTrigger = FaultTrigger<RequestFault>;

export class FaultInjection {
  /** Of all chance; the same seed, rules and accesses give the same faults. */
  readonly seed: number;
  readonly clock: Clock;
  readonly #options: FaultInjectionOptions;
  readonly #requestTriggers: RequestTrigger[] = [];
  readonly #lineTriggers: FaultTrigger<LineFault>[] = [];
  /** In the order of the rules. */
  readonly #triggers: FaultTrigger[] = [];
  readonly #lines = new Map<number, FaultyLine>();
  readonly #timers = new Set<ClockTimer>();
  #startMs: number | undefined;

  /** Throws OPTION_INVALID for a rule that cannot be read. */
  constructor(plan: FaultPlan, options: FaultInjectionOptions) {
    this.seed = plan.seed ?? Math.floor(Math.random() * 0x8000_0000);
    this.clock = options.clock;
    this.#options = options;
    for (const rule of plan.rules) this.add(rule);
  }

  /** One more rule, also while the VM runs. */
  add(rule: string | FaultRule): void {
    if (this.#triggers.length >= MAX_FAULT_RULES)
      throw new UpcallError('VM_LIMIT', `more than ${MAX_FAULT_RULES} fault rules`, { remedy: 'Join some of them' });
    const parsed = typeof rule === 'string' ? parseFaultRule(rule) : rule;
    const text = typeof rule === 'string' ? rule.trim() : faultRuleText(rule);
    const make = <R extends FaultRule>(one: R): FaultTrigger<R> =>
      new FaultTrigger(one, text, this.seed, this.#triggers.length);
    if (parsed.kind === 'line') this.#lineTriggers.push(push(this.#triggers, make(parsed)));
    else this.#requestTriggers.push(push(this.#triggers, make(parsed)));
  }

  /** The VM starts for the first time: `from` and `until` count from here. */
  begin(): void {
    this.#startMs ??= this.clock.now();
  }

  /** The VM is reset or gone: what was to happen later does not. */
  reset(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** The client as the HSM gets it. The default client is not taken out: without one, unclaimed accesses would wait for ever. */
  wrap(client: IoClient, isDefault = false): IoClient {
    return new FaultyClient(client, this, isDefault ? undefined : () => this.#options.remove(client));
  }

  /** Input pin `gsi`, where `line` is the real one. */
  line(gsi: number, line: InterruptLine): InterruptLine {
    let faulty = this.#lines.get(gsi);
    if (faulty === undefined) this.#lines.set(gsi, (faulty = new FaultyLine(gsi, line, this)));
    return faulty;
  }

  /** What each rule has done so far, in their order. */
  report(): FaultReportRow[] {
    return this.#triggers.map((trigger) => trigger.report());
  }

  get timeMs(): number {
    return this.#startMs === undefined ? 0 : this.clock.now() - this.#startMs;
  }

  /** For a client: the rules that say something about this request. */
  *rulesFor(client: string, request: AssignedRequest): Generator<RequestTrigger> {
    for (const trigger of this.#requestTriggers) if (selects(trigger.rule, client, request)) yield trigger;
  }

  /** For a line: the rules that hit its edge, told and counted. */
  lineHits(gsi: number): LineFault['way'][] {
    const { timeMs } = this;
    return this.#lineTriggers
      .filter((trigger) => trigger.rule.line === gsi && trigger.hits(timeMs))
      .map((trigger) => {
        this.#options.emit(trigger.note(timeMs, `line ${gsi}`));
        return trigger.rule.way;
      });
  }

  emit(fault: FaultRecord): void {
    this.#options.emit(fault);
  }

  /** Calls back after `ms`, unless the VM is reset or gone before. Below what timers can do the event loop turns until then. */
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
      const spin = async (): Promise<void> => {
        do await host.turn();
        while (!isCancelled && this.clock.now() < at);
        if (!isCancelled) act();
      };
      void spin();
    } else timer = this.clock.schedule(at, act);
    this.#timers.add(timer);
  }
}

/** Throws OPTION_INVALID or VM_LIMIT for a plan that FaultInjection would refuse, before there is a VM. */
export function checkFaultPlan(plan: FaultPlan): void {
  if (plan.seed !== undefined && !Number.isInteger(plan.seed))
    throw new UpcallError('OPTION_INVALID', `fault seed ${plan.seed}`, { remedy: 'Give a whole number' });
  new FaultInjection(plan, { clock: new SystemClock(), emit: () => undefined, remove: () => undefined });
}

function push<R extends FaultRule>(all: FaultTrigger[], trigger: FaultTrigger<R>): FaultTrigger<R> {
  all.push(trigger);
  return trigger;
}
