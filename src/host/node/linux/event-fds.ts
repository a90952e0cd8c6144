/**
 * LinuxEventFds: eventfds by the system calls of libc. Node has no eventfds.
 *
 * Called by: node-host.ts, as `Host.openEventFds`.
 *
 * Other programs have the same eventfds and set O_NONBLOCK as they like, so calls must not wait
 * whatever it is.
 *
 * Sources: eventfd(2), poll(2), preadv2(2), proc_pid_fdinfo(5).
 */

import { readFileSync, readlinkSync } from 'node:fs';
import type { EventFds } from '../../event-fds.js';
import { closeReceived } from './descriptors.js';
import { KernelSignals } from './kernel-signals.js';
import { loadLibc, type Libc, type NativeFunction } from './libc.js';

// Flags by the names of the manual pages.
const EFD_CLOEXEC = 0o200_0000;
const EFD_NONBLOCK = 0o4000;
const F_GETFL = 3;
const F_SETFL = 4;
const RWF_NOWAIT = 8;
const EOPNOTSUPP = 95;
/** For preadv2(2): not at an offset. */
const NO_OFFSET = -1;
const POLLIN = 1;
/** struct pollfd: the descriptor, the awaited events, the events that were found. */
const POLLFD_BYTES = 8;
const POLLFD_EVENTS = 4;
const POLLFD_FOUND = 6;
/** An eventfd is read and written as a u64. */
const COUNTER_BYTES = 8;
/** Where the link in /proc/self/fd of an eventfd points. */
const EVENTFD_LINK = 'anon_inode:[eventfd]';

/** Of this thread. It holds a descriptor and one of the AIO contexts, whose number is limited. */
let opened: LinuxEventFds | undefined;

/** Returns undefined if this is not Linux or koffi is not installed. */
export function openEventFds(): EventFds | undefined {
  const libc = loadLibc();
  if (libc !== undefined) opened ??= new LinuxEventFds(libc);
  return opened;
}

class LinuxEventFds implements EventFds {
  readonly #libc: Libc;
  readonly #eventfd: NativeFunction;
  readonly #read: NativeFunction;
  readonly #readNow: NativeFunction;
  readonly #write: NativeFunction;
  readonly #poll: NativeFunction;
  readonly #signals: KernelSignals | undefined;
  readonly #counter = new Uint8Array(COUNTER_BYTES);
  /** `struct iovec` of #counter. */
  readonly #vector: BigUint64Array;
  /** Kernels before 5.9 cannot read an eventfd so. */
  #canReadNow = true;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#eventfd = libc.func('int eventfd(uint count, int flags)');
    this.#read = libc.func('int64_t read(int fd, _Out_ uint8_t *buffer, size_t bytes)');
    this.#write = libc.func('int64_t write(int fd, const uint8_t *buffer, size_t bytes)');
    this.#poll = libc.func('int poll(_Inout_ uint8_t *fds, ulong count, int timeout)');
    this.#readNow = libc.func('int64_t preadv2(int fd, const void *vector, int n, int64_t offset, int flags)');
    this.#signals = KernelSignals.open(libc);
    this.#vector = BigUint64Array.of(libc.address(this.#counter), BigInt(COUNTER_BYTES));
  }

  create(): number {
    const fd = Number(this.#eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (fd < 0) throw new Error('eventfd(2) failed: too many descriptors are open');
    return fd;
  }

  identify(fd: number): { readonly id: string } | 'not-open' | 'not-an-eventfd' {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== EVENTFD_LINK) return 'not-an-eventfd';
      // Kernels before 5.2 give no eventfd-id: then two descriptors of one eventfd are two events.
      const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
      return { id: /^eventfd-id:\s*(\d+)/m.exec(info)?.[1] ?? `fd ${fd}` };
    } catch {
      return 'not-open';
    }
  }

  adopt(fd: number): boolean {
    if (typeof this.identify(fd) === 'string') return false;
    if (this.#signals !== undefined) return true;
    const control = this.#libc.func('int fcntl(int fd, int command, int argument)');
    const flags = Number(control(fd, F_GETFL, 0));
    return flags >= 0 && Number(control(fd, F_SETFL, flags | EFD_NONBLOCK)) === 0;
  }

  isReadable(fd: number): boolean {
    return this.readableOf([fd]).length > 0;
  }

  readableOf(fds: readonly number[]): number[] {
    if (fds.length === 0) return [];
    const request = new DataView(new ArrayBuffer(POLLFD_BYTES * fds.length));
    fds.forEach((fd, index) => {
      request.setInt32(POLLFD_BYTES * index, fd, true);
      request.setInt16(POLLFD_BYTES * index + POLLFD_EVENTS, POLLIN, true);
    });
    if (Number(this.#poll(new Uint8Array(request.buffer), fds.length, 0)) <= 0) return [];
    return fds.filter((_, index) => (request.getInt16(POLLFD_BYTES * index + POLLFD_FOUND, true) & POLLIN) !== 0);
  }

  read(fd: number): bigint {
    const bytes = this.#readCounter(fd);
    return bytes === COUNTER_BYTES ? new DataView(this.#counter.buffer).getBigUint64(0, true) : 0n;
  }

  #readCounter(fd: number): number {
    if (this.#canReadNow) {
      const bytes = Number(this.#readNow(fd, this.#vector, 1, NO_OFFSET, RWF_NOWAIT));
      if (bytes >= 0 || this.#libc.errno() !== EOPNOTSUPP) return bytes;
      this.#canReadNow = false;
    }
    return Number(this.#read(fd, this.#counter, COUNTER_BYTES));
  }

  write(fd: number): void {
    if (this.#signals !== undefined) {
      this.#signals.signal(fd);
      return;
    }
    const one = new Uint8Array(COUNTER_BYTES);
    one[0] = 1;
    this.#write(fd, one, COUNTER_BYTES);
  }

  close(fd: number): void {
    closeReceived(fd);
  }

  poll(fd: number, onReadable: () => void): { close(): void } {
    return this.#libc.poll(fd, onReadable);
  }
}
