/**
 * NodeHost: the Host that is Node.js.
 *
 * Each vCPU and device has a thread, and each thread loads this file. So the parts that threads do
 * not use are loaded when they are called.
 *
 * Called by: the importers of `host` from ../current.ts.
 */

import { availableParallelism, getPriority, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Host } from '../host.js';
import { cacheFolder } from './cache-folder.js';
import { recordAsyncStacks } from './async-stacks.js';
import { kernelLines } from './linux/kernel-lines.js';
import { placeThreads } from './linux/placement.js';
import { startedThread, startThread } from './threads.js';
import { compileBaseline, compileOptimisedLate } from './wasm-tiers.js';

const MAX_NICENESS = 19;
/** To setPriority and getPriority. On Linux the calling thread, elsewhere the process. */
const THIS_THREAD = 0;

export const nodeHost: Host = {
  get cores() {
    return availableParallelism();
  },
  startThread,
  startedThread,
  lowerPriority,
  placeThreads,
  processorMs,
  turn: () => new Promise((resolve) => setImmediate(resolve)),
  readFile: async (file, limits) => (await import('./files.js')).readFile(file, limits),
  replaceFile: async (file, parts) => (await import('./replace-file.js')).replaceFile(file, parts),
  gzip: async (bytes) => (await import('./gzip.js')).gzip(bytes),
  gunzip: async (bytes, limitBytes) => (await import('./gzip.js')).gunzip(bytes, limitBytes),
  openDiskFile: async (file, access) => (await import('./disk-file.js')).openDiskFile(file, access),
  fileName: (url) => fileURLToPath(url.href),
  packageFile: async (file) => (await import('./files.js')).packageFile(file),
  engine: `node ${process.versions.node}, v8 ${process.versions.v8}, ${process.arch}`,
  compileBaseline,
  compileOptimisedLate,
  makeFolder: async (folder) => (await import('./files.js')).makeFolder(folder),
  createFile: async (file) => (await import('./files.js')).createFile(file),
  get cacheFolder() {
    return cacheFolder();
  },
  isRecorded: async (fact) => (await import('./recorded-facts.js')).isRecorded(fact),
  record: async (fact) => (await import('./recorded-facts.js')).record(fact),
  importModule: async (module) => (await import('./files.js')).importModule(module),
  importAnew: async (module, onFile) => (await import('./fresh-modules.js')).importAnew(module, onFile),
  recordAsyncStacks,
  openEventFds: async () => (await import('./linux/event-fds.js')).openEventFds(),
  openFolder: async (path, options) => (await import('./linux/folder/shared-folder.js')).openFolder(path, options),
  openLocalSockets: async () => (await import('./linux/local-sockets.js')).openLocalSockets(),
  listenForPrograms: async (path, onConnection) => {
    const { loadLibc } = await import('./linux/libc.js');
    if (loadLibc() === undefined)
      return (await import('./plain-streams.js')).listenWithoutDescriptors(path, onConnection);
    return (await import('./linux/descriptor-streams.js')).listenWithDescriptors(path, onConnection);
  },
  openMemoryArena: async (bytes) => (await import('./linux/memory-arena.js')).openMemoryArena(bytes),
  openKvm: async () => (await import('./linux/kvm-calls.js')).openKvm(),
  kernelLines,
  startProgram: async (program, parameters) => (await import('./programs.js')).startProgram(program, parameters),
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

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
