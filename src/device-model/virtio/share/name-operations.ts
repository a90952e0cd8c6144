/**
 * The operations on names: to find, make, rename and remove files.
 *
 * Called by: operations.ts.
 */

import { FolderError, type FileStatus, type FolderNode } from '../../../host/shared-folder.js';
import { Fid } from './fid-table.js';
import { operation, refused, type OperationContext } from './operation.js';
import { NO_FID, QID_BYTES, REMOVE_DIRECTORY } from './protocol.js';

const DOT = 0x2e;

export const attach = operation({
  fields: { fid: 'u32', afid: 'u32', user: 'string', tree: 'string', userId: 'u32' },
  replyBytes: QID_BYTES,
  async run({ fid, afid }, { folder, fids, reply }) {
    if (afid !== NO_FID) throw new FolderError('EOPNOTSUPP', 'there is no authentication');
    fids.checkFree(fid);
    reply.qid(await folder.root.status());
    fids.add(fid, folder.root.retain());
  },
});

/**
 * Walks as far as it can. If it cannot go to a name, the answer is an error only for the first
 * name. The new fid exists only if all names are found.
 */
export const walk = operation({
  fields: { fid: 'u32', newFid: 'u32', names: 'names' },
  async run({ fid, newFid, names }, { fids, reply }) {
    const from = fids.get(fid);
    if (newFid !== fid) fids.checkFree(newFid);
    if (reply.room < 2 + names.length * QID_BYTES) throw new FolderError('EMSGSIZE');
    const found: FileStatus[] = [];
    let node = from.node.retain();
    try {
      for (const name of names) {
        const next = await step(node, name);
        node.release();
        node = next;
        found.push(await node.status());
      }
    } catch (error) {
      node.release();
      if (found.length === 0) throw error;
      writeQids(found, reply);
      return;
    }
    if (newFid === fid) fids.replace(fid, from, new Fid(node));
    else fids.add(newFid, node);
    writeQids(found, reply);
  },
});

/** Returns a node that the caller must release. `..` does not leave the shared folder. */
async function step(node: FolderNode, name: Uint8Array): Promise<FolderNode> {
  const isDots = name.length > 0 && name.length <= 2 && name.every((byte) => byte === DOT);
  if (!isDots) return node.child(name);
  if (node.kind !== 'directory') throw new FolderError('ENOTDIR');
  return ((name.length === 2 ? node.parent : undefined) ?? node).retain();
}

function writeQids(found: readonly FileStatus[], reply: OperationContext['reply']): void {
  reply.u16(found.length);
  for (const status of found) reply.qid(status);
}

export const clunk = operation({
  fields: { fid: 'u32' },
  run: ({ fid }, { fids }) => fids.clunk(fid),
});

/** Clunks the fid even if the file cannot be removed. */
export const remove = operation({
  fields: { fid: 'u32' },
  async run({ fid }, { fids }) {
    const node = fids.get(fid).node.retain();
    fids.clunk(fid);
    try {
      await node.remove();
    } finally {
      node.release();
    }
  },
});

export const makeDirectory = operation({
  fields: { directory: 'u32', name: 'string', mode: 'u32', gid: 'u32' },
  replyBytes: QID_BYTES,
  async run({ directory, name, mode }, { fids, reply }) {
    reply.qid(await fids.get(directory).node.makeDirectory(name, mode));
  },
});

/** Only the guest interprets the link's target: this server follows no link. */
export const makeLink = operation({
  fields: { directory: 'u32', name: 'string', target: 'string', gid: 'u32' },
  replyBytes: QID_BYTES,
  async run({ directory, name, target }, { fids, reply }) {
    if (target.length === 0 || target.includes(0)) throw new FolderError('ENOENT');
    reply.qid(await fids.get(directory).node.makeLink(name, target));
  },
});

/** A guest must not create devices, FIFOs or sockets on the host. */
export const makeNode = refused(
  { directory: 'u32', name: 'string', mode: 'u32', major: 'u32', minor: 'u32', gid: 'u32' },
  'EPERM',
);

export const link = operation({
  fields: { directory: 'u32', fid: 'u32', name: 'string' },
  run: ({ directory, fid, name }, { fids }) => fids.get(fid).node.linkTo(fids.get(directory).node, name),
});

export const rename = operation({
  fields: { fid: 'u32', directory: 'u32', name: 'string' },
  run: ({ fid, directory, name }, { fids }) => fids.get(fid).node.moveTo(fids.get(directory).node, name),
});

export const renameAt = operation({
  fields: { directory: 'u32', name: 'string', newDirectory: 'u32', newName: 'string' },
  run: ({ directory, name, newDirectory, newName }, { fids }) =>
    fids.get(directory).node.rename(name, fids.get(newDirectory).node, newName),
});

export const unlinkAt = operation({
  fields: { directory: 'u32', name: 'string', flags: 'u32' },
  run({ directory, name, flags }, { fids }) {
    if ((flags & ~REMOVE_DIRECTORY) !== 0) throw new FolderError('EINVAL');
    const { node } = fids.get(directory);
    return flags === 0 ? node.unlink(name) : node.removeDirectory(name);
  },
});
