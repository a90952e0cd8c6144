/**
 * InterruptLane: the shared ring in which a VM's interrupts are recorded: changes of lines, ends
 * (EOIs) and messages. Any thread writes, one thread reads.
 *
 * Called by: InterruptLines, in which it lies; VmInterrupts, for messages; InterruptReader.
 * Threads: any. Only the Service VM's switches it on.
 *
 * Ordering: a writer takes the number of its entry by an atomic addition, so no two writers fill
 * one entry. It fills the entry by relaxed stores and publishes it by the atomic store of its
 * stamp, the number and one. The reader loads the stamp before and after it copies the entry: an
 * entry that was overwritten meanwhile counts as lost. A writer that sleeps for a whole lap within
 * these few stores may garble the fields of one entry. Nothing but the display depends on them.
 *
 * Switched off, an interrupt costs a relaxed load. Nothing here allocates.
 */

import type { SharedWords } from '../sync/shared-words.js';

/** A power of two. */
export const INTERRUPT_ENTRIES = 1024;
const ENTRY_WORDS = 8;
const Word = { STAMP: 0, KIND: 1, NUMBER: 2, OWNER: 3, DETAIL: 4, SECONDS: 5, NANOSECONDS: 6 } as const;
const IS_ON = 0;
/** Entries that were begun: the number of the next one. */
const BEGUN = 1;
const FIRST = 8;
export const INTERRUPT_LANE_WORDS = FIRST + INTERRUPT_ENTRIES * ENTRY_WORDS;

/** What happened. */
export const InterruptKind = { LOWERED: 0, RAISED: 1, ENDED: 2, SENT: 3, REFUSED: 4 } as const;

/** `performance.timeOrigin` in whole seconds, and the rest in ms: a sum with `now` stays exact. */
const ORIGIN_SECONDS = Math.floor(performance.timeOrigin / 1000);
const ORIGIN_REST_MS = performance.timeOrigin - ORIGIN_SECONDS * 1000;

/** An entry as it lies in the ring. */
export interface InterruptEntry {
  readonly kind: number;
  /** Of the line. Of a message that of the card's message, or −1. */
  readonly number: number;
  /** The number of the owner (LineOwners), or 0. */
  readonly owner: number;
  /** Of a line its driver (LineDriver). Of a message the CPU's vector. */
  readonly detail: number;
  /** Unix time, in whole seconds and the rest. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

export class InterruptLane {
  readonly #words: SharedWords;
  readonly #base: number;

  /** A view of INTERRUPT_LANE_WORDS words from `base` on, which were 0 at first. */
  constructor(words: SharedWords, base: number) {
    this.#words = words;
    this.#base = base;
  }

  /** Relaxed: threads see a change at one of their next interrupts. */
  get isOn(): boolean {
    return this.#words.loadRelaxed(this.#base + IS_ON) !== 0;
  }

  /** Adds or removes a user. Interrupts are recorded while there is one. */
  use(change: 1 | -1): void {
    this.#words.add(this.#base + IS_ON, change);
  }

  /** How many entries were begun, as an int32 that wraps: the number of the next one. */
  get begun(): number {
    return this.#words.load(this.#base + BEGUN);
  }

  record(kind: number, number: number, owner: number, detail: number): void {
    if (!this.isOn) return;
    const words = this.#words;
    const ms = ORIGIN_REST_MS + performance.now();
    const seconds = Math.floor(ms / 1000);
    const entry = words.add(this.#base + BEGUN, 1);
    const at = this.#at(entry);
    words.storeRelaxed(at + Word.KIND, kind);
    words.storeRelaxed(at + Word.NUMBER, number);
    words.storeRelaxed(at + Word.OWNER, owner);
    words.storeRelaxed(at + Word.DETAIL, detail);
    words.storeRelaxed(at + Word.SECONDS, ORIGIN_SECONDS + seconds);
    words.storeRelaxed(at + Word.NANOSECONDS, Math.round((ms - seconds * 1000) * 1e6));
    words.store(at + Word.STAMP, (entry + 1) | 0);
  }

  /** Undefined: entry number `entry` is still to be written, or was overwritten. */
  entry(entry: number): InterruptEntry | undefined {
    const words = this.#words;
    const at = this.#at(entry);
    const stamp = (entry + 1) | 0;
    if (words.load(at + Word.STAMP) !== stamp) return undefined;
    const copy = {
      kind: words.loadRelaxed(at + Word.KIND),
      number: words.loadRelaxed(at + Word.NUMBER),
      owner: words.loadRelaxed(at + Word.OWNER),
      detail: words.loadRelaxed(at + Word.DETAIL),
      seconds: words.loadRelaxed(at + Word.SECONDS),
      nanoseconds: words.loadRelaxed(at + Word.NANOSECONDS),
    };
    return words.load(at + Word.STAMP) === stamp ? copy : undefined;
  }

  #at(entry: number): number {
    return this.#base + FIRST + (entry & (INTERRUPT_ENTRIES - 1)) * ENTRY_WORDS;
  }
}
