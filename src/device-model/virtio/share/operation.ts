/**
 * Operation: how the server answers one type of request: its fields, the room that its answer
 * needs, and what it does.
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
   * Bytes of the answer behind its header. The request is refused if the client has no room for
   * them, before anything is done. Default: 0.
   */
  readonly replyBytes?: number;
  /** Adds the fields of the answer. A FolderError is the answer instead. */
  run(fields: Fields<List>, context: OperationContext): Promise<void> | void;
}

/** Keeps the types of the fields. */
export function operation<List extends FieldList>(one: Operation<List>): Operation {
  return one;
}

/** An operation that is not offered. */
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
