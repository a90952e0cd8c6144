/**
 * Treaddir: the names in an open directory, from a position on.
 *
 * Called by: operations.ts.
 *
 * Positions count the entries of one listing: 0 is `.`, 1 is `..`, then come the names. Position 0
 * lists again. An entry whose file has been removed since is left out.
 */

import { FolderError, type FileStatus, type FolderNode } from '../../../host/shared-folder.js';
import { ListedNames } from './listed-names.js';
import { boundedNumber, operation } from './operation.js';
import { QID_BYTES } from './protocol.js';

/** qid[13] offset[8] type[1] and the length of the name. */
const ENTRY_BYTES = QID_BYTES + 8 + 1 + 2;
/** Files whose attributes are read concurrently. */
const STATUS_BATCH = 16;
const DOTS = [Uint8Array.of(0x2e), Uint8Array.of(0x2e, 0x2e)] as const;
/** The values of d_type in readdir(3). */
const ENTRY_TYPE = { directory: 4, file: 8, link: 10, other: 0 } as const;

interface Entry {
  readonly name: Uint8Array;
  readonly status: FileStatus;
  /** The position of the entry after it, where the client goes on. */
  readonly next: number;
}

export const readDirectory = operation({
  fields: { fid: 'u32', offset: 'u64', count: 'u32' },
  replyBytes: 4,
  async run({ fid, offset, count }, { fids, reply }) {
    const directory = fids.get(fid);
    const { node } = directory;
    if (!directory.isOpen) throw new FolderError('EBADF');
    if (node.kind !== 'directory') throw new FolderError('ENOTDIR');
    if (directory.names === undefined || offset === 0n) directory.listed(await ListedNames.of(node, fids.names));
    const nameAt = (position: number): Uint8Array | undefined =>
      position < DOTS.length ? DOTS[position] : directory.names?.at(position - DOTS.length);
    const entries = await entriesFrom(boundedNumber(offset), node, nameAt, Math.min(count, reply.room - 4));
    reply.u32(entries.reduce((bytes, { name }) => bytes + ENTRY_BYTES + name.length, 0));
    for (const { name, status, next } of entries)
      reply.qid(status).u64(BigInt(next)).u8(ENTRY_TYPE[status.kind]).string(name);
  },
});

/**
 * The entries from position `start` on that fit into `room` bytes. Throws EINVAL if the first one
 * does not fit.
 */
async function entriesFrom(
  start: number,
  directory: FolderNode,
  nameAt: (position: number) => Uint8Array | undefined,
  room: number,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  let left = room;
  let position = start;
  for (;;) {
    const batch: Uint8Array[] = [];
    for (let name; batch.length < STATUS_BATCH && (name = nameAt(position + batch.length)) !== undefined;) {
      if (ENTRY_BYTES + name.length > left) break;
      left -= ENTRY_BYTES + name.length;
      batch.push(name);
    }
    if (batch.length === 0) {
      // An answer without entries would mean the end.
      if (entries.length === 0 && nameAt(position) !== undefined) throw new FolderError('EINVAL');
      return entries;
    }
    const statuses = await Promise.all(batch.map((name) => statusOf(directory, name)));
    batch.forEach((name, index) => {
      const status = statuses[index];
      position++;
      if (status === undefined) left += ENTRY_BYTES + name.length;
      else entries.push({ name, status, next: position });
    });
  }
}

/** Undefined if a file's attributes cannot be read, for example because it was removed. */
async function statusOf(directory: FolderNode, name: Uint8Array): Promise<FileStatus | undefined> {
  if (name === DOTS[0]) return directory.status();
  if (name === DOTS[1]) return (directory.parent ?? directory).status();
  return directory.statusOf(name).catch(() => undefined);
}
