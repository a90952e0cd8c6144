/**
 * The hostile thread of the fuzz target "page": repeats a list of writes while its control word is
 * 1.
 *
 * Called by: PageArena, which posts each list and gets a message when the thread has stopped
 * writing.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { SharedWords } from '../../sync/shared-words.js';

export interface PageWrite {
  /** A word of the page. */
  readonly index: number;
  readonly value: number;
  /** Pause after the write, in rounds of a loop of relaxed loads: some nanoseconds each. */
  readonly pauseRounds: number;
}

export interface PageWriterData {
  readonly page: SharedArrayBuffer;
  /** Word 0 is 1 while the thread has to write. */
  readonly control: SharedArrayBuffer;
}

const port = parentPort;
if (port === null) throw new Error('the writer runs in a thread of its own');
const { page, control } = workerData as PageWriterData;
const words = new SharedWords(page);
const writing = new SharedWords(control);

port.on('message', (writes: readonly PageWrite[]) => {
  // Relaxed stores: a hostile thread does not order its writes.
  let rounds = 0;
  while (writing.load(0) !== 0 && writes.length > 0) {
    rounds++;
    for (const { index, value, pauseRounds } of writes) {
      words.storeRelaxed(index, value);
      for (let left = pauseRounds; left > 0; left--) writing.loadRelaxed(0);
    }
  }
  port.postMessage(rounds);
});
