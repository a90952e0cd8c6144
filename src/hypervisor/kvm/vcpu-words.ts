/**
 * VcpuWords: what the threads of a VM know of each other: in which thread each vCPU runs, and which
 * vCPUs have halted for good.
 *
 * Called by: KvmMachine, to kick a vCPU; KvmVcpu, with its own state.
 *
 * With the kernel's controllers HLT does not end KVM_RUN, so a vCPU's thread asks at each tick
 * whether it is halted. A vCPU that is halted with interrupts off can still be woken by another one
 * (INIT, NMI), so they have halted for good only if all are halted at the same time. As they are
 * not asked at the same time, all have to be found halted in two rounds, with none found running in
 * between.
 */

import { MAX_VCPUS } from '../hypervisor.js';
import { SharedWords } from '../../sync/shared-words.js';

// Indices of words.
const THREADS = 0;
const HALTS = THREADS + MAX_VCPUS;
const ROUND = HALTS + MAX_VCPUS;
const WORDS = ROUND + 1;

/** Rounds in which all vCPUs have to be found halted. */
const ROUNDS = 2;

export class VcpuWords {
  readonly #words: SharedWords;

  /** New words, or a view of those of another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.#words = new SharedWords(buffer ?? WORDS);
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /** The thread that runs vCPU `vcpu`, or 0 while it is parked. */
  thread(vcpu: number): number {
    return this.#words.load(THREADS + vcpu);
  }

  setThread(vcpu: number, thread: number): void {
    this.#words.store(THREADS + vcpu, thread);
  }

  /** At a start of the VM: no vCPU is halted. */
  clearHalts(): void {
    for (let word = HALTS; word <= ROUND; word++) this.#words.store(word, 0);
  }

  /** vCPU `vcpu` was found running: all have to be asked anew. */
  running(vcpu: number): void {
    if (this.#words.loadRelaxed(HALTS + vcpu) !== 0) this.clearHalts();
  }

  /**
   * vCPU `vcpu` was found halted, so that only another vCPU can wake it. Returns whether all of
   * `vcpuCount` have halted for good.
   */
  halted(vcpu: number, vcpuCount: number): boolean {
    const round = this.#words.load(ROUND);
    if (round >= ROUNDS) return true;
    this.#words.store(HALTS + vcpu, round + 1);
    for (let other = 0; other < vcpuCount; other++) if (this.#words.load(HALTS + other) !== round + 1) return false;
    return this.#words.move(ROUND, round, round + 1) && round + 1 === ROUNDS;
  }
}
