/**
 * The thread of StallWatch: checks that the watched event loop turns. While it does not, it
 * interrupts the watched thread once a second, wherever that runs JavaScript or waits on a word of
 * shared memory.
 *
 * Started by: stall-watch.ts.
 */

import { writeSync } from 'node:fs';
import { Session } from 'node:inspector';
import { parentPort, workerData } from 'node:worker_threads';
import { SharedWords } from '../sync/shared-words.js';
import { BEAT_MS, INTERRUPT_NAME, STALL_CHECKS, StallWord, type StallWatchData } from './stall-watch-words.js';

/** Checks between two interruptions: a second. */
const CHECKS_PER_INTERRUPT = 4;
/**
 * If no interruption has arrived this many checks (4 s) after the first was sent, the thread is in
 * native code.
 */
const NATIVE_CHECKS = 16;

const { words: buffer, fd } = workerData as StallWatchData;
const words = new SharedWords(buffer);
const expression = `globalThis[Symbol.for(${JSON.stringify(INTERRUPT_NAME)})]?.()`;
let beats = words.load(StallWord.BEATS);
let interrupted = words.load(StallWord.INTERRUPTED);
/** Checks since the last beat. Not the time since: a process that is stopped makes none. */
let checks = 0;
/** Open during a stall only. */
let session: Session | undefined;

function check(): void {
  const now = words.load(StallWord.BEATS);
  if (now !== beats) {
    beats = now;
    checks = 0;
    interrupted = words.load(StallWord.INTERRUPTED);
    session?.disconnect();
    session = undefined;
    return;
  }
  checks++;
  const stalled = checks - STALL_CHECKS;
  if (stalled >= 0 && stalled % CHECKS_PER_INTERRUPT === 0) interrupt();
  if (stalled === NATIVE_CHECKS && words.load(StallWord.INTERRUPTED) === interrupted)
    writeSync(
      fd,
      `upcall: a device keeps the Service VM's thread in native code, where it cannot be interrupted: end it with kill -9 ${process.pid}\n`,
    );
}

function interrupt(): void {
  if (session === undefined) {
    session = new Session();
    session.connectToMainThread();
  }
  // The answer waits for the event loop, so it is not awaited.
  session.post('Runtime.evaluate', { expression });
}

setInterval(check, BEAT_MS);
parentPort?.postMessage('ready');
