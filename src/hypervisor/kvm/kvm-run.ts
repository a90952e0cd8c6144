/**
 * KvmRun: the page in which the kernel says why KVM_RUN returned (struct kvm_run), and in which it
 * finds the values that the guest reads.
 *
 * Called by: KvmVcpu and exit-text.ts in the vCPU's thread; KvmMachine, which requests exits from
 * the Service VM's.
 *
 * Ordering: the kernel writes the page during KVM_RUN, and the vCPU's thread reads and writes it
 * between two such calls: one thread, by plain accesses. The exception is the byte
 * `immediate_exit`, which any thread sets and the vCPU's clears, by atomic operations on the word
 * that it is in. The rest of that word never changes.
 */

import { SharedWords } from '../../sync/shared-words.js';

// Offsets of the fields. Those from EXIT on are of the exit's own structure.
const EXIT_REASON = 8;
const IF_FLAG = 13;
const EXIT = 32;
const IO = { DIRECTION: EXIT, SIZE: EXIT + 1, PORT: EXIT + 2, COUNT: EXIT + 4, DATA_OFFSET: EXIT + 8 } as const;
const MMIO = { ADDRESS: EXIT, DATA: EXIT + 8, LENGTH: EXIT + 16, IS_WRITE: EXIT + 20 } as const;
/** Of an internal error: its kind, the count of data words, the words. */
const INTERNAL = { KIND: EXIT, COUNT: EXIT + 4, DATA: EXIT + 8 } as const;
const MAX_INTERNAL_WORDS = 16;

/** In the first word: byte 1. */
const IMMEDIATE_EXIT = 1 << 8;

/** An access of `count` elements to one port. */
export interface PortExit {
  readonly isWrite: boolean;
  readonly port: number;
  readonly size: 1 | 2 | 4;
  readonly count: number;
  /** Where the elements are in the page. */
  readonly data: number;
}

export interface MmioExit {
  readonly isWrite: boolean;
  readonly address: number;
  /** 1…8. */
  readonly length: number;
}

export class KvmRun {
  readonly #view: DataView;
  readonly #words: SharedWords;
  readonly #bytes: number;

  /** `bytes`: of the page with what follows it, KVM_GET_VCPU_MMAP_SIZE. */
  constructor(memory: SharedArrayBuffer, bytes: number) {
    this.#view = new DataView(memory, 0, bytes);
    this.#words = new SharedWords(memory);
    this.#bytes = bytes;
  }

  /** From any thread: KVM_RUN returns at once, until `clearRequest`. */
  requestExit(): void {
    this.#words.or(0, IMMEDIATE_EXIT);
  }

  clearRequest(): void {
    this.#words.and(0, ~IMMEDIATE_EXIT);
  }

  get reason(): number {
    return this.#view.getUint32(EXIT_REASON, true);
  }

  /** Whether the guest takes interrupts. */
  get takesInterrupts(): boolean {
    return this.#view.getUint8(IF_FLAG) !== 0;
  }

  /** Throws RangeError if the elements are not in the page, which only a kernel's bug can do. */
  get port(): PortExit {
    const size = this.#view.getUint8(IO.SIZE);
    const count = this.#view.getUint32(IO.COUNT, true);
    const data = Number(this.#view.getBigUint64(IO.DATA_OFFSET, true));
    if (![1, 2, 4].includes(size) || data + size * count > this.#bytes)
      throw new RangeError(`a port exit of ${count} elements of ${size} bytes at ${data} of ${this.#bytes}`);
    return {
      isWrite: this.#view.getUint8(IO.DIRECTION) === 1,
      port: this.#view.getUint16(IO.PORT, true),
      size: size as 1 | 2 | 4,
      count,
      data,
    };
  }

  get mmio(): MmioExit {
    const length = this.#view.getUint32(MMIO.LENGTH, true);
    if (!(length >= 1 && length <= 8)) throw new RangeError(`an MMIO exit of ${length} bytes`);
    return {
      isWrite: this.#view.getUint8(MMIO.IS_WRITE) !== 0,
      address: Number(this.#view.getBigUint64(MMIO.ADDRESS, true)),
      length,
    };
  }

  /** Offset of byte `index` of an MMIO exit's data, for `value` and `setValue`. */
  mmioData(index: number): number {
    return MMIO.DATA + index;
  }

  /** An unsigned value of `size` bytes: 1, 2 or 4. */
  value(offset: number, size: number): number {
    if (size === 1) return this.#view.getUint8(offset);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint32(offset, true);
  }

  setValue(offset: number, size: number, value: number): void {
    if (size === 1) this.#view.setUint8(offset, value);
    else if (size === 2) this.#view.setUint16(offset, value, true);
    else this.#view.setUint32(offset, value, true);
  }

  /** Of an exit that only a message describes: its first 8 bytes, and 4 after them. */
  get exitWords(): { readonly first: bigint; readonly second: number } {
    return { first: this.#view.getBigUint64(EXIT, true), second: this.#view.getUint32(EXIT + 8, true) };
  }

  get internalError(): { readonly kind: number; readonly words: readonly bigint[] } {
    const count = Math.min(this.#view.getUint32(INTERNAL.COUNT, true), MAX_INTERNAL_WORDS);
    const words = Array.from({ length: count }, (_, index) => this.#view.getBigUint64(INTERNAL.DATA + 8 * index, true));
    return { kind: this.#view.getUint32(INTERNAL.KIND, true), words };
  }
}
