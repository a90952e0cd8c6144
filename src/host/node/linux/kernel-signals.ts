/**
 * KernelSignals: adds to the counters of eventfds as the kernel itself does, without ever waiting.
 *
 * write(2) waits while the counter is full, unless O_NONBLOCK is set, and that flag belongs to
 * everybody who has the eventfd: a program that passed one could stop this thread. Linux' AIO
 * signals an eventfd when an operation is done, and a full counter then stays full. The operation
 * here reads nothing from /dev/null.
 *
 * Called by: event-fds.ts.
 *
 * Sources: io_submit(2), io_setup(2), io_getevents(2), linux/aio_abi.h.
 */

import { openSync } from 'node:fs';
import type { Libc, NativeFunction } from './libc.js';

/** Of system calls on x86-64. */
const IO_SETUP = 206;
const IO_GETEVENTS = 208;
const IO_SUBMIT = 209;

/** Completions that the kernel's ring holds. It is emptied when it is full. */
const RING_ENTRIES = 64;
const IO_EVENT_BYTES = 32;

/** `struct iocb`, of which these fields are not 0. An opcode of 0 is a read. */
const IOCB_BYTES = 64;
const IocbOffset = { descriptor: 20, buffer: 24, flags: 56, eventFd: 60 } as const;
const IOCB_FLAG_RESFD = 1;

export class KernelSignals {
  readonly #call: NativeFunction;
  readonly #context: bigint;
  readonly #iocb = new DataView(new ArrayBuffer(IOCB_BYTES));
  /** An array of one pointer, to #iocb. */
  readonly #iocbs: BigUint64Array;
  readonly #events = new Uint8Array(RING_ENTRIES * IO_EVENT_BYTES);
  /** Of #iocbs and #events. */
  readonly #addresses: readonly [bigint, bigint];
  #completed = 0;

  /** Undefined on other processors than x86-64, and where the kernel or a sandbox has no AIO. */
  static open(libc: Libc): KernelSignals | undefined {
    if (process.arch !== 'x64') return undefined;
    const call = libc.func('int64_t syscall(int64_t n, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e)');
    const context = new BigUint64Array(1);
    if (Number(call(IO_SETUP, BigInt(RING_ENTRIES), libc.address(context), 0n, 0n, 0n)) !== 0) return undefined;
    return new KernelSignals(libc, call, context[0] as bigint);
  }

  private constructor(libc: Libc, call: NativeFunction, context: bigint) {
    this.#call = call;
    this.#context = context;
    const iocb = this.#iocb;
    this.#iocbs = BigUint64Array.of(libc.address(new Uint8Array(iocb.buffer)));
    iocb.setInt32(IocbOffset.descriptor, openSync('/dev/null', 'r'), true);
    iocb.setBigUint64(IocbOffset.buffer, libc.address(this.#events), true);
    iocb.setUint32(IocbOffset.flags, IOCB_FLAG_RESFD, true);
    this.#addresses = [libc.address(this.#iocbs), libc.address(this.#events)];
  }

  /** Adds 1 to the counter of `fd`. Does nothing if it is not an eventfd. */
  signal(fd: number): void {
    const [iocbs, events] = this.#addresses;
    this.#iocb.setInt32(IocbOffset.eventFd, fd, true);
    if (Number(this.#call(IO_SUBMIT, this.#context, 1n, iocbs, 0n, 0n)) !== 1) return;
    if (++this.#completed < RING_ENTRIES) return;
    this.#completed = 0;
    this.#call(IO_GETEVENTS, this.#context, 0n, BigInt(RING_ENTRIES), events, 0n);
  }
}
