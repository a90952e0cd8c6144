/**
 * WrittenMemory: reports to the VM what a process has written into memory that it shares with the
 * guest. The hypervisor keeps translations of the guest's code, which it must drop then
 * (hypervisor/dirty-pages.ts).
 *
 * Called by: foreign-memory.ts, before whatever makes the guest run on: a call of the process, an
 * eventfd that it signals. A timer also scans at intervals, for a guest that polls memory.
 *
 * A guest that is paused executes nothing, so stores are not watched then.
 *
 * The first store to a page since the last scan is a page fault. So a scan finds something only if
 * the process has had a page fault since, and reading their number is cheaper than a scan.
 */

import { closeDescriptor } from '../host/node/linux/descriptors.js';
import { MinorFaults } from '../host/node/linux/process-facts.js';
import { WrittenPages } from '../host/node/linux/written-pages.js';

/**
 * A guest that polls memory sees new code at the latest after this time, unless the Service VM's
 * thread is busy.
 */
const SCAN_MS = 5;

type Written = (offset: number, length: number) => void;

interface Range {
  readonly address: bigint;
  readonly bytes: number;
  readonly written: Written;
}

export class WrittenMemory {
  readonly #pages: WrittenPages;
  readonly #faults: MinorFaults;
  readonly #timer: NodeJS.Timeout;
  #ranges: Range[] = [];
  /** The process's faults at the last scan. NaN: a scan is due whatever the number is. */
  #lastFaults = NaN;
  #isPaused = false;

  /**
   * `userfault`: as in WrittenPages, and closed if this throws. Throws if the system lacks what is
   * needed, or the process has ended.
   */
  constructor(pid: number, userfault: number) {
    try {
      this.#faults = new MinorFaults(pid);
    } catch (error) {
      closeDescriptor(userfault);
      throw error;
    }
    try {
      this.#pages = new WrittenPages(pid, userfault);
    } catch (error) {
      this.#faults.close();
      throw error;
    }
    this.#timer = setInterval(() => this.collect(), SCAN_MS).unref();
  }

  /** Throws if the system refuses to watch the range. */
  add(address: bigint, bytes: number, written: Written): void {
    if (!this.#isPaused) this.#pages.add(address, bytes);
    this.#ranges.push({ address, bytes, written });
    this.#lastFaults = NaN;
  }

  collect(): void {
    if (this.#isPaused) return;
    const faults = this.#faults.count;
    // NaN is unequal, too. The count is NaN when the process has ended, and its ranges go then.
    if (faults === this.#lastFaults) return;
    this.#lastFaults = faults;
    this.#ranges = this.#ranges.filter(({ address, bytes, written }) => this.#pages.scan(address, bytes, written));
  }

  /** The guest runs no more: what the process writes from now on is found after `resume`. */
  pause(): void {
    this.#isPaused = true;
    for (const { address, bytes } of this.#ranges) this.#pages.remove(address, bytes);
  }

  /** Call it before the guest runs on. The next `collect` reports what may have been written. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#lastFaults = NaN;
    this.#ranges = this.#ranges.filter(({ address, bytes }) => this.#add(address, bytes));
  }

  /** Returns false if another mapping is there now, whose stores cannot be noticed. */
  #add(address: bigint, bytes: number): boolean {
    try {
      this.#pages.add(address, bytes);
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#pages.close();
    this.#faults.close();
  }
}
