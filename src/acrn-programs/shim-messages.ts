/**
 * The messages between a server and its peers: programs with the shim (native/acrn-hsm-shim.c,
 * which has the same structures) and launchers (server-connection.ts).
 *
 * Called by: shim-connection.ts and server-connection.ts.
 */

import { MESSAGE_BYTES } from '../host/node/linux/unix-sockets.js';
import type { ForeignMapping } from './foreign-memory.js';

/** "UPC" and '1', the version of the messages. */
export const MAGIC = 0x3143_5055;
export const REQUEST_BYTES = 32;
export const REPLY_BYTES = 104;
const MAGIC_BYTES = 4;
export const MAX_LINE_BYTES = MESSAGE_BYTES - MAGIC_BYTES;
/** Mappings that a reply has room for. An ioctl makes one at most. */
export const MAX_REPLY_MAPPINGS = 4;

/**
 * What a peer can ask for. Each message but INTERRUPT and MAPPED brings a socket for its reply as
 * its first descriptor.
 */
export const Operation = {
  /** The connection becomes an open file. `argument`: as LAUNCH. */
  OPEN: 1,
  /** `descriptor`, if not −1, is the sender's number of the second descriptor. */
  IOCTL: 2,
  /** Ends the call of the same number, if it is an ATTACH, without a reply. */
  INTERRUPT: 3,
  /**
   * The connection becomes that of a launcher, which keeps it open while its program runs.
   * `argument`, if not 0: the address of a word that is MAGIC in the sender's memory. The result is
   * −EPERM if the server cannot read it there.
   */
  LAUNCH: 4,
  /**
   * From a launcher: the second descriptor is the listener of a program's filter. `argument`: 1 if
   * only fatal signals interrupt calls that were received (Listener), else 0.
   */
  LISTENER: 5,
  /**
   * The sender has done what the reply to the call of the same number says. `argument`: 0, or the
   * errno of what failed. Its only descriptor is the userfaultfd, if that was asked for.
   */
  MAPPED: 6,
} as const;

/**
 * Whether the server waits for MAPPED before it gives the result in another reply, and whether
 * MAPPED has to bring a userfaultfd.
 */
export const Confirm = { NOT: 0, MAPPED: 1, MAPPED_WITH_USERFAULT: 2 } as const;

export interface Request {
  readonly operation: number;
  readonly call: bigint;
  readonly argument: bigint;
  readonly code: number;
  readonly descriptor: number;
}

/** Returns undefined for bytes that are not a request of this version. */
export function parseRequest(bytes: DataView): Request | undefined {
  if (bytes.byteLength !== REQUEST_BYTES || bytes.getUint32(0, true) !== MAGIC) return undefined;
  return {
    operation: bytes.getUint32(4, true),
    call: bytes.getBigUint64(8, true),
    argument: bytes.getBigUint64(16, true),
    code: bytes.getUint32(24, true),
    descriptor: bytes.getInt32(28, true),
  };
}

export function requestBytes(request: Request): Uint8Array {
  const view = new DataView(new ArrayBuffer(REQUEST_BYTES));
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, request.operation, true);
  view.setBigUint64(8, request.call, true);
  view.setBigUint64(16, request.argument, true);
  view.setUint32(24, request.code, true);
  view.setInt32(28, request.descriptor, true);
  return new Uint8Array(view.buffer);
}

/**
 * At most MAX_REPLY_MAPPINGS mappings. The message must carry their descriptors in the same order.
 * `confirm`: of Confirm.
 */
export function replyBytes(result: number, mappings: readonly ForeignMapping[] = [], confirm = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(REPLY_BYTES));
  view.setInt32(0, result, true);
  view.setUint16(4, mappings.length, true);
  view.setUint16(6, confirm, true);
  mappings.forEach(({ address, bytes, offset }, i) => {
    const at = 8 + 24 * i;
    view.setBigUint64(at, address, true);
    view.setBigUint64(at + 8, BigInt(bytes), true);
    view.setBigUint64(at + 16, BigInt(offset), true);
  });
  return new Uint8Array(view.buffer);
}

/** A line for a launcher's terminal. What exceeds MAX_LINE_BYTES is cut. */
export function lineBytes(text: string): Uint8Array {
  const line = Buffer.from(text).subarray(0, MAX_LINE_BYTES);
  const view = new DataView(new ArrayBuffer(MAGIC_BYTES + line.length));
  view.setUint32(0, MAGIC, true);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(line, MAGIC_BYTES);
  return bytes;
}

/** Undefined for bytes that are not a line. */
export function lineText(bytes: DataView): string | undefined {
  if (bytes.byteLength < MAGIC_BYTES || bytes.getUint32(0, true) !== MAGIC) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset + MAGIC_BYTES, bytes.byteLength - MAGIC_BYTES).toString();
}

/** The result in a reply. Undefined for bytes that are not a reply. */
export function replyResult(bytes: DataView): number | undefined {
  return bytes.byteLength === REPLY_BYTES ? bytes.getInt32(0, true) : undefined;
}
