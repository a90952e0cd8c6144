/**
 * MsiQueue: message-signalled interrupts on their way to the vCPUs, from any thread.
 *
 * For each vCPU a bitmap of 256 vectors for fixed and for lowest-priority delivery, and a bit for
 * each kind without a vector. Two messages with the same vector between two polls of the vCPU are
 * one, as in a local APIC's request register. Different vectors never displace each other. No
 * queue, hence no overflow.
 *
 * Called by: ThreadedVm posts, at HC_INJECT_MSI. The vCPU's run loop or program takes.
 *
 * Source: Intel SDM volume 3, "Message Signalled Interrupts"; ACRN: a message whose address has
 * other than 0xFEE in bits 31…20 is refused.
 */

import { SavedState } from '../io-request/saved-state.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { SharedWords } from '../sync/shared-words.js';

/** Bits 10…8 of a message's data. */
export const MsiDelivery = { FIXED: 0, LOWEST_PRIORITY: 1, SMI: 2, NMI: 4, INIT: 5, EXT_INT: 7 } as const;
export type MsiDelivery = (typeof MsiDelivery)[keyof typeof MsiDelivery];

/** Of a bitmap of 256 vectors. */
const VECTOR_WORDS = 8;
/** Vectors below 16 are the processor's own. A local APIC refuses them. */
const FIRST_VECTOR = 16;
// Indices within a vCPU's words: a bitmap of kinds (MsiDelivery), then a bitmap of vectors for each
// kind with a vector, which are the kinds 0 and 1.
const KINDS = 0;
const VECTORS = 1;
const WORDS_PER_VCPU = VECTORS + 2 * VECTOR_WORDS;
// Bit n: MsiDelivery n. The kinds that exist, and those with a vector.
const KNOWN_KINDS = 0b1011_0111;
const WITH_VECTOR = 0b11;
/** The destination of a message to all vCPUs. */
const BROADCAST = 0xff;

export const MSI_WORDS = SLOT_COUNT * WORDS_PER_VCPU;

/** Whether `address` is in the range of interrupt messages. */
export function isMsiAddress(address: number): boolean {
  return ((address >>> 20) & 0xfff) === 0xfee;
}

/**
 * The vCPUs that a message goes to, one bit each. vCPU n has APIC ID n, and logical destinations
 * are taken as guests set them up: flat, bit n for vCPU n. A message of lowest priority goes to one
 * of them.
 */
export function msiTargets(address: number, data: number, vcpuCount: number): number {
  const destination = (address >>> 12) & 0xff;
  const isLogical = (address & 4) !== 0;
  const all = 2 ** vcpuCount - 1;
  let targets: number;
  if (destination === BROADCAST) targets = all;
  else if (isLogical) targets = destination & all;
  else targets = destination < vcpuCount ? 1 << destination : 0;
  return ((data >>> 8) & 7) === MsiDelivery.LOWEST_PRIORITY ? targets & -targets : targets;
}

export class MsiQueue {
  readonly #words: SharedWords;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new SharedWords(buffer);
  }

  /**
   * From any thread. `data` is the message's data word. The caller then rings the vCPU. Returns
   * false for an invalid message, which is dropped.
   */
  post(vcpu: number, data: number): boolean {
    const kind = (data >>> 8) & 7;
    const vector = data & 0xff;
    if ((KNOWN_KINDS & (1 << kind)) === 0) return false;
    const base = vcpu * WORDS_PER_VCPU;
    if ((WITH_VECTOR & (1 << kind)) !== 0) {
      if (vector < FIRST_VECTOR) return false;
      this.#words.or(base + VECTORS + kind * VECTOR_WORDS + (vector >>> 5), 1 << (vector & 31));
    }
    this.#words.or(base + KINDS, 1 << kind);
    return true;
  }

  /** Whether `take` would find something. */
  any(vcpu: number): boolean {
    return this.#words.load(vcpu * WORDS_PER_VCPU + KINDS) !== 0;
  }

  /** The same by one plain load, for the vCPU's inner loop. */
  anyRelaxed(vcpu: number): boolean {
    return this.#words.loadRelaxed(vcpu * WORDS_PER_VCPU + KINDS) !== 0;
  }

  /**
   * In the vCPU's thread: every message since the last call, by kind in ascending order, and of one
   * kind higher vectors first. Messages without a vector give 0.
   */
  take(vcpu: number, deliver: (kind: MsiDelivery, vector: number) => void): void {
    const base = vcpu * WORDS_PER_VCPU;
    let kinds = this.#words.exchange(base + KINDS, 0);
    while (kinds !== 0) {
      const kind = (31 - Math.clz32(kinds & -kinds)) as MsiDelivery;
      kinds &= kinds - 1;
      if ((WITH_VECTOR & (1 << kind)) === 0) {
        deliver(kind, 0);
        continue;
      }
      for (let word = VECTOR_WORDS - 1; word >= 0; word--) {
        let bits = this.#words.exchange(base + VECTORS + kind * VECTOR_WORDS + word, 0);
        while (bits !== 0) {
          const bit = 31 - Math.clz32(bits);
          bits &= ~(1 << bit);
          deliver(kind, word * 32 + bit);
        }
      }
    }
  }

  /** At a reset, with all vCPUs parked: drops all messages. */
  clear(): void {
    for (let word = 0; word < MSI_WORDS; word++) this.#words.store(word, 0);
  }

  /** While no vCPU takes messages: those that it has not taken. */
  save(): unknown {
    return { words: Array.from({ length: MSI_WORDS }, (_, word) => this.#words.load(word)) };
  }

  /** Before the vCPUs run. Throws SNAPSHOT_INVALID. */
  restore(state: unknown): void {
    const words = new SavedState('messages', state).integers('words', MSI_WORDS, -0x8000_0000, 0x7fff_ffff);
    words.forEach((word, index) => {
      this.#words.store(index, index % WORDS_PER_VCPU === KINDS ? word & KNOWN_KINDS : word);
    });
  }
}
