/**
 * FaultTrigger: one rule at work: how many requests (or interrupts) matched it, which of them go wrong, and what became of
 * it for the report. Chance comes from a generator of its own, so that neither other rules nor other addresses change it.
 */

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';
import type { FaultRule } from './fault-rule.js';

/** One fault that was injected. */
export interface FaultRecord {
  /** Since the VM was started. */
  readonly timeMs: number;
  /** The rule, as its author wrote it. */
  readonly rule: string;
  /** How often this rule has acted, with this time. */
  readonly nth: number;
  /** The client of the request, or `line N`. */
  readonly target: string;
  /** Of a request. */
  readonly vcpu?: number;
  /** The request in one line. */
  readonly request?: string;
}

/** What a rule has done. Plain data. */
export interface FaultReportRow {
  readonly rule: string;
  /** Requests or interrupts that it is about, whether or not their turn had come. */
  readonly matches: number;
  readonly injected: number;
  readonly first?: FaultRecord;
  readonly last?: FaultRecord;
}

export class FaultTrigger<Rule extends FaultRule = FaultRule> {
  readonly rule: Rule;
  readonly text: string;
  readonly #random: ReturnType<typeof xoroshiro128plus>;
  #matches = 0;
  /** Matches within the rule's time. */
  #counted = 0;
  #injected = 0;
  #first: FaultRecord | undefined;
  #last: FaultRecord | undefined;

  /** `index`: which rule of the VM this is; with the seed it decides on its chances. */
  constructor(rule: Rule, text: string, seed: number, index: number) {
    this.rule = rule;
    this.text = text;
    this.#random = xoroshiro128plus((seed ^ Math.imul(index + 1, 0x9e37_79b1)) | 0);
  }

  /** Something matches the rule at `timeMs`: whether it goes wrong. */
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

  /** A number 0…`count` − 1, by chance. */
  choose(count: number): number {
    return uniformInt(this.#random, 0, count - 1);
  }

  /** After `hits`: who it was. */
  note(timeMs: number, target: string, request?: { readonly vcpu: number; describe(): string }): FaultRecord {
    const record: FaultRecord = {
      timeMs,
      rule: this.text,
      nth: this.#injected,
      target,
      ...(request === undefined ? {} : { vcpu: request.vcpu, request: request.describe() }),
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
