/**
 * SlotWords: the slots of the VMs' pages in a state space, for the invariants. Slots without a vCPU
 * are left out.
 *
 * Called by: Invariants. A place is a word's index in the state (engine/search/word-places.ts).
 */

import { SLOT_BYTES, SLOT_COUNT, SLOT_OFFSET } from '../../io-request/layout.js';
import type { WatchedSpace } from '../engine/search/space-parts.js';

const WORDS_PER_SLOT = SLOT_BYTES >> 2;

/** Indices of words in a slot. */
export const Field = {
  STATE: SLOT_OFFSET.state >> 2,
  VALUE: SLOT_OFFSET.value >> 2,
  POLLING: SLOT_OFFSET.completionPolling >> 2,
} as const;

export interface SlotWord {
  readonly vm: number;
  readonly vcpu: number;
  readonly field: number;
}

export class SlotWords {
  readonly #space: WatchedSpace;
  readonly #vcpuCount: number;
  readonly #pageOf: (buffer: number) => number;
  /** Places of words that were read, by VM, vCPU and field packed into one number. */
  readonly #places = new Map<number, number>();

  /** `pageOf` returns the VM whose page a buffer is, or −1. */
  constructor(space: WatchedSpace, vcpuCount: number, pageOf: (buffer: number) => number) {
    this.#space = space;
    this.#vcpuCount = vcpuCount;
    this.#pageOf = pageOf;
  }

  /** The slot's word at `place`. Undefined if the word there is not one of a slot. */
  at(place: number): SlotWord | undefined {
    const name = this.#space.addressAt(place);
    if (name === undefined) return undefined;
    const vm = this.#pageOf(name.buffer);
    const vcpu = Math.floor(name.index / WORDS_PER_SLOT);
    if (vm < 0 || vcpu >= this.#vcpuCount) return undefined;
    return { vm, vcpu, field: name.index % WORDS_PER_SLOT };
  }

  word(vm: number, vcpu: number, field: number): number {
    const key = (vm * SLOT_COUNT + vcpu) * WORDS_PER_SLOT + field;
    let place = this.#places.get(key);
    if (place === undefined) {
      // The pages are made first (makeWorld), so their numbers are small.
      let buffer = 0;
      while (this.#pageOf(buffer) !== vm) buffer++;
      this.#places.set(key, (place = this.#space.place(buffer, vcpu * WORDS_PER_SLOT + field)));
    }
    return this.#space.words[place] as number;
  }

  state(vm: number, vcpu: number): number {
    return this.word(vm, vcpu, Field.STATE);
  }
}
