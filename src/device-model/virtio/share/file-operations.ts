/**
 * The operations that open and create files, and those on open files.
 *
 * Called by: operations.ts.
 */

import { FolderError, type FileAccess, type FolderFile } from '../../../host/shared-folder.js';
import { Fid } from './fid-table.js';
import { boundedNumber, operation, type OperationContext } from './operation.js';
import { LOCK_SUCCESS, OpenFlag, QID_BYTES, UNLOCKED } from './protocol.js';

/** The iounit of an answer. 0: the client reads and writes as much as a message carries. */
const NO_UNIT = 0;

export const openFile = operation({
  fields: { fid: 'u32', flags: 'u32' },
  replyBytes: QID_BYTES + 4,
  async run({ fid, flags }, { fids, reply }) {
    const one = fids.get(fid);
    const { node } = one;
    await one.open(async () => {
      const access = accessOf(flags);
      if (node.kind !== 'directory') {
        if ((flags & OpenFlag.directory) !== 0) throw new FolderError('ENOTDIR');
        return node.open(access);
      }
      if (access.writes || access.truncates === true) throw new FolderError('EISDIR');
      await node.checkListable();
      return undefined;
    });
    reply.qid(await node.status()).u32(NO_UNIT);
  },
});

/** The fid of the directory becomes that of the new file. */
export const createFile = operation({
  fields: { directory: 'u32', name: 'string', flags: 'u32', mode: 'u32', gid: 'u32' },
  replyBytes: QID_BYTES + 4,
  async run({ directory, name, flags, mode }, { fids, reply }) {
    const parent = fids.get(directory);
    if (parent.isOpen) throw new FolderError('EBUSY', 'the fid is open');
    const isExclusive = (flags & OpenFlag.exclusive) !== 0;
    const { node, file } = await parent.node.create(name, { ...accessOf(flags), mode, isExclusive });
    fids.replace(directory, parent, new Fid(node, file));
    reply.qid(await node.status()).u32(NO_UNIT);
  },
});

/**
 * Throws EINVAL for access mode 3. Flags that are not in OpenFlag concern the client, such as
 * whether it caches.
 */
function accessOf(flags: number): FileAccess {
  const mode = flags & OpenFlag.accessMask;
  if (mode > OpenFlag.readWrite) throw new FolderError('EINVAL');
  return {
    reads: mode !== OpenFlag.writeOnly,
    writes: mode !== 0,
    truncates: (flags & OpenFlag.truncate) !== 0,
    appends: (flags & OpenFlag.append) !== 0,
    isSynchronous: (flags & (OpenFlag.sync | OpenFlag.dataSync)) !== 0,
  };
}

/**
 * The file of a fid that is open as a regular one. Throws EISDIR for a directory, otherwise EBADF.
 */
function fileOf(fids: OperationContext['fids'], number: number): FolderFile {
  const { file, node } = fids.get(number);
  if (file === undefined) throw new FolderError(node.kind === 'directory' ? 'EISDIR' : 'EBADF');
  return file;
}

export const read = operation({
  fields: { fid: 'u32', offset: 'u64', count: 'u32' },
  replyBytes: 4,
  async run({ fid, offset, count }, { fids, reply }) {
    const file = fileOf(fids, fid);
    await reply.data(Math.min(count, reply.room - 4), (target) => file.read(boundedNumber(offset), target));
  },
});

export const write = operation({
  fields: { fid: 'u32', offset: 'u64', data: 'data' },
  replyBytes: 4,
  async run({ fid, offset, data }, { fids, reply }) {
    reply.u32(await fileOf(fids, fid).write(boundedNumber(offset), data));
  },
});

/** Tfsync. A directory is not synced: its changes are on disk when the file system writes them. */
export const synchronize = operation({
  fields: { fid: 'u32', dataOnly: 'u32' },
  run({ fid, dataOnly }, { fids }) {
    const { file, isOpen } = fids.get(fid);
    if (!isOpen) throw new FolderError('EBADF');
    return file?.sync(dataOnly !== 0);
  },
});

/**
 * Grants every lock. A lock counts among the processes of one guest, whose kernel has granted it
 * before it asks. The host's processes and other guests do not see it.
 */
export const lock = operation({
  fields: {
    fid: 'u32',
    type: 'u8',
    flags: 'u32',
    start: 'u64',
    length: 'u64',
    process: 'u32',
    client: 'string',
  },
  replyBytes: 1,
  run({ fid }, { fids, reply }) {
    fids.get(fid);
    reply.u8(LOCK_SUCCESS);
  },
});

export const getLock = operation({
  fields: { fid: 'u32', type: 'u8', start: 'u64', length: 'u64', process: 'u32', client: 'string' },
  run({ fid, start, length, process, client }, { fids, reply }) {
    fids.get(fid);
    reply.u8(UNLOCKED).u64(start).u64(length).u32(process).string(client);
  },
});
