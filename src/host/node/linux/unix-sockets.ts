/**
 * UnixSockets: local sockets that can bring descriptors along, which Node does not have. The
 * messages of one keep their bounds and name the sender's process (SOCK_SEQPACKET), or it is a
 * stream (SOCK_STREAM).
 *
 * Called by: acrn-programs/, and descriptor-streams.ts for streams. local-sockets.ts uses
 * MAX_SOCKET_PATH.
 * Callers must: give paths of at most MAX_SOCKET_PATH bytes. Longer ones are cut. `listen` is for
 * the main thread: it sets the process's umask for a moment.
 *
 * All calls return at once: no socket here blocks.
 *
 * Sources: unix(7), recvmsg(2), cmsg(3); structures of 64-bit Linux.
 */

import { rmSync } from 'node:fs';
import { closeDescriptor } from './descriptors.js';
import { errnoName } from './errno-name.js';
import { requireLibc, type Libc, type NativeFunction } from './libc.js';

/** Bytes of a socket's path, without the 0 at its end. */
export const MAX_SOCKET_PATH = 107;
/** Descriptors that may be sent with one message. */
const MAX_DESCRIPTORS = 4;

// Constants by the names of the manual pages.
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o200_0000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_PASSCRED = 16;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
const MSG_CTRUNC = 8;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const EINTR = 4;
const EAGAIN = 11;
/** Connections that wait to be accepted. */
const BACKLOG = 64;
/** Of a socket's file: only its owner can connect. */
const OTHERS_MASK = 0o177;

// Bytes of struct sockaddr_un, struct ucred, struct cmsghdr and struct msghdr, and room for the
// ancillary data of a message.
const ADDRESS_BYTES = 2 + MAX_SOCKET_PATH + 1;
const CREDENTIALS_BYTES = 12;
const HEADER_BYTES = 16;
const MESSAGE_HEADER_BYTES = 56;
const CONTROL_BYTES = 128;
/** Default limit of a message. */
export const MESSAGE_BYTES = 1024;

export interface UnixSocketsOptions {
  /** Default: `messages`. The parts of a stream may arrive with any bounds. */
  readonly type?: 'messages' | 'stream';
  /** Limit of the bytes of one `receive`, `send` or `sendSome`. Default: MESSAGE_BYTES. */
  readonly messageBytes?: number;
}

/** Which process is at the other end, as the system says. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
}

export interface Received {
  /** Valid until the next call of `receive`. */
  readonly bytes: DataView;
  /** The sender. 0 on a stream, and if it has no number in this process's PID namespace. */
  readonly pid: number;
  /** Belong to the caller. */
  readonly descriptors: readonly number[];
  /**
   * Whether a part of the message or of its descriptors was lost, because there was no room for it.
   */
  readonly isCut: boolean;
}

export class SocketError extends Error {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}(2) failed: ${errnoName(errno)}`);
    this.errno = errno;
  }
}

export class UnixSockets {
  readonly #libc: Libc = requireLibc();
  readonly #recvmsg: NativeFunction;
  readonly #sendmsg: NativeFunction;
  readonly #isStream: boolean;
  readonly #message: Uint8Array<ArrayBuffer>;
  readonly #control = new DataView(new ArrayBuffer(CONTROL_BYTES));
  readonly #header = new DataView(new ArrayBuffer(MESSAGE_HEADER_BYTES));
  readonly #headerBytes = new Uint8Array(this.#header.buffer);
  readonly #controlAddress: bigint;
  /** struct iovec: where the message is, and its bytes. */
  readonly #part = new BigUint64Array(2);

  constructor({ type = 'messages', messageBytes = MESSAGE_BYTES }: UnixSocketsOptions = {}) {
    this.#isStream = type === 'stream';
    this.#message = new Uint8Array(messageBytes);
    this.#recvmsg = this.#libc.func('int64_t recvmsg(int fd, void *message, int flags)');
    this.#sendmsg = this.#libc.func('int64_t sendmsg(int fd, void *message, int flags)');
    // struct msghdr: its third word points at the parts, its fifth at the ancillary data.
    this.#part[0] = this.#libc.address(this.#message);
    this.#controlAddress = this.#libc.address(new Uint8Array(this.#control.buffer));
    this.#header.setBigUint64(16, this.#libc.address(this.#part), true);
    this.#header.setBigUint64(24, 1n, true);
    this.#header.setBigUint64(32, this.#controlAddress, true);
  }

  /** A listening socket at `path`, for this user only. Throws SocketError. */
  listen(path: string): number {
    const fd = this.#socket();
    const mask = process.umask(OTHERS_MASK);
    try {
      this.#atPath('bind', fd, path);
    } finally {
      process.umask(mask);
    }
    if (!this.#isStream) {
      const set = this.#libc.func('int setsockopt(int fd, int level, int option, const int *value, uint bytes)');
      // Accepted sockets inherit it. Messages that were sent before have their sender, too.
      set(fd, SOL_SOCKET, SO_PASSCRED, new Int32Array([1]), 4);
    }
    if (this.#libc.func('int listen(int fd, int backlog)')(fd, BACKLOG) === 0) return fd;
    const error = this.#failed('listen', fd);
    rmSync(path, { force: true });
    throw error;
  }

  /**
   * A socket that is connected to the one that listens at `path`. Throws SocketError, with EAGAIN
   * if BACKLOG others wait there for a program that accepts none.
   */
  connect(path: string): number {
    const fd = this.#socket();
    this.#atPath('connect', fd, path);
    return fd;
  }

  /**
   * The next connection, which belongs to the caller. Undefined also if this process has no
   * descriptor left for it: then it waits, and the listener stays readable.
   */
  accept(listener: number): number | undefined {
    const accept = this.#libc.func('int accept4(int fd, void *address, void *bytes, int flags)');
    const fd = Number(accept(listener, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd < 0) return undefined;
    return fd;
  }

  /**
   * The process at the other end: the one that has called `connect`, or the one that listens.
   * Throws SocketError.
   */
  peer(fd: number): Peer {
    const credentials = new Uint32Array(CREDENTIALS_BYTES / 4);
    const bytes = new Uint32Array([CREDENTIALS_BYTES]);
    const get = this.#libc.func('int getsockopt(int fd, int level, int option, void *value, void *bytes)');
    if (get(fd, SOL_SOCKET, SO_PEERCRED, credentials, bytes) !== 0)
      throw new SocketError('getsockopt', this.#libc.errno());
    const [pid = 0, uid = 0] = credentials;
    return { pid, uid };
  }

  /**
   * The path at which the peer of a connected socket listens, in its own view of the files. Throws
   * SocketError.
   */
  peerPath(fd: number): string {
    const address = new Uint8Array(ADDRESS_BYTES);
    const bytes = new Uint32Array([ADDRESS_BYTES]);
    if (this.#libc.func('int getpeername(int fd, void *address, void *bytes)')(fd, address, bytes) !== 0)
      throw new SocketError('getpeername', this.#libc.errno());
    const end = address.indexOf(0, 2);
    return Buffer.from(address.subarray(2, end < 0 ? undefined : end)).toString();
  }

  /** The next message. Undefined if none has arrived, `closed` at the end or after an error. */
  receive(fd: number): Received | 'closed' | undefined {
    this.#part[1] = BigInt(this.#message.length);
    this.#header.setBigUint64(40, BigInt(CONTROL_BYTES), true);
    const length = Number(this.#recvmsg(fd, this.#headerBytes, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    if (length < 0) {
      const errno = this.#libc.errno();
      return errno === EAGAIN || errno === EINTR ? undefined : 'closed';
    }
    const flags = this.#header.getUint32(48, true);
    const control = this.#readControl();
    // No bytes are the end, as messages have some.
    if (length === 0 && control.descriptors.length === 0) return 'closed';
    return {
      bytes: new DataView(this.#message.buffer, 0, length),
      ...control,
      isCut: (flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0,
    };
  }

  #readControl(): { readonly pid: number; readonly descriptors: readonly number[] } {
    const control = this.#control;
    const end = Number(this.#header.getBigUint64(40, true));
    let pid = 0;
    const descriptors: number[] = [];
    for (let at = 0; at + HEADER_BYTES <= end;) {
      // struct cmsghdr: length with itself, level, type.
      const length = Number(control.getBigUint64(at, true));
      const isOfSocket = control.getUint32(at + 8, true) === SOL_SOCKET;
      const type = isOfSocket ? control.getUint32(at + 12, true) : 0;
      const data = at + HEADER_BYTES;
      if (type === SCM_CREDENTIALS) pid = control.getUint32(data, true);
      else if (type === SCM_RIGHTS)
        for (let one = data; one + 4 <= at + length; one += 4) descriptors.push(control.getInt32(one, true));
      at += Math.max(HEADER_BYTES, (length + 7) & ~7);
    }
    return { pid, descriptors };
  }

  /**
   * Sends a message with descriptors, which stay the caller's. Returns false if there is no room or
   * the other end is closed. Throws RangeError for more bytes than UnixSocketsOptions.messageBytes,
   * or more than MAX_DESCRIPTORS.
   */
  send(fd: number, bytes: Uint8Array, descriptors: readonly number[] = []): boolean {
    if (bytes.length > this.#message.length || descriptors.length > MAX_DESCRIPTORS)
      throw new RangeError('message too long');
    this.#message.set(bytes);
    this.#part[1] = BigInt(bytes.length);
    const length = descriptors.length === 0 ? 0 : this.#addDescriptors(descriptors);
    this.#header.setBigUint64(40, BigInt(length), true);
    return Number(this.#sendmsg(fd, this.#headerBytes, MSG_DONTWAIT | MSG_NOSIGNAL)) === bytes.length;
  }

  /**
   * Sends the first bytes of a part of a stream. Returns how many: 0 if there is no room, −1 if the
   * other end is gone.
   */
  sendSome(fd: number, bytes: Uint8Array): number {
    const part = bytes.subarray(0, this.#message.length);
    this.#message.set(part);
    this.#part[1] = BigInt(part.length);
    this.#header.setBigUint64(40, 0n, true);
    const sent = Number(this.#sendmsg(fd, this.#headerBytes, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (sent >= 0) return sent;
    return [EAGAIN, EINTR].includes(this.#libc.errno()) ? 0 : -1;
  }

  /** Writes a struct cmsghdr and its data. Returns the end. */
  #addDescriptors(descriptors: readonly number[]): number {
    const length = HEADER_BYTES + 4 * descriptors.length;
    this.#control.setBigUint64(0, BigInt(length), true);
    this.#control.setUint32(8, SOL_SOCKET, true);
    this.#control.setUint32(12, SCM_RIGHTS, true);
    descriptors.forEach((fd, i) => this.#control.setInt32(HEADER_BYTES + 4 * i, fd, true));
    return (length + 7) & ~7;
  }

  #socket(): number {
    const create = this.#libc.func('int socket(int domain, int type, int protocol)');
    const type = this.#isStream ? SOCK_STREAM : SOCK_SEQPACKET;
    const fd = Number(create(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd < 0) throw new SocketError('socket', this.#libc.errno());
    return fd;
  }

  #atPath(call: 'bind' | 'connect', fd: number, path: string): void {
    const address = Buffer.alloc(ADDRESS_BYTES);
    address.writeUInt16LE(AF_UNIX);
    address.write(path, 2, MAX_SOCKET_PATH);
    if (this.#libc.func(`int ${call}(int fd, const void *address, uint bytes)`)(fd, address, ADDRESS_BYTES) !== 0)
      throw this.#failed(call, fd);
  }

  #failed(call: string, fd: number): SocketError {
    const error = new SocketError(call, this.#libc.errno());
    closeDescriptor(fd);
    return error;
  }
}
