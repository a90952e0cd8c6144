/**
 * Threads of Node: `node:worker_threads` behind the Host's interface.
 *
 * Called by: node-host.ts.
 */

import { parentPort, Worker, workerData, type WorkerOptions } from 'node:worker_threads';
import type { FileUrl, HostThread, StartedThread, ThreadOptions } from '../host.js';

/** Names the message of a thread that calls process.exit(). */
const FORCED_EXIT = 'upcall.process.exit';

export function startThread(entry: FileUrl, options: ThreadOptions): HostThread {
  const { name, data, onMessage, onError, onExit } = options;
  const worker = new Worker(new URL(entry.href), { workerData: data, name, ...threadFlags() });
  allowListeners(1);
  // Node may report an error before messages that were posted before it, and the exit after both.
  let failure: Error | undefined;
  worker.on('message', (message: unknown) => {
    const exit = forcedExit(message);
    if (exit === undefined) onMessage(message);
    else failure ??= exit;
  });
  worker.on('error', (error: Error) => (failure ??= error));
  worker.once('exit', (code) => {
    allowListeners(-1);
    if (failure !== undefined) onError(failure);
    onExit(code);
  });
  return {
    terminate: async () => {
      await worker.terminate();
    },
  };
}

export function startedThread(): Promise<StartedThread> {
  const port = parentPort;
  if (port === null) return Promise.reject(new Error('this is not a thread that startThread started'));
  // Only in this event does the stack have the caller of process.exit().
  process.on('exit', (code) => {
    const stack = new Error().stack ?? '';
    if (/at process\.exit /.test(stack)) port.postMessage({ [FORCED_EXIT]: code, stack });
  });
  return Promise.resolve({
    data: workerData as unknown,
    post: (message) => port.postMessage(message),
    // A listener is what keeps a thread alive.
    keepAlive: () => void port.on('message', () => undefined),
    close: () => port.close(),
  });
}

/**
 * Node pipes the output of each thread into these, with a listener of its own, and warns of a leak
 * at the eleventh: a VM has up to 16 vCPU threads. 0 means no limit.
 */
function allowListeners(more: 1 | -1): void {
  for (const stream of [process.stdout, process.stderr]) {
    const limit = stream.getMaxListeners();
    if (limit > 0) stream.setMaxListeners(limit + more);
  }
}

/** The error for the thread's owner, if the message says that the thread called process.exit(). */
function forcedExit(message: unknown): Error | undefined {
  if (typeof message !== 'object' || message === null || !(FORCED_EXIT in message)) return undefined;
  const { [FORCED_EXIT]: code, stack } = message as { readonly [FORCED_EXIT]: number; readonly stack: string };
  return Object.assign(new Error(`process.exit(${code}) was called, where an error should be thrown`), { stack });
}

/**
 * Flags for a thread that runs a file. A thread inherits the process's flags, and `--input-type`,
 * which says what kind of text `node -e` was given, makes Node refuse every file.
 */
export function threadFlags(processFlags: readonly string[] = process.execArgv): Pick<WorkerOptions, 'execArgv'> {
  // No flags instead of the others: Node takes most of them from the process only, and refuses them
  // here.
  return processFlags.some((flag) => flag.startsWith('--input-type')) ? { execArgv: [] } : {};
}
