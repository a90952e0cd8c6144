/** Threads of Node: `node:worker_threads` behind the Host's interface. */

import { parentPort, Worker, workerData, type WorkerOptions } from 'node:worker_threads';
import type { FileUrl, HostThread, StartedThread, ThreadOptions } from '../host.js';

export function startThread(entry: FileUrl, options: ThreadOptions): HostThread {
  const { name, data, onMessage, onError, onExit } = options;
  const worker = new Worker(new URL(entry.href), { workerData: data, name, ...threadFlags() });
  worker.on('message', onMessage);
  worker.on('error', onError);
  worker.once('exit', onExit);
  return {
    terminate: async () => {
      await worker.terminate();
    },
  };
}

export function startedThread(): Promise<StartedThread> {
  const port = parentPort;
  if (port === null) return Promise.reject(new Error('this is not a thread that startThread started'));
  return Promise.resolve({
    data: workerData as unknown,
    post: (message) => port.postMessage(message),
    // A listener is what keeps a thread alive.
    keepAlive: () => void port.on('message', () => undefined),
    close: () => port.close(),
  });
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
