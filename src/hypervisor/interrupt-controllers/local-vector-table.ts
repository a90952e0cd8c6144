/**
 * LocalVectorTable: the local vector table of a local APIC with the input that is wired, LINT0,
 * where the output of the 8259s is.
 *
 * Called by: LocalApic.
 *
 * LINT0 is asserted while its level is the one that its entry's polarity bit calls active. An edge
 * counts when a change of the input asserts LINT0: a write of the entry is no edge. A fixed level
 * counts while LINT0 is asserted and Remote IRR is clear. An ExtINT interrupts by `passesExtInt`
 * and the 8259s, whatever the polarity bit says: the CPU could take nothing from 8259s that request
 * nothing. The edge of an ExtINT is passed to `accept` like any other, and dropped there because it
 * has no vector of its own.
 *
 * Source: Intel SDM volume 3, "Local Vector Table".
 */

import { SavedState } from '../../io-request/saved-state.js';
import { Delivery, deliveryOf, MessageBit } from './apic-message.js';
import { ENTRIES, Lvt, LVT_BASIC, LvtBit } from './local-apic-registers.js';

export class LocalVectorTable {
  readonly #accept: (message: number) => boolean;
  readonly #entries = new Int32Array(ENTRIES.length).fill(LvtBit.MASKED);
  #isLint0High = false;

  /** `accept` returns whether the message's vector is in the request register now. */
  constructor(accept: (message: number) => boolean) {
    this.#accept = accept;
  }

  entry(index: number): number {
    return this.#entries[index] as number;
  }

  /** The mask bit cannot be cleared unless the APIC is enabled. */
  write(index: number, value: number, isEnabled: boolean): void {
    const kept = this.entry(index) & LvtBit.REMOTE_IRR & ((value & MessageBit.LEVEL) === 0 ? 0 : -1);
    const forced = isEnabled ? 0 : LvtBit.MASKED;
    this.#entries[index] = (value & (ENTRIES[index] as number)) | kept | forced;
    // A level at LINT0 is requested as soon as its entry lets it through.
    if (index === Lvt.LINT0 && isFixedLevel(this.entry(index))) this.#fireLint0();
  }

  maskAll(): void {
    for (const index of this.#entries.keys()) this.#entries[index] = this.entry(index) | LvtBit.MASKED;
  }

  /** An interrupt of the APIC's own by an entry that is always a fixed edge: timer, error. */
  fire(index: number): void {
    const entry = this.entry(index) & LVT_BASIC;
    if ((entry & LvtBit.MASKED) === 0) this.#accept(entry);
  }

  setLint0(high: boolean): void {
    if (high === this.#isLint0High) return;
    this.#isLint0High = high;
    this.#fireLint0();
  }

  /** Whether LINT0's entry lets the 8259s interrupt the CPU directly. */
  get passesExtInt(): boolean {
    const entry = this.entry(Lvt.LINT0);
    return (entry & LvtBit.MASKED) === 0 && deliveryOf(entry) === Delivery.EXT_INT;
  }

  /** The level-triggered interrupt `vector` ended. */
  endOfInterrupt(vector: number): void {
    const lint0 = this.entry(Lvt.LINT0);
    if ((lint0 & LvtBit.REMOTE_IRR) === 0 || (lint0 & MessageBit.VECTOR) !== vector) return;
    this.#entries[Lvt.LINT0] = lint0 & ~LvtBit.REMOTE_IRR;
    this.#fireLint0();
  }

  save(): unknown {
    return { entries: Array.from(this.#entries), isLint0High: this.#isLint0High };
  }

  restore(state: unknown): void {
    const from = new SavedState('local APIC vector table', state);
    const entries = from.integers('entries', ENTRIES.length, 0, 0x7fff_ffff);
    const known = (index: number): number => (ENTRIES[index] as number) | LvtBit.REMOTE_IRR;
    this.#entries.set(entries.map((entry, index) => entry & known(index)));
    this.#isLint0High = from.boolean('isLint0High');
  }

  /** Sends LINT0's interrupt if it is asserted and its entry lets it through. */
  #fireLint0(): void {
    const entry = this.entry(Lvt.LINT0);
    const isAsserted = this.#isLint0High !== ((entry & LvtBit.ACTIVE_LOW) !== 0);
    if (!isAsserted || (entry & (LvtBit.MASKED | LvtBit.REMOTE_IRR)) !== 0) return;
    const isLevel = isFixedLevel(entry);
    const accepted = this.#accept(isLevel ? entry : entry & ~MessageBit.LEVEL);
    if (accepted && isLevel) this.#entries[Lvt.LINT0] = entry | LvtBit.REMOTE_IRR;
  }
}

/** Only a fixed delivery can be a level. The others are edges even if programmed as levels. */
function isFixedLevel(entry: number): boolean {
  return (entry & MessageBit.LEVEL) !== 0 && deliveryOf(entry) === Delivery.FIXED;
}
