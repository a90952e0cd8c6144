/**
 * WrittenMemory: reports to the VM what a process has written into memory that it shares with the
 * guest. The hypervisor keeps translations of the guest's code, which it must drop then
 * (hypervisor/dirty-pages.ts).
 *
 * Called by: foreign-memory.ts, before whatever makes the guest run on: a call of the process, an
 * eventfd that it signals. A timer also scans at intervals, for a guest that polls memory.
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
    this.#pages.add(address, bytes);
    this.#ranges.push({ address, bytes, written });
    this.#lastFaults = NaN;
  }

  collect(): void {
    const faults = this.#faults.count;
    // NaN is unequal, too. The count is NaN when the process has ended, and its ranges go then.
    if (faults === this.#lastFaults) return;
    this.#lastFaults = faults;
    this.#ranges = this.#ranges.filter(({ address, bytes, written }) => this.#pages.scan(address, bytes, written));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#pages.close();
    this.#faults.close();
  }
}
