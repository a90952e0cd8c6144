/**
 * PathCalls: the calls of a program under a seccomp filter that name a path. Those for
 * /dev/acrn_hsm are answered as for a character device that the program may open. With
 * ServiceVmFiles, so are opens of its paths and tests of their existence. All other calls are left
 * to the system.
 *
 * Called by: notified-program.ts. acrn-server.ts creates one for each program.
 *
 * Sources: the manual pages of the calls; struct stat of x86-64, struct statx.
 */

import { readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import { Errno } from '../io-request/errno.js';
import type { OpenFiles } from './open-files.js';
import type { ServiceVmFiles } from './service-vm-files.js';

export const DEVICE_PATH = '/dev/acrn_hsm';
const NAME = posix.basename(DEVICE_PATH);

const O_CLOEXEC = 0o200_0000n;
const AT_FDCWD = -100;
const CHARACTER_DEVICE = 0o20_600;
/** The major number of misc devices. The driver registers as one. */
const MAJOR = 10;
const STAT_BYTES = 144;
const STATX_BYTES = 256;
const STATX_BASIC_STATS = 0x7ff;

/** Which argument, by index, is what. */
interface PathCall {
  readonly path: number;
  /** The folder of a relative path. */
  readonly folder?: number;
  /** The flags of open(2), or with `isHow` the address of struct open_how. */
  readonly flags?: number;
  readonly isHow?: true;
  readonly stat?: number;
  readonly statx?: number;
}

const CALLS: ReadonlyMap<number, PathCall> = new Map<number, PathCall>([
  [SystemCall.open, { path: 0, flags: 1 }],
  [SystemCall.openat, { folder: 0, path: 1, flags: 2 }],
  [SystemCall.openat2, { folder: 0, path: 1, flags: 2, isHow: true }],
  [SystemCall.stat, { path: 0, stat: 1 }],
  [SystemCall.lstat, { path: 0, stat: 1 }],
  [SystemCall.newfstatat, { folder: 0, path: 1, stat: 2 }],
  [SystemCall.statx, { folder: 0, path: 1, statx: 4 }],
  [SystemCall.access, { path: 0 }],
  [SystemCall.faccessat, { folder: 0, path: 1 }],
  [SystemCall.faccessat2, { folder: 0, path: 1 }],
]);

export class PathCalls {
  readonly #files: OpenFiles;
  readonly #machine: ServiceVmFiles | undefined;

  /** `machine`: answers paths of the machine that ACRN's device model runs on. Default: none. */
  constructor(files: OpenFiles, machine?: ServiceVmFiles) {
    this.#files = files;
    this.#machine = machine;
  }

  /** Answers the call. Returns false if it is the system's. */
  serve(notification: Notification, notifications: Notifications): boolean {
    const call = CALLS.get(notification.call);
    if (call === undefined) return false;
    const path = this.#path(notification, call);
    if (path !== DEVICE_PATH) return path !== undefined && this.#serveMachine(path, call, notification, notifications);
    const { thread, args } = notification;
    if (call.flags !== undefined) {
      const closesOnExec = (this.#flags(notification, call) & O_CLOEXEC) !== 0n;
      const isOpen = this.#files.open(thread, (fd) =>
        notifications.answerWithDescriptor(notification, fd, closesOnExec),
      );
      if (!isOpen) notifications.answer(notification, Errno.EMFILE);
      return true;
    }
    let isWritten = true;
    if (call.stat !== undefined) isWritten = this.#files.memory.write(thread, args[call.stat] ?? 0n, stat());
    else if (call.statx !== undefined) isWritten = this.#files.memory.write(thread, args[call.statx] ?? 0n, statx());
    notifications.answer(notification, isWritten ? 0 : Errno.EFAULT);
    return true;
  }

  /** Answers a call for a path of ServiceVmFiles. Returns false for any other path. */
  #serveMachine(path: string, call: PathCall, notification: Notification, notifications: Notifications): boolean {
    if (this.#machine === undefined) return false;
    if (call.flags !== undefined) {
      const closesOnExec = (this.#flags(notification, call) & O_CLOEXEC) !== 0n;
      return this.#machine.open(path, (fd) => void notifications.answerWithDescriptor(notification, fd, closesOnExec));
    }
    // Of the other calls only access(2) and its variants are answered: the device model makes no
    // stat(2) of these paths.
    if (call.stat !== undefined || call.statx !== undefined || !this.#machine.has(path)) return false;
    notifications.answer(notification, 0);
    return true;
  }

  /** The path, if it may be one that is answered here. */
  #path({ thread, args }: Notification, call: PathCall): string | undefined {
    const path = this.#files.memory.readText(thread, args[call.path] ?? 0n);
    if (path === undefined) return undefined;
    if (path.startsWith('/')) return posix.normalize(path);
    if (!path.endsWith(NAME)) return undefined;
    const folder = call.folder === undefined ? AT_FDCWD : Number(BigInt.asIntN(32, args[call.folder] ?? 0n));
    try {
      const link = folder === AT_FDCWD ? 'cwd' : `fd/${folder}`;
      return posix.join(readlinkSync(`/proc/${thread}/${link}`), path);
    } catch {
      return undefined;
    }
  }

  #flags({ thread, args }: Notification, call: PathCall): bigint {
    const flags = args[call.flags ?? 0] ?? 0n;
    if (call.isHow !== true) return flags;
    const how = new BigUint64Array(1);
    return this.#files.memory.read(thread, flags, new Uint8Array(how.buffer)) ? (how[0] ?? 0n) : 0n;
  }
}

function stat(): Uint8Array {
  const view = new DataView(new ArrayBuffer(STAT_BYTES));
  view.setBigUint64(16, 1n, true); // st_nlink
  view.setUint32(24, CHARACTER_DEVICE, true); // st_mode
  view.setBigUint64(40, BigInt(MAJOR << 8), true); // st_rdev
  return new Uint8Array(view.buffer);
}

function statx(): Uint8Array {
  const view = new DataView(new ArrayBuffer(STATX_BYTES));
  view.setUint32(0, STATX_BASIC_STATS, true); // stx_mask
  view.setUint32(16, 1, true); // stx_nlink
  view.setUint16(28, CHARACTER_DEVICE, true); // stx_mode
  view.setUint32(128, MAJOR, true); // stx_rdev_major
  return new Uint8Array(view.buffer);
}
