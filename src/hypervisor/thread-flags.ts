/**
 * Flags for threads that run a file. They have those of the process, of which one says what kind of text `node -e` was given
 * and makes Node refuse every file.
 */

import type { WorkerOptions } from 'node:worker_threads';

/** To be spread into a Worker's options. What is left out means the flags of the process. */
export function threadFlags(processFlags: readonly string[] = process.execArgv): Pick<WorkerOptions, 'execArgv'> {
  // None at all instead of the others: Node takes most of them from the process only, and refuses them here.
  return processFlags.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {};
}
