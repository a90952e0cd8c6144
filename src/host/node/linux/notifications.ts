/**
 * Notifications: the supervisor's side of a seccomp filter. A call of a filtered thread waits until
 * it is answered here: with a result, with a descriptor that the caller gets, or by letting the
 * system execute it.
 *
 * Called by: acrn-programs/notified-program.ts and the files of that folder to which it passes a
 * call; injected-calls.ts; the self-test in acrn-programs/support.ts.
 *
 * An answer comes too late if the thread has ended or a signal interrupted the call, which then may
 * begin anew as another notification. So each answer returns whether it arrived.
 *
 * Source: seccomp_unotify(2), linux/seccomp.h of Linux 5.14.
 */

import { requireLibc, type Libc, type NativeFunction, type PollHandle } from './libc.js';

// Codes of the listener's ioctls (SECCOMP_IOCTL_NOTIF_*), and bytes of their structures.
const RECEIVE = 0xc050_2100;
const SEND = 0xc018_2101;
const IS_VALID = 0x4008_2102;
const ADD_FD = 0x4018_2103;
const NOTIFICATION_BYTES = 80;
const RESPONSE_BYTES = 24;
const SET_FLAGS = 0x4008_2104;
/** The waiting thread and the one that serves it run on the same CPU, one after the other. */
const SYNC_WAKE_UP = 1n;
const FLAG_CONTINUE = 1;
/** The descriptor is also the call's result. */
const ADD_FD_SEND = 2;
const O_CLOEXEC = 0o200_0000;
/** Of the arguments of the call. */
const ARGUMENT_OFFSETS = [32, 40, 48, 56, 64, 72];
const ERRNO_MAX = 4095;

/** A call that waits for its answer. */
export interface Notification {
  readonly id: bigint;
  /** The calling thread's number, as this process sees it. */
  readonly thread: number;
  readonly call: number;
  readonly args: readonly bigint[];
  /** The address behind the call's instruction. */
  readonly instruction: bigint;
}

export class Notifications {
  readonly fd: number;
  readonly #libc: Libc;
  readonly #ioctl: NativeFunction;
  readonly #poll: PollHandle;
  readonly #notification = new Uint8Array(NOTIFICATION_BYTES);
  readonly #notificationView = new DataView(this.#notification.buffer);
  readonly #response = new DataView(new ArrayBuffer(RESPONSE_BYTES));
  readonly #responseBytes = new Uint8Array(this.#response.buffer);
  readonly #id = new BigUint64Array(1);

  /** `fd`: Listener.fd of seccomp-filter.ts. `onCall` answers each call, at once or later. */
  constructor(fd: number, onCall: (notification: Notification) => void) {
    const libc = requireLibc();
    this.fd = fd;
    this.#libc = libc;
    this.#ioctl = libc.func('int ioctl(int fd, ulong code, void *argument)');
    // Linux 6.6. Older kernels refuse it.
    this.#ioctl(fd, SET_FLAGS, SYNC_WAKE_UP);
    this.#poll = libc.poll(fd, () => {
      const notification = this.#receive();
      if (notification !== undefined) onCall(notification);
    });
  }

  /** Lets the call return `result`, or fail if that is −errno. */
  answer({ id }: Notification, result: number): boolean {
    const isError = result < 0 && result >= -ERRNO_MAX;
    return this.#send(id, isError ? 0 : result, isError ? result : 0, 0);
  }

  /** Lets the system execute the call. */
  continue({ id }: Notification): boolean {
    return this.#send(id, 0, 0, FLAG_CONTINUE);
  }

  /** Gives the caller a copy of descriptor `fd`, and makes its number the call's result. */
  answerWithDescriptor({ id }: Notification, fd: number, closesOnExec: boolean): boolean {
    return this.#addFd(id, fd, ADD_FD_SEND, closesOnExec) >= 0;
  }

  /**
   * Gives the caller a copy of descriptor `fd`, which exec closes. Returns its number there, below
   * 0 if it failed.
   */
  give({ id }: Notification, fd: number): number {
    return this.#addFd(id, fd, 0, true);
  }

  /** Whether the caller still waits. Its thread number means something only while it does. */
  isWaiting({ id }: Notification): boolean {
    this.#id[0] = id;
    return this.#ioctl(this.fd, IS_VALID, this.#id) === 0;
  }

  /** Calls that wait fail from then on with ENOSYS. */
  close(): void {
    this.#poll.close();
    this.#libc.func('int close(int fd)')(this.fd);
  }

  /** Undefined if the call is over before it was received. */
  #receive(): Notification | undefined {
    // The system requires that the structure is zeroed.
    const bytes = this.#notification.fill(0);
    if (this.#ioctl(this.fd, RECEIVE, bytes) !== 0) return undefined;
    const view = this.#notificationView;
    // u64 id, u32 pid, u32 flags, then struct seccomp_data: int nr, u32 arch, u64 ip, u64 args[6].
    return {
      id: view.getBigUint64(0, true),
      thread: view.getUint32(8, true),
      call: view.getInt32(16, true),
      instruction: view.getBigUint64(24, true),
      args: ARGUMENT_OFFSETS.map((offset) => view.getBigUint64(offset, true)),
    };
  }

  #send(id: bigint, value: number, error: number, flags: number): boolean {
    const response = this.#response;
    response.setBigUint64(0, id, true);
    response.setBigInt64(8, BigInt(value), true);
    response.setInt32(16, error, true);
    response.setUint32(20, flags, true);
    return this.#ioctl(this.fd, SEND, this.#responseBytes) === 0;
  }

  #addFd(id: bigint, fd: number, flags: number, closesOnExec: boolean): number {
    const request = this.#response;
    request.setBigUint64(0, id, true);
    request.setUint32(8, flags, true);
    request.setUint32(12, fd, true);
    request.setUint32(16, 0, true);
    request.setUint32(20, closesOnExec ? O_CLOEXEC : 0, true);
    return Number(this.#ioctl(this.fd, ADD_FD, this.#responseBytes));
  }
}
