/** NodeHost: the Host that is Node.js. Each of its parts is a file of this folder. */

import { availableParallelism, getPriority, setPriority } from 'node:os';
import type { Host } from '../host.js';
import { recordAsyncStacks } from './async-stacks.js';
import { fileName, importModule, packageFile, readFile } from './files.js';
import { openEventFds } from './linux-event-fds.js';
import { startedThread, startThread } from './threads.js';

const MAX_NICENESS = 19;
const THIS_THREAD = 0;

export const nodeHost: Host = {
  get cores() {
    return availableParallelism();
  },
  startThread,
  startedThread,
  lowerPriority,
  turn: () => new Promise((resolve) => setImmediate(resolve)),
  readFile,
  fileName,
  packageFile,
  importModule,
  recordAsyncStacks,
  openEventFds,
};

/**
 * The niceness that the operator chose for the process is the base. Elsewhere than on Linux it is
 * the whole process's.
 */
function lowerPriority(steps: number): void {
  if (process.platform !== 'linux' || steps === 0) return;
  try {
    setPriority(THIS_THREAD, Math.min(MAX_NICENESS, getPriority(THIS_THREAD) + steps));
  } catch {
    // A sandbox forbids it: the guest is slower where cores are few, nothing else.
  }
}
