/**
 * ShareSession: the 9P2000.L server of one driver of the guest. It takes requests and answers them.
 *
 * Called by: share-device.ts.
 *
 * Requests are served concurrently and answered in any order. The answer to a request that fails or
 * is malformed is Rlerror with Linux' error number.
 */

import { host } from '../../../host/current.js';
import { LinuxErrno } from '../../../host/linux-errno.js';
import { FolderError, type SharedFolder } from '../../../host/shared-folder.js';
import { FidTable } from './fid-table.js';
import { readFields } from './message-fields.js';
import { OPERATIONS } from './operations.js';
import {
  ERROR_BYTES,
  ERROR_TYPE,
  HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  MIN_MESSAGE_BYTES,
  NO_TAG,
  RequestType,
  UNKNOWN_VERSION,
  VERSION,
} from './protocol.js';
import { ReplyWriter } from './reply-writer.js';

export interface ShareSessionOptions {
  readonly folder: SharedFolder;
  /**
   * An operation threw an error that is not a FolderError: a bug. The request is answered by EIO.
   */
  readonly onBug: (error: unknown) => void;
}

export class ShareSession {
  readonly #folder: SharedFolder;
  readonly #onBug: (error: unknown) => void;
  /** The requests that are being served, by their tags. The promises never reject. */
  readonly #running = new Map<number, Promise<Uint8Array>>();
  /** Undefined before the first Tversion. */
  #fids: FidTable | undefined;
  /** Bytes of a message, as agreed. */
  #messageBytes = MAX_MESSAGE_BYTES;

  constructor({ folder, onBug }: ShareSessionOptions) {
    this.#folder = folder;
    this.#onBug = onBug;
  }

  /**
   * Serves `request`, which may be any bytes and must not change meanwhile. Resolves to the answer,
   * of at most `room` bytes. It is empty if `room` is less than ERROR_BYTES. Never rejects.
   */
  async serve(request: Uint8Array<ArrayBuffer>, room: number): Promise<Uint8Array> {
    const view = new DataView(request.buffer, request.byteOffset, request.length);
    const tag = request.length < HEADER_BYTES ? NO_TAG : view.getUint16(5, true);
    if (room < ERROR_BYTES) return new Uint8Array(0);
    if (request.length < HEADER_BYTES || view.getUint32(0, true) !== request.length)
      return errorReply(tag, LinuxErrno.EPROTO);
    if (this.#running.has(tag)) return errorReply(tag, LinuxErrno.EPROTO);
    const reply = new ReplyWriter(Math.min(room, this.#messageBytes));
    const running = this.#run(request, reply, tag);
    this.#running.set(tag, running);
    const answer = await running;
    this.#running.delete(tag);
    return answer;
  }

  /** Clunks all fids. Resolves when no request is being served. */
  async close(): Promise<void> {
    this.#fids?.close();
    this.#fids = undefined;
    await Promise.all(this.#running.values());
  }

  async #run(request: Uint8Array<ArrayBuffer>, reply: ReplyWriter, tag: number): Promise<Uint8Array> {
    const type = request[4] as number;
    try {
      await this.#operate(type, request, reply, tag);
      return reply.finish(type + 1, tag);
    } catch (error) {
      if (error instanceof FolderError) return errorReply(tag, error.errno);
      this.#onBug(error);
      return errorReply(tag, LinuxErrno.EIO);
    }
  }

  #operate(type: number, request: Uint8Array<ArrayBuffer>, reply: ReplyWriter, tag: number): Promise<void> | void {
    if (request.length > this.#messageBytes) throw new FolderError('EMSGSIZE');
    if (type === RequestType.version) {
      this.#agree(request, reply);
      return;
    }
    if (type === RequestType.flush) return this.#flush(request, tag);
    const operation = OPERATIONS.get(type);
    if (operation === undefined) throw new FolderError('EOPNOTSUPP', `there is no request ${type}`);
    const fids = this.#fids;
    if (fids === undefined) throw new FolderError('EPROTO', 'there was no Tversion');
    const fields = readFields(operation.fields, request);
    if (reply.room < (operation.replyBytes ?? 0)) throw new FolderError('EMSGSIZE');
    return operation.run(fields, { folder: this.#folder, fids, reply });
  }

  /** Tversion begins a new session. Requests that still run belong to the old one. */
  #agree(request: Uint8Array<ArrayBuffer>, reply: ReplyWriter): void {
    const { messageBytes, version } = readFields({ messageBytes: 'u32', version: 'string' }, request);
    if (messageBytes < MIN_MESSAGE_BYTES) throw new FolderError('EMSGSIZE');
    this.#fids?.close();
    this.#messageBytes = Math.min(messageBytes, MAX_MESSAGE_BYTES);
    const isKnown = new TextDecoder().decode(version) === VERSION;
    this.#fids = isKnown ? new FidTable() : undefined;
    reply.u32(this.#messageBytes).string(new TextEncoder().encode(isKnown ? VERSION : UNKNOWN_VERSION));
  }

  /** Tflush aborts nothing. Its answer comes after that to the request which it names. */
  async #flush(request: Uint8Array<ArrayBuffer>, tag: number): Promise<void> {
    const { oldTag } = readFields({ oldTag: 'u16' }, request);
    if (oldTag === tag) return;
    await this.#running.get(oldTag);
    // The device pushes that answer in a later microtask than this one.
    await host.turn();
  }
}

function errorReply(tag: number, errno: number): Uint8Array {
  return new ReplyWriter(ERROR_BYTES).u32(errno).finish(ERROR_TYPE, tag);
}
