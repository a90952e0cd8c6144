/**
 * RequestNotes: the memory of the invariants, in words of the state space. For each vCPU its
 * request and what happened to it, for each VM the owners of its ranges, and the operator's acts
 * that are done.
 */

import type { WatchedSpace } from '../engine/search/space-parts.js';

/** Words of a vCPU: the port, the phase of the request, the notified client, values, and more. */
export const Of = { PORT: 0, PHASE: 1, CLIENT: 2, FILLED: 3, VALUE: 4, PASSES: 5, TICKET: 6, HAS_ENDED: 7 } as const;
type Of = (typeof Of)[keyof typeof Of];
const WORDS = Object.keys(Of).length;

/** Values of PHASE. */
export const Phase = { NONE: 0, OPEN: 1, COMPLETE: 2 } as const;

/**
 * Words of a VM: the owner of each range (four bits), the removed clients (a bit each), the number
 * of CLEARs that have not ended, and whether the VM is being destroyed.
 */
export const OfVm = { OWNERS: 0, REMOVED: 1, CLEARING: 2, ENDING: 3 } as const;
type OfVm = (typeof OfVm)[keyof typeof OfVm];
const VM_WORDS = Object.keys(OfVm).length;

export class RequestNotes {
  readonly wordCount: number;
  readonly #vmCount: number;
  readonly #vcpuCount: number;
  #space: WatchedSpace | undefined;

  constructor(vmCount: number, vcpuCount: number) {
    this.#vmCount = vmCount;
    this.#vcpuCount = vcpuCount;
    this.wordCount = vmCount * (vcpuCount * WORDS + VM_WORDS) + 1;
  }

  /** The words lie from `space.notes` on. */
  set space(space: WatchedSpace) {
    this.#space = space;
  }

  get space(): WatchedSpace {
    if (this.#space === undefined) throw new Error('the invariants have no state space yet');
    return this.#space;
  }

  get(vm: number, vcpu: number, word: Of): number {
    return this.space.words[this.#at(vm, vcpu, word)] as number;
  }

  set(vm: number, vcpu: number, word: Of, value: number): void {
    this.space.set(this.#at(vm, vcpu, word), value);
  }

  getVm(vm: number, word: OfVm): number {
    return this.space.words[this.#atVm(vm, word)] as number;
  }

  setVm(vm: number, word: OfVm, value: number): void {
    this.space.set(this.#atVm(vm, word), value);
  }

  /** The operator's acts that are done: bit n for act n. */
  get done(): number {
    return this.space.words[this.#doneAt] as number;
  }

  setDone(act: number): void {
    this.space.set(this.#doneAt, this.done | (1 << act));
  }

  get #doneAt(): number {
    return this.space.notes + this.wordCount - 1;
  }

  #at(vm: number, vcpu: number, word: number): number {
    return this.space.notes + (vm * this.#vcpuCount + vcpu) * WORDS + word;
  }

  #atVm(vm: number, word: number): number {
    return this.space.notes + this.#vmCount * this.#vcpuCount * WORDS + vm * VM_WORDS + word;
  }
}
