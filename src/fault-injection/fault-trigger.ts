/**
 * FaultTrigger: the state of one rule. It counts the requests, interrupts, operations or frames
 * that the rule selects, decides which of them fail, and makes the report. Each rule has its own
 * random generator, so neither other rules nor other addresses change its choices.
 *
 * Called by: FaultInjection, FaultyClient, and for random choices alter and flipBit, in the Service
 * VM's thread.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { FaultRule, RequestFault } from './fault-rule.js';

/** One injected fault. */
export interface FaultRecord {
  /** Since the first start of the VM. */
  readonly timeMs: number;
  /** The rule's text. */
  readonly rule: string;
  /** Faults of this rule so far, including this one. */
  readonly nth: number;
  /** The client of the request, `line N`, or the card's name. */
  readonly target: string;
  /** Undefined if it is not a request. */
  readonly vcpu?: number;
  /** The request, operation or frame in one line. Undefined for a line. */
  readonly request?: string;
}

/** The counts of a rule. Plain data. */
export interface FaultReportRow {
  readonly rule: string;
  /** Requests, interrupts, operations or frames that it selected, whether they failed or not. */
  readonly matches: number;
  readonly injected: number;
  readonly first?: FaultRecord;
  readonly last?: FaultRecord;
}

export type RequestTrigger = FaultTrigger<RequestFault>;

export class FaultTrigger<Rule extends FaultRule = FaultRule> {
  readonly rule: Rule;
  readonly text: string;
  readonly #random: ReturnType<typeof xoroshiro128plus>;
  #matches = 0;
  /** Matches between `from` and `until`, as long as `times` is not reached. */
  #counted = 0;
  #injected = 0;
  #first: FaultRecord | undefined;
  #last: FaultRecord | undefined;

  /** `index`: the rule's position in the plan. Seed and index determine its random choices. */
  constructor(rule: Rule, text: string, seed: number, index: number) {
    this.rule = rule;
    this.text = text;
    // The golden ratio as 32 bits: seeds of neighbouring rules differ in many bits.
    this.#random = xoroshiro128plus((seed ^ Math.imul(index + 1, 0x9e37_79b1)) | 0);
  }

  /** Counts a match at `timeMs`. Returns whether it fails. */
  hits(timeMs: number): boolean {
    const { fromMs = 0, untilMs = Infinity, after = 0, every = 1, probability = 1, times = Infinity } = this.rule;
    this.#matches++;
    if (timeMs < fromMs || timeMs >= untilMs || this.#injected >= times) return false;
    const turn = ++this.#counted - after;
    if (turn <= 0 || turn % every !== 0) return false;
    if (probability < 1 && uniformFloat64(this.#random) >= probability) return false;
    this.#injected++;
    return true;
  }

  /** A random number from 0 to `count` − 1. */
  choose(count: number): number {
    return uniformInt(this.#random, 0, count - 1);
  }

  /** Records the fault after `hits` has returned true. */
  record(timeMs: number, target: string, details: Pick<FaultRecord, 'vcpu' | 'request'> = {}): FaultRecord {
    const record: FaultRecord = {
      timeMs,
      rule: this.text,
      nth: this.#injected,
      target,
      ...details,
    };
    this.#first ??= record;
    this.#last = record;
    return record;
  }

  report(): FaultReportRow {
    return {
      rule: this.text,
      matches: this.#matches,
      injected: this.#injected,
      ...(this.#first === undefined ? {} : { first: this.#first }),
      ...(this.#last === undefined ? {} : { last: this.#last }),
    };
  }
}
