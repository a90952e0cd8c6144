/**
 * lockFile: locks a disk file against other programs, by the convention of QEMU, so that QEMU and
 * its tools are among them.
 *
 * Called by: disk-file.ts. The lock ends with the descriptor, also if the process is killed.
 *
 * A user of an image holds a shared lock on one byte for each thing that it does, and on another
 * one for each thing that others must not do. Then it checks that no other user does what it
 * forbids, or forbids what it does. So two users that start at the same time both see the other
 * one, and none of them wins unnoticed. The locks are those of an open file description: two
 * descriptors of one process conflict too.
 *
 * Sources: fcntl(2), "Open file description locks"; QEMU's documentation of image locking.
 */

import { loadLibc, type Libc } from './libc.js';

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** struct flock: type, whence, start, length, pid. */
const FLOCK_BYTES = 32;

/** First byte of those for what a user does, and of those for what it forbids. */
const USED = 100;
const FORBIDDEN = 200;
// QEMU's numbers of what a user does.
const READ = 0;
const WRITE = 1;
const RESIZE = 3;

/**
 * `unavailable`: the host or the file system has no such locks. At `in-use` the caller closes the
 * descriptor, because some bytes stay locked.
 */
export function lockFile(fd: number, isWriter: boolean): 'locked' | 'in-use' | 'unavailable' {
  const libc = loadLibc();
  if (libc === undefined) return 'unavailable';
  const used = isWriter ? [READ, WRITE, RESIZE] : [READ];
  const forbidden = [WRITE, RESIZE];
  const own = [...used.map((what) => USED + what), ...forbidden.map((what) => FORBIDDEN + what)];
  for (const byte of own) if (!call(libc, fd, F_OFD_SETLK, flock(F_RDLCK, byte))) return 'unavailable';
  const others = [...used.map((what) => FORBIDDEN + what), ...forbidden.map((what) => USED + what)];
  for (const byte of others) {
    const lock = flock(F_WRLCK, byte);
    if (!call(libc, fd, F_OFD_GETLK, lock)) return 'unavailable';
    if (new DataView(lock.buffer).getInt16(0, true) !== F_UNLCK) return 'in-use';
  }
  return 'locked';
}

function call(libc: Libc, fd: number, command: number, lock: Uint8Array): boolean {
  return libc.func('int fcntl(int fd, int command, _Inout_ uint8_t *lock)')(fd, command, lock) === 0;
}

function flock(type: number, byte: number): Uint8Array<ArrayBuffer> {
  const lock = new Uint8Array(FLOCK_BYTES);
  const view = new DataView(lock.buffer);
  view.setInt16(0, type, true);
  view.setBigInt64(8, BigInt(byte), true);
  view.setBigInt64(16, 1n, true);
  return lock;
}
