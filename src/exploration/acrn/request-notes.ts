/**
 * RequestNotes: the memory of the invariants, in words of the state space. For each vCPU its
 * request and what happened to it, for each VM the owners of its ranges, and the operator's acts
 * that are done. They are words of the state, because a search goes back to earlier states.
 *
 * Called by: Invariants (invariants.ts).
 */

import type { WatchedSpace } from '../engine/search/space-parts.js';

/**
 * Words of a vCPU. PORT: the port that it accesses, 0 for none. PHASE: see Phase. CLIENT: the
 * notified client + 1, 0 for none. FILLED: the slot's value when it became PENDING. VALUE: its
 * value when it became COMPLETE. PASSES: passes of the worker that began while it was PENDING.
 * TICKET: the number of the assignment that was finished last. HAS_ENDED: the guest has ended.
 */
export const VcpuNote = {
  PORT: 0,
  PHASE: 1,
  CLIENT: 2,
  FILLED: 3,
  VALUE: 4,
  PASSES: 5,
  TICKET: 6,
  HAS_ENDED: 7,
} as const;
type VcpuNote = (typeof VcpuNote)[keyof typeof VcpuNote];
const WORDS = Object.keys(VcpuNote).length;

/** Values of PHASE: no request, one that is not COMPLETE, one that is. */
export const Phase = { NONE: 0, OPEN: 1, COMPLETE: 2 } as const;

/**
 * Words of a VM: the owner of each range (OWNER_BITS each, a range has the number of its first
 * owner), the removed clients (a bit each), the number of CLEARs and resets that have not ended,
 * and whether the VM is being destroyed.
 */
export const VmNote = { OWNERS: 0, REMOVED: 1, CLEARING: 2, ENDING: 3 } as const;
type VmNote = (typeof VmNote)[keyof typeof VmNote];
const VM_WORDS = Object.keys(VmNote).length;
/** Bits for the number of a client, the default client's among them. */
const OWNER_BITS = 4;
const OWNER = (1 << OWNER_BITS) - 1;

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

  get(vm: number, vcpu: number, word: VcpuNote): number {
    return this.space.words[this.#at(vm, vcpu, word)] as number;
  }

  set(vm: number, vcpu: number, word: VcpuNote, value: number): void {
    this.space.set(this.#at(vm, vcpu, word), value);
  }

  getVm(vm: number, word: VmNote): number {
    return this.space.words[this.#atVm(vm, word)] as number;
  }

  setVm(vm: number, word: VmNote, value: number): void {
    this.space.set(this.#atVm(vm, word), value);
  }

  /** The client that owns a range now. It may have been removed. */
  owner(vm: number, range: number): number {
    return (this.getVm(vm, VmNote.OWNERS) >> (OWNER_BITS * range)) & OWNER;
  }

  setOwner(vm: number, range: number, client: number): void {
    const others = this.getVm(vm, VmNote.OWNERS) & ~(OWNER << (OWNER_BITS * range));
    this.setVm(vm, VmNote.OWNERS, others | (client << (OWNER_BITS * range)));
  }

  isRemoved(vm: number, client: number): boolean {
    return (this.getVm(vm, VmNote.REMOVED) & (1 << client)) !== 0;
  }

  remove(vm: number, client: number): void {
    this.setVm(vm, VmNote.REMOVED, this.getVm(vm, VmNote.REMOVED) | (1 << client));
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
