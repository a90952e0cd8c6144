/**
 * Operation: how the server answers one type of request. It names the request's fields and the room
 * that the answer needs, and carries the request out.
 *
 * Called by: the files that define operations, and share-session.ts, which runs them.
 */

import { LinuxErrno } from '../../../host/linux-errno.js';
import { FolderError, type SharedFolder } from '../../../host/shared-folder.js';
import type { FidTable } from './fid-table.js';
import type { FieldList, Fields } from './message-fields.js';
import type { ReplyWriter } from './reply-writer.js';

/** What operations work on. */
export interface OperationContext {
  readonly folder: SharedFolder;
  readonly fids: FidTable;
  readonly reply: ReplyWriter;
}

export interface Operation<List extends FieldList = FieldList> {
  readonly fields: List;
  /**
   * Bytes of the answer behind its header, without its parts of variable length. If the client has
   * less room, the request is refused before `run`, with EMSGSIZE. Default: 0.
   */
  readonly replyBytes?: number;
  /**
   * Does what is asked, and adds the fields of the answer. If it throws or rejects with a
   * FolderError, that error is the answer. Anything else is a bug (ShareSessionOptions.onBug).
   */
  run(fields: Fields<List>, context: OperationContext): Promise<void> | void;
}

/** Infers the types of `run`'s fields from `fields`. */
export function operation<List extends FieldList>(one: Operation<List>): Operation {
  return one;
}

/** An operation that is not offered: the answer is always `errno`. */
export const refused = (fields: FieldList, errno: keyof typeof LinuxErrno): Operation => ({
  fields,
  run: () => {
    throw new FolderError(errno);
  },
});

/** The value as a number. Larger ones saturate at Number.MAX_SAFE_INTEGER. */
export function boundedNumber(value: bigint): number {
  return Number(value < BigInt(Number.MAX_SAFE_INTEGER) ? value : BigInt(Number.MAX_SAFE_INTEGER));
}
