/**
 * Host: what upcall needs of the JavaScript runtime that executes it, beyond the language and what
 * every host has (`performance`, `setTimeout`, `queueMicrotask`, `structuredClone`, `crypto`,
 * `WebAssembly`).
 *
 * Called by: the files that import `host` from current.ts: in hypervisor/, device-model/,
 * fault-injection/, vm/, acrn-hsm/, acrn-programs/, vfio-user/, cli/, testing/ and fuzzing/.
 * Implementations: node/node-host.ts. Where another host, above all a browser, may do something
 * else, the method says so.
 */

import type { DescriptorListener, DescriptorStream } from './descriptor-streams.js';
import type { DiskFile, DiskFileAccess } from './disk-file.js';
import type { EventFds } from './event-fds.js';
import type { ReadLimits } from './file-too-large.js';
import type { HostProgram } from './host-program.js';
import type { KernelLines, KvmCalls } from './kvm-calls.js';
import type { LocalSockets } from './local-sockets.js';
import type { MemoryArena } from './memory-arena.js';
import type { OutputFile } from './output-file.js';
import type { FolderOptions, SharedFolder } from './shared-folder.js';

/** A URL, for programs that are compiled without the types of the DOM and of Node. */
export interface FileUrl {
  readonly href: string;
}

export interface Host {
  /** Threads that can run at the same time, at least 1. */
  readonly cores: number;

  /**
   * Starts a thread that loads the module `entry`. Throws what structured cloning of `options.data`
   * throws, or the host's own error if there can be no more threads.
   */
  startThread(entry: FileUrl, options: ThreadOptions): HostThread;

  /**
   * In a thread that `startThread` started: its data and its way back. A promise because a
   * browser's worker gets its data as a message. Rejects in any other thread.
   */
  startedThread(): Promise<StartedThread>;

  /**
   * Lowers the scheduling priority of this thread by `steps` (0…19) of a nice value each. Does
   * nothing where threads have no priority of their own.
   */
  lowerPriority(steps: number): void;

  /** For the calling thread: moves threads between CPUs. Undefined where the host cannot. */
  placeThreads(): CpuPlacement | undefined;

  /**
   * Processor time of the process so far, in ms. A host that does not know it returns its
   * performance.now().
   */
  processorMs(): number;

  /**
   * Resolves after the event loop has handled what is ready now. Must be cheap: a worker calls it
   * often.
   */
  turn(): Promise<void>;

  /**
   * Rejects with the host's own error if `file` cannot be read, and with FileTooLargeError if it
   * exceeds `limits`. A browser takes it as a URL.
   */
  readFile(file: string, limits?: ReadLimits): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * Opens the file of a disk. Rejects with the host's own error, and with UnfitFileError if it is
   * not a regular file or has another user. A host without files may always reject.
   */
  openDiskFile(file: string, access: DiskFileAccess): Promise<DiskFile>;

  /**
   * Writes `parts` one after the other as the new contents of `file`. Other programs see the old
   * file or the new one, and after an error only the old one. Rejects with the host's own error.
   */
  replaceFile(file: string, parts: readonly Uint8Array[]): Promise<void>;

  /** Compresses to the format of gzip (RFC 1952), fast rather than small. */
  gzip(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;

  /**
   * Undoes `gzip`. Rejects with the host's own error if `bytes` are not as they were written, or
   * become more than `limitBytes`.
   */
  gunzip(bytes: Uint8Array, limitBytes: number): Promise<Uint8Array<ArrayBuffer>>;

  /** The name by which `readFile` and people find the file at `url`, which comes with upcall. */
  fileName(url: FileUrl): string;

  /**
   * The name of a file of an installed package, e.g. `v86/build/v86.wasm`. Rejects if it is not
   * there.
   */
  packageFile(file: string): Promise<string>;

  /** The engine that runs JavaScript and WebAssembly, with its exact version and processor. */
  readonly engine: string;

  /**
   * Compiles WebAssembly code that takes longer to optimise than optimising it would save. Engines
   * have a quick compiler for that; a host that cannot ask for it compiles as always. Returns a
   * WebAssembly.Module, whose type not all programs know, and throws what its constructor throws.
   */
  compileBaseline(bytes: Uint8Array<ArrayBuffer>): object;

  /**
   * As `compileBaseline`, for WebAssembly code of which only the parts that run for long are worth
   * optimising. A host whose engine sees to that, or cannot be asked for it, compiles as always.
   */
  compileOptimisedLate(bytes: Uint8Array<ArrayBuffer>): object;

  /** Makes `folder` and those above it that are missing. Rejects with the host's own error. */
  makeFolder(folder: string): Promise<void>;

  /**
   * Creates `file`, or empties it. Rejects with the host's own error, also for a pipe that no
   * program reads.
   */
  createFile(file: string): Promise<OutputFile>;

  /** The folder of what is kept between runs, or '' on a host without files. */
  readonly cacheFolder: string;

  /**
   * Whether an earlier run recorded `fact`, a file name. Never rejects. False on a host that keeps
   * nothing.
   */
  isRecorded(fact: string): Promise<boolean>;

  /** Records `fact` for later runs, if the host can. Never rejects. */
  record(fact: string): Promise<void>;

  /** Loads a module by its URL or path. Node's also takes TypeScript. */
  importModule(module: string): Promise<Record<string, unknown>>;

  /**
   * Loads a module and what it imports by relative paths anew, whatever was loaded before. Calls
   * `onFile` with the path of each of these files before it is read, also if it then fails. A host
   * that cannot do so rejects.
   */
  importAnew(module: string, onFile: (file: string) => void): Promise<Record<string, unknown>>;

  /** Starts to record where asynchronous work begins. Throws where the host cannot. */
  recordAsyncStacks(): AsyncStacks;

  /** Linux's eventfds, or undefined on other systems. */
  openEventFds(): Promise<EventFds | undefined>;

  /**
   * Opens a folder to share it with a guest. Rejects with FolderUnavailableError where the host
   * cannot do that safely, and with FolderError if it is not a folder that can be opened.
   */
  openFolder(path: string, options?: FolderOptions): Promise<SharedFolder>;

  /**
   * Streams between processes of this user, or undefined where the host has none. Rejects if it has
   * no private place for them.
   */
  openLocalSockets(): Promise<LocalSockets | undefined>;

  /**
   * Listens at the socket `path` for other programs of this user. Removes one at which no program
   * listens any more. Rejects with the host's own error: `code` is EADDRINUSE if one does, EEXIST
   * if a file of another kind is there, ENAMETOOLONG if no socket can have such a path.
   */
  listenForPrograms(path: string, onConnection: (stream: DescriptorStream) => void): Promise<DescriptorListener>;

  /**
   * Memory over which files of other programs can be mapped, or undefined where the host cannot, or
   * has not that much. `bytes`: a multiple of 64 KiB.
   */
  openMemoryArena(bytes: number): Promise<MemoryArena | undefined>;

  /** Linux's KVM, or undefined on other systems. Says nothing of whether it can be used. */
  openKvm(): Promise<KvmCalls | undefined>;

  /**
   * For the calling thread: the interrupt lines of a VM of the kernel, by its descriptor. Throws on
   * hosts without `openKvm`.
   */
  kernelLines(vm: number): KernelLines;

  /**
   * Starts a program of the machine. Its standard output is only for messages. Rejects with the
   * host's own error: `code` is ENOENT if there is no such program.
   */
  startProgram(program: string, parameters: readonly string[]): Promise<HostProgram>;
}

/** Where threads of this process run. Made by the thread that uses it. */
export interface CpuPlacement {
  /** This thread's number. */
  readonly thread: number;
  /**
   * Calls `wake`, which wakes the thread `sleeper` of this process, so that it wakes on another CPU
   * than this thread's, if it may run on another one.
   */
  wakeApart(sleeper: number, wake: () => void): void;
  /** As `wakeApart`, but `sleeper` wakes on this thread's CPU, if it may run there. */
  wakeHere(sleeper: number, wake: () => void): void;
  /** From now on this thread runs on `cpu` only. Returns whether it may. */
  pin(cpu: number): boolean;
  /** Undoes all `pin`s. */
  unpin(): void;
}

export interface ThreadOptions {
  /** For debuggers and lists of threads. */
  readonly name: string;
  /**
   * What the thread gets as its StartedThread.data, by structured cloning. Shared memory is shared.
   */
  readonly data: unknown;
  /** Called with what the thread posts, in its order. */
  readonly onMessage: (message: unknown) => void;
  /** The thread ended with an error that it did not catch. `onExit` follows. */
  readonly onError: (error: Error) => void;
  /** Called once, after the last message. `code`: the exit code, 0 on hosts without one. */
  readonly onExit: (code: number) => void;
}

export interface HostThread {
  /** Ends the thread wherever it is. Resolves when it has ended. */
  terminate(): Promise<void>;
}

/**
 * A thread's own side. There is no way to receive: a thread that blocks has no event loop to do so.
 */
export interface StartedThread {
  readonly data: unknown;
  /** Posts to `onMessage`, by structured cloning. Works in a thread that blocks afterwards. */
  post(message: unknown): void;
  /** Keeps this thread alive until `close`, also while it only awaits words of shared memory. */
  keepAlive(): void;
  /** Lets this thread end when its event loop has nothing left to do. */
  close(): void;
}

/**
 * The place where an asynchronous operation began. Reading `stack` formats it, which is expensive.
 */
export interface AsyncOrigin {
  readonly stack?: string;
}

export interface AsyncStacks {
  /**
   * Runs `callback`, and calls `onBegin` for each operation that begins on its behalf, then and
   * later.
   */
  run(onBegin: (origin: AsyncOrigin) => void, callback: () => void): void;
  /** Ends the recording. */
  close(): void;
}
