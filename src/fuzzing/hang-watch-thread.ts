/**
 * The thread of HangWatch (hang-watch.ts): checks once a second whether another input has started.
 * If none has for the time limit, it saves the last input and kills the process.
 *
 * Called by: HangWatch, as a worker thread. It ends with the process, or when HangWatch terminates
 * it.
 */

import { writeFileSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { SharedWords } from '../sync/shared-words.js';
import { HangWord, inputBytes } from './hang-words.js';

const CHECK_MS = 1000;
const STANDARD_ERROR = 2;

const { words, file, limitMs } = workerData as {
  readonly words: SharedArrayBuffer;
  readonly file: string;
  readonly limitMs: number;
};
const shared = new SharedWords(words);
let seen = 0;
let sinceMs = performance.now();
setInterval(() => {
  const count = shared.load(HangWord.COUNT);
  if (count !== seen) {
    seen = count;
    sinceMs = performance.now();
  }
  if (performance.now() - sinceMs < limitMs) return;
  writeFileSync(file, inputBytes(words).subarray(0, shared.load(HangWord.LENGTH)));
  writeSync(STANDARD_ERROR, `an input takes more than ${limitMs} ms; it is in ${file}\n`);
  process.kill(process.pid, 'SIGKILL');
}, CHECK_MS);
