/**
 * OpenFiles: the open files of /dev/acrn_hsm in other processes. Such a file is one end of two
 * connected sockets. So the system does what it does with descriptors (dup, fork, exec, exit), and
 * this side notices when the last one is closed.
 *
 * Called by: acrn-server.ts, which creates it; notified-program.ts, path-calls.ts,
 * signal-returns.ts, program-socket.ts and shim-connection.ts; cli/hsm-session.ts for the counts.
 */

import type { HsmDevice } from '../acrn-hsm/hsm-device.js';
import type { HsmFile } from '../acrn-hsm/hsm-file.js';
import { LinuxEvents } from '../acrn-hsm/linux-events.js';
import { closeDescriptor, copyDescriptor, linkOf, onPeerClosed, socketPair } from '../host/node/linux/descriptors.js';
import type { MemoryFiles } from '../host/node/linux/memory-files.js';
import { processOf } from '../host/node/linux/process-facts.js';
import { ProcessMemory } from '../host/node/linux/process-memory.js';
import { ForeignEvents } from './foreign-events.js';
import { ForeignMemory } from './foreign-memory.js';
import type { PlacingWaker } from '../sync/waker.js';

/** Open files of all programs. */
export const MAX_OPEN_FILES = 256;
/** Descriptors whose file is remembered. Beyond it all are looked up again. */
const MAX_REMEMBERED = 1024;

export interface OpenFile {
  readonly hsm: HsmFile;
  /**
   * Its `pid` must be set before each call. CREATE_VM writes its result after a wait: if a process
   * and its child use one file at once, to the memory of the later caller.
   */
  readonly memory: ForeignMemory;
  readonly events: ForeignEvents;
  /** The process that opened it. */
  readonly process: number;
  /** As in OpenFilesOptions. */
  readonly waker: PlacingWaker | undefined;
}

export interface OpenFilesOptions {
  readonly device: HsmDevice;
  readonly files: MemoryFiles;
  /** Of the Service VM's thread, which calls this. */
  readonly waker: PlacingWaker | undefined;
  /** Called after a file was opened, and after a file was removed and its VM has ended. */
  readonly onChange?: () => void;
}

export class OpenFiles {
  /** The memory of all processes. */
  readonly memory = new ProcessMemory();
  readonly #options: OpenFilesOptions;
  readonly #events: LinuxEvents;
  readonly #open = new Set<OpenFile>();
  #opened = 0;
  /**
   * Files of `open`, whose descriptor is a socket, by the name that proc(5) shows for it. Files of
   * `add` are connections that their owner reads.
   */
  readonly #byLink = new Map<string, OpenFile>();
  /** By thread and descriptor. */
  readonly #remembered = new Map<string, OpenFile>();
  /**
   * End the files of `open`. They keep its poll: one that nothing refers to is collected, and ends
   * silently.
   */
  readonly #ends = new Map<OpenFile, () => void>();

  /** Rejects without koffi, and if this is not Linux. */
  static async create(options: OpenFilesOptions): Promise<OpenFiles> {
    const events = await LinuxEvents.load();
    if (events === undefined) throw new Error('koffi is not installed, or this is not Linux');
    return new OpenFiles(options, events);
  }

  private constructor(options: OpenFilesOptions, events: LinuxEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** Number of files that were opened so far. */
  get opened(): number {
    return this.#opened;
  }

  /** Number of files that are open. */
  get count(): number {
    return this.#open.size;
  }

  /** The processes that have opened a file. */
  get processes(): readonly number[] {
    return [...new Set([...this.#open].map(({ process }) => process))];
  }

  /** The file whose VM has this ID. */
  ofVm(vmId: number): OpenFile | undefined {
    return [...this.#open].find(({ hsm }) => hsm.vm?.id === vmId);
  }

  /**
   * open(2) of `thread`: `give` must pass a copy of the descriptor on and return whether that
   * worked. Returns false at MAX_OPEN_FILES, without a call of `give`.
   */
  open(thread: number, give: (fd: number) => boolean): boolean {
    if (this.#open.size >= MAX_OPEN_FILES) return false;
    const [own, given] = socketPair();
    const hasArrived = give(given.fd);
    closeDescriptor(given.fd);
    const process = processOf(thread) ?? thread;
    const copy = (fd: number): number => {
      const caller = file?.memory.pid ?? process;
      return copyDescriptor(processOf(caller) ?? caller, fd);
    };
    const file = hasArrived ? this.add(process, copy) : undefined;
    if (file === undefined) {
      closeDescriptor(own.fd);
      return true;
    }
    this.#byLink.set(given.link, file);
    const end = (): void => {
      this.#ends.delete(file);
      closeDescriptor(own.fd);
      this.#byLink.delete(given.link);
      this.remove(file);
    };
    const poll = onPeerClosed(own.fd, end);
    this.#ends.set(file, () => {
      poll.close();
      end();
    });
    return true;
  }

  /**
   * A file that `process` opens. The caller must remove it when its last descriptor is closed.
   * `copy`: as in ForeignEvents. Returns undefined at MAX_OPEN_FILES.
   */
  add(process: number, copy: (fd: number) => number): OpenFile | undefined {
    if (this.#open.size >= MAX_OPEN_FILES) return undefined;
    const memory = new ForeignMemory(process, this.memory, this.#options.files);
    const events = new ForeignEvents(copy, this.#events);
    const { device, waker } = this.#options;
    const file: OpenFile = { hsm: device.open(memory, events), memory, events, process, waker };
    this.#open.add(file);
    this.#opened++;
    this.#options.onChange?.();
    return file;
  }

  /**
   * Ends the files of `open`, which their processes cannot use any more. A poll must not outlive
   * this: one that fires while Node ends the process is a fatal error of koffi's.
   */
  close(): void {
    for (const end of this.#ends.values()) end();
  }

  /** Ends the file's VM. */
  remove(file: OpenFile): void {
    this.#open.delete(file);
    this.#remembered.clear();
    void file.hsm.close().then(() => {
      file.events.close();
      file.memory.close();
      this.#options.onChange?.();
    });
  }

  /**
   * The file behind descriptor `fd` of a thread. Undefined for any other descriptor. With
   * `mayBeOld`, an earlier result for the same thread and number is returned as long as the file is
   * open, although this descriptor of the file may have been closed since.
   */
  find(thread: number, fd: number, mayBeOld: boolean): OpenFile | undefined {
    const key = `${thread} ${fd}`;
    const known = mayBeOld ? this.#remembered.get(key) : undefined;
    if (known !== undefined) return known;
    const link = linkOf(thread, fd);
    const file = link === undefined ? undefined : this.#byLink.get(link);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    if (file !== undefined) this.#remembered.set(key, file);
    return file;
  }
}
