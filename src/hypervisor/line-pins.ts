/**
 * LinePins: the pins of interrupt controllers that any thread can drive at any time, because they
 * are not a vCPU's but a kernel's. The thread that changes a line sets the pin before
 * `InterruptLines.set` returns, so that an answer never overtakes its interrupt.
 *
 * Called by: InterruptLines, after each change of a line; ThreadedVm, at a reset and at the end.
 * Threads: any, each with an object of its own over the same words.
 *
 * A lock orders the changes of the pins. A thread that finds it taken does not wait: it leaves its
 * change to the thread that has the lock, which polls for changes again after it has released it.
 * All words are sequentially consistent, so one of the two sees the other. If the thread of a
 * device ends while it has the lock, its driver is removed next, which releases the lock. Its lines
 * then rise once more.
 */

import type { KernelLines } from '../host/kvm-calls.js';
import { SharedWords } from '../sync/shared-words.js';

/** Survives structured cloning. */
export interface LinePinsHandle {
  /** The descriptor of the VM, in this process. */
  readonly vm: number;
  readonly words: SharedArrayBuffer;
}

/** The lines, as LinePins sees them. */
export interface ChangedLines {
  readonly changed: boolean;
  deliver(controller: LinePins, levels: PinLevels): void;
  changeAll(): void;
}

/** The level of each pin. */
export interface PinLevels {
  isHigh(line: number): boolean;
  put(line: number, high: boolean): void;
}

/** Pins of the I/O APIC of Linux's KVM. */
const KERNEL_PINS = 24;

// Indices of words.
const LOCK = 0;
const LEVELS = 1;
const WORDS = LEVELS + 2;

// Of LOCK: 0, the number of the driver whose thread has it plus FIRST_DRIVER, or one of these.
const OWNER = -1;
const CLOSED = -2;
const FIRST_DRIVER = 1;
/** A driver of the Service VM's thread: LineDriver.HYPERCALL. */
const SERVICE = 0;
/** A thread that has the lock has it for some microseconds, or it is not scheduled. */
const LOCK_LIMIT_MS = 100;

export class LinePins implements PinLevels {
  /** Pins 0 to `count` − 1 exist. */
  readonly count = KERNEL_PINS;
  readonly #words: SharedWords;
  readonly #kernel: KernelLines;

  /** New words for a VM. */
  static create(vm: number): LinePinsHandle {
    return { vm, words: new SharedWords(WORDS).buffer };
  }

  constructor(handle: LinePinsHandle, kernel: KernelLines) {
    this.#words = new SharedWords(handle.words);
    this.#kernel = kernel;
  }

  /** Sets the pins of the lines that have changed, in the thread of driver `driver`. */
  follow(lines: ChangedLines, driver: number): void {
    while (lines.changed) {
      if (!this.#words.move(LOCK, 0, driver + FIRST_DRIVER)) return;
      try {
        lines.deliver(this, this);
      } finally {
        this.#words.move(LOCK, driver + FIRST_DRIVER, 0);
      }
    }
  }

  /** The thread of driver `driver` has ended. What it has not delivered is delivered again. */
  release(lines: ChangedLines, driver: number): void {
    if (!this.#words.move(LOCK, driver + FIRST_DRIVER, 0)) return;
    lines.changeAll();
    this.follow(lines, SERVICE);
  }

  /**
   * In the Service VM's thread, with all vCPUs parked: lowers the pins, resets the controllers by
   * `work`, and raises the pins of the lines that are high. Throws if a thread keeps the lock, and
   * what `work` throws.
   */
  reset(lines: ChangedLines, work: () => void): void {
    if (!this.#take()) throw new Error('a thread has kept the lock of the interrupt lines');
    try {
      for (let line = 0; line < 32 * (WORDS - LEVELS); line++) if (this.isHigh(line)) this.lower(line);
      work();
    } finally {
      lines.changeAll();
      this.#words.store(LOCK, 0);
    }
    this.follow(lines, SERVICE);
  }

  /**
   * From now on no thread calls the kernel, and the VM's descriptor may be closed. Returns false if
   * a thread is in the midst of such a call: then it must stay open.
   */
  close(): boolean {
    if (!this.#take()) return false;
    this.#words.store(LOCK, CLOSED);
    return true;
  }

  isHigh(line: number): boolean {
    return (this.#words.load(LEVELS + (line >>> 5)) & (1 << (line & 31))) !== 0;
  }

  put(line: number, high: boolean): void {
    const bit = 1 << (line & 31);
    if (high) this.#words.or(LEVELS + (line >>> 5), bit);
    else this.#words.and(LEVELS + (line >>> 5), ~bit);
  }

  raise(line: number): void {
    this.put(line, true);
    this.#kernel.set(line, true);
  }

  lower(line: number): void {
    this.put(line, false);
    this.#kernel.set(line, false);
  }

  #take(): boolean {
    const endMs = performance.now() + LOCK_LIMIT_MS;
    while (!this.#words.move(LOCK, 0, OWNER)) if (performance.now() > endMs) return false;
    return true;
  }
}
