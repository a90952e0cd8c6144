/**
 * StartRegisters: the registers in which one vCPU starts next, in shared words. A vCPU's thread
 * never turns its event loop, so it reads them from memory, between two runs, instead of receiving
 * a message.
 *
 * Called by: ThreadedVm, which stores them; serveVcpu, for the run loop, which loads them.
 *
 * Threads: the Service VM's thread stores (HC_SET_VCPU_REGS), the vCPU's thread loads. A sequence
 * lock prevents torn loads: the sequence is odd while the text changes. All accesses are
 * sequentially consistent, so a load that saw the same even sequence before and after the text saw
 * all of that text.
 *
 * The words hold the registers as JSON, one character a word: a start is rare, and VcpuRegisters
 * stays the only description of its fields.
 */

import { SharedWords } from '../sync/shared-words.js';
import type { VcpuRegisters } from './vcpu-registers.js';

// Indices of words.
const SEQUENCE = 0;
const LENGTH = 1;
const TEXT = 2;
/** All fields of VcpuRegisters at their longest take 1,100 characters. */
const MAX_LENGTH = 2048;

export class StartRegisters {
  readonly #words: SharedWords;

  /** New words without registers, or a view of words that another thread created. */
  constructor(buffer?: SharedArrayBuffer) {
    this.#words = new SharedWords(buffer ?? TEXT + MAX_LENGTH);
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /**
   * Returns false, and changes nothing, if the text of `registers` is too long, which only an
   * object with other fields than VcpuRegisters can be.
   */
  store(registers: VcpuRegisters): boolean {
    const text = JSON.stringify(registers);
    if (text.length > MAX_LENGTH) return false;
    const words = this.#words;
    const sequence = words.load(SEQUENCE);
    words.store(SEQUENCE, sequence + 1);
    words.store(LENGTH, text.length);
    for (let at = 0; at < text.length; at++) words.store(TEXT + at, text.charCodeAt(at));
    words.store(SEQUENCE, sequence + 2);
    return true;
  }

  /**
   * Returns undefined if no registers were stored yet. Spins while a store is under way, which
   * takes microseconds.
   */
  load(): VcpuRegisters | undefined {
    const words = this.#words;
    for (;;) {
      const sequence = words.load(SEQUENCE);
      if (sequence === 0) return undefined;
      const text = this.#text();
      if (sequence % 2 === 0 && words.load(SEQUENCE) === sequence) return JSON.parse(text) as VcpuRegisters;
    }
  }

  #text(): string {
    const codes = Array.from({ length: this.#words.load(LENGTH) }, (_, at) => this.#words.load(TEXT + at));
    return String.fromCharCode(...codes);
  }
}
