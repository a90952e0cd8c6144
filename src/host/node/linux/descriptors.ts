/**
 * Descriptors: the calls on file descriptors that Node lacks.
 *
 * Called by: acrn-programs/, and other files of this folder.
 *
 * Sources: socketpair(2), pidfd_open(2), pidfd_getfd(2), recv(2), close(2), socket(7).
 */

import { fstatSync, readlinkSync } from 'node:fs';
import { requireLibc, type PollHandle } from './libc.js';

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o200_0000;
const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;
// Numbers of system calls, the same on all processors.
const PIDFD_OPEN = 434;
const PIDFD_GETFD = 438;
const DRAIN_BYTES = 4096;
const SOL_SOCKET = 1;
const SO_LINGER = 13;
/** `struct linger`: on, for 0 s. */
const NO_LINGER = Int32Array.of(1, 0);
/** Links of /proc/self/fd of files whose close never waits. */
const CLOSED_AT_ONCE = /^(?:anon_inode:|\/memfd:)/;

/** One end of a pair of connected sockets. */
export interface SocketEnd {
  readonly fd: number;
  /** The name that proc(5) shows for each descriptor of this end, in any process. */
  readonly link: string;
}

export function closeDescriptor(fd: number): void {
  requireLibc().func('int close(int fd)')(fd);
}

/**
 * Closes a descriptor that another program passed. The last close of a socket waits for its
 * SO_LINGER, and that of a file for its file system, so another thread makes such calls.
 */
export function closeReceived(fd: number): void {
  const link = linkOf(process.pid, fd);
  if (link === undefined || CLOSED_AT_ONCE.test(link)) {
    closeDescriptor(fd);
    return;
  }
  const libc = requireLibc();
  if (link.startsWith('socket:'))
    libc.func('int setsockopt(int fd, int level, int name, const void *value, uint bytes)')(
      fd,
      SOL_SOCKET,
      SO_LINGER,
      NO_LINGER,
      NO_LINGER.byteLength,
    );
  void libc.asyncFunc('int close(int fd)')(fd);
}

/** Two connected sockets. Throws with errno if there can be no more descriptors. */
export function socketPair(): readonly [SocketEnd, SocketEnd] {
  const libc = requireLibc();
  const fds = new Int32Array(2);
  const pair = libc.func('int socketpair(int domain, int type, int protocol, _Out_ int *fds)');
  if (pair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) !== 0)
    throw new Error(`socketpair(2) failed: errno ${libc.errno()}`);
  const [a = -1, b = -1] = fds;
  return [endOf(a), endOf(b)];
}

function endOf(fd: number): SocketEnd {
  return { fd, link: `socket:[${fstatSync(fd).ino}]` };
}

/** The name of descriptor `fd` of a thread, as SocketEnd.link. Undefined if it is not open. */
export function linkOf(thread: number, fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/${thread}/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/**
 * Calls back once when every descriptor of the other end is closed, in all processes. What they
 * write is dropped.
 */
export function onPeerClosed(fd: number, onClosed: () => void): PollHandle {
  const libc = requireLibc();
  const bytes = new Uint8Array(DRAIN_BYTES);
  const receive = libc.func('int64_t recv(int fd, _Out_ uint8_t *bytes, size_t count, int flags)');
  const handle = libc.poll(fd, () => {
    const count = Number(receive(fd, bytes, DRAIN_BYTES, MSG_DONTWAIT));
    if (count > 0 || (count < 0 && [EAGAIN, EINTR].includes(libc.errno()))) return;
    handle.close();
    onClosed();
  });
  return handle;
}

/**
 * A copy of descriptor `fd` of the process `pid`, or −errno. The caller needs the right to trace
 * that process.
 */
export function copyDescriptor(pid: number, fd: number): number {
  const libc = requireLibc();
  const call = libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)');
  const process = Number(call(PIDFD_OPEN, pid, 0, 0));
  if (process < 0) return -libc.errno();
  const copy = Number(call(PIDFD_GETFD, process, fd, 0));
  const result = copy < 0 ? -libc.errno() : copy;
  closeDescriptor(process);
  return result;
}
