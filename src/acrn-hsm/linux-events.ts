/**
 * LinuxEvents: event objects over real Linux eventfds, where the package koffi is installed: the descriptors that another
 * process or a virtio back end hands over. Without it, LocalEvent is what there is.
 *
 * A difference to the driver: to hear of the next signal this side has to take the counter, so a reader elsewhere that
 * shares an eventfd with an irqfd finds it empty.
 */

import { readFileSync, readlinkSync } from 'node:fs';
import type { EventObject } from '../hsm/event-object.js';
import { Errno } from '../hsm/errno.js';
import type { EventTable } from './event-table.js';

const EFD_CLOEXEC = 0o200_0000;
const EFD_NONBLOCK = 0o4000;
const POLLIN = 1;
const COUNTER_BYTES = 8;
const EVENTFD_LINK = 'anon_inode:[eventfd]';
/** Descriptors that one table has looked at; a file's number is not an event's for ever. */
const MAX_KNOWN = 4096;

type NativeFunction = (...args: readonly (number | Uint8Array)[]) => number | bigint;

interface PollHandle {
  close(): void;
  unref(): void;
}

/** What is used of koffi; it is optional, and so are its types. */
interface Koffi {
  load(library: string): { func(declaration: string): NativeFunction };
  readonly node: {
    poll(fd: number, options: { readonly readable: boolean }, callback: () => void): PollHandle;
  };
}

export class LinuxEvents implements EventTable {
  readonly #koffi: Koffi;
  readonly #eventfd: NativeFunction;
  readonly #calls: Calls;
  /** By the kernel's own number of the eventfd: two descriptors of one are one event. */
  readonly #known = new Map<string, LinuxEvent>();

  /** Undefined where there is no Linux or no koffi. */
  static async load(): Promise<LinuxEvents | undefined> {
    if (process.platform !== 'linux') return undefined;
    const name = 'koffi';
    try {
      return new LinuxEvents(((await import(name)) as { default: Koffi }).default);
    } catch {
      return undefined;
    }
  }

  private constructor(koffi: Koffi) {
    this.#koffi = koffi;
    const libc = koffi.load('libc.so.6');
    this.#eventfd = libc.func('int eventfd(uint count, int flags)');
    this.#calls = {
      read: libc.func('int64_t read(int fd, _Out_ uint8_t *buffer, size_t bytes)'),
      write: libc.func('int64_t write(int fd, const uint8_t *buffer, size_t bytes)'),
      poll: libc.func('int poll(_Inout_ uint8_t *fds, ulong count, int timeout)'),
      close: libc.func('int close(int fd)'),
    };
  }

  /** A new eventfd; its number is `fd`. */
  create(): LinuxEvent {
    const fd = Number(this.#eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const event = this.lookup(fd);
    if (typeof event === 'number') throw new Error(`eventfd: error ${event}`);
    return event;
  }

  lookup(fd: number): LinuxEvent | number {
    let link: string;
    let id: string;
    try {
      link = readlinkSync(`/proc/self/fd/${fd}`);
      if (link !== EVENTFD_LINK) return Errno.EINVAL;
      id = /^eventfd-id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? `fd ${fd}`;
    } catch {
      return Errno.EBADF;
    }
    const known = this.#known.get(id);
    if (known !== undefined && !known.isClosed) return known;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const event = new LinuxEvent(fd, this.#koffi, this.#calls);
    this.#known.set(id, event);
    return event;
  }
}

interface Calls {
  readonly read: NativeFunction;
  readonly write: NativeFunction;
  readonly poll: NativeFunction;
  readonly close: NativeFunction;
}

export class LinuxEvent implements EventObject {
  readonly fd: number;
  readonly #koffi: Koffi;
  readonly #calls: Calls;
  readonly #signalled = new Set<() => void>();
  readonly #closed = new Set<() => void>();
  #handle: PollHandle | undefined;
  #isClosed = false;

  constructor(fd: number, koffi: Koffi, calls: Calls) {
    this.fd = fd;
    this.#koffi = koffi;
    this.#calls = calls;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isReadable(): boolean {
    if (this.#isClosed) return false;
    const request = new DataView(new ArrayBuffer(8));
    request.setInt32(0, this.fd, true);
    request.setInt16(4, POLLIN, true);
    return Number(this.#calls.poll(new Uint8Array(request.buffer), 1, 0)) > 0;
  }

  /** A counter that is full stays full, and is readable all the same. */
  signal(): void {
    if (this.#isClosed) return;
    const one = new Uint8Array(COUNTER_BYTES);
    one[0] = 1;
    this.#calls.write(this.fd, one, COUNTER_BYTES);
  }

  read(): bigint {
    const counter = new Uint8Array(COUNTER_BYTES);
    const bytes = this.#isClosed ? 0 : Number(this.#calls.read(this.fd, counter, COUNTER_BYTES));
    return bytes === COUNTER_BYTES ? new DataView(counter.buffer).getBigUint64(0, true) : 0n;
  }

  /** Signals that come before this process looks are one. */
  onSignal(listener: () => void): () => void {
    const entry = (): void => listener();
    this.#signalled.add(entry);
    this.#listen();
    return () => {
      this.#signalled.delete(entry);
      if (this.#signalled.size === 0) this.#stop();
    };
  }

  onClose(listener: () => void): () => void {
    const entry = (): void => listener();
    this.#closed.add(entry);
    return () => this.#closed.delete(entry);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#stop();
    this.#isClosed = true;
    for (const listener of [...this.#closed]) listener();
    this.#calls.close(this.fd);
  }

  #listen(): void {
    if (this.#handle !== undefined || this.#isClosed) return;
    this.#handle = this.#koffi.node.poll(this.fd, { readable: true }, () => {
      if (this.read() !== 0n) for (const listener of [...this.#signalled]) listener();
    });
    this.#handle.unref();
  }

  #stop(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }
}
