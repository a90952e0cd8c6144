/**
 * RamCopy: a copy of a VM's RAM as it is while its vCPUs are held. With a hypervisor that logs
 * writes, most of it is copied before, while the guest runs, and under the hold only the pages that
 * were written since. Without a log, all of it is copied under the hold.
 *
 * Called by: takeSnapshot, in this order: `copyRunning`, the hold, `copyHeld`, the release, `stop`,
 * `pages`. `stop` must be called in any case.
 * Threads: the Service VM's. Work beside the running guest is done in slices, with turns of the
 * event loop between them, in which requests are handled.
 *
 * There is one round: a guest that writes faster than is copied is held for at most as long as
 * without a log.
 *
 * Ordering: the log is started before the first page is read, and taken after the vCPUs were held.
 * A page that is written while it is copied may be torn in the first copy. It is in the log, too.
 */

import type { Hypercalls } from '../../hypervisor/hypercalls.js';
import { PageSet } from '../../hypervisor/page-set.js';
import { PIECE_BYTES, takePages, type SparsePages } from '../../hypervisor/sparse-pages.js';
import { delay } from '../../sync/bounded-wait.js';
import { mergePages } from './merge-pages.js';

/** How long a slice may take, in ms, before the event loop has a turn. A piece is its least. */
const SLICE_MS = 2;

export class RamCopy {
  readonly #memory: Uint8Array;
  readonly #log: Hypercalls['writeLog'];
  /** Of each PIECE_BYTES of RAM. Empty without a log. */
  readonly #older: SparsePages[] = [];
  /** The pages that `#newer` replaces: all that are in the log. */
  readonly #replaced: PageSet;
  #newer: SparsePages | undefined;

  constructor({ memory, writeLog }: Pick<Hypercalls, 'memory' | 'writeLog'>) {
    this.#memory = memory.bytes;
    this.#log = writeLog;
    this.#replaced = new PageSet(memory.size);
  }

  /**
   * Starts the log, if there is one, and copies beside the running guest. Ends early if
   * `isRunning` is false at a turn: then there is nothing to save. Throws SNAPSHOT_REFUSED.
   */
  async copyRunning(isRunning: () => boolean): Promise<void> {
    if (this.#log === undefined) return;
    this.#log.start();
    await inSlices(this.#copyPieces(), isRunning);
  }

  /** Under the hold. What the guest writes later does not matter. Throws SNAPSHOT_REFUSED. */
  copyHeld(): void {
    if (this.#log === undefined) {
      this.#newer = takePages(this.#memory);
      return;
    }
    this.#log.take(this.#replaced);
    this.#newer = takePages(this.#memory, (page) => this.#replaced.has(page));
  }

  stop(): void {
    this.#log?.stop();
  }

  /** The pages as they were at `copyHeld`. To be called once. */
  async pages(): Promise<SparsePages> {
    if (this.#newer === undefined) throw new Error('the RAM was not copied');
    if (this.#log === undefined) return this.#newer;
    return inSlices(mergePages(this.#older, this.#newer, this.#replaced));
  }

  *#copyPieces(): Generator<void, void> {
    for (let start = 0; start < this.#memory.length; start += PIECE_BYTES) {
      this.#older.push(takePages(this.#memory.subarray(start, start + PIECE_BYTES)));
      yield;
    }
  }
}

/** Does `work` in slices. Results in undefined if `goOn`, before one of them, is false. */
function inSlices<Result>(work: Generator<void, Result>): Promise<Result>;
function inSlices<Result>(work: Generator<void, Result>, goOn: () => boolean): Promise<Result | undefined>;
async function inSlices<Result>(
  work: Generator<void, Result>,
  goOn: () => boolean = () => true,
): Promise<Result | undefined> {
  while (goOn()) {
    const endMs = performance.now() + SLICE_MS;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < endMs);
    await delay(0);
  }
  return undefined;
}
