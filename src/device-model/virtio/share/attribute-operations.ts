/**
 * The operations on the attributes of files, the targets of links, and the space of the file
 * system. Those on extended attributes are refused.
 *
 * Called by: operations.ts.
 */

import { FolderError, type FolderNode } from '../../../host/shared-folder.js';
import { boundedNumber, operation, refused } from './operation.js';
import { BASIC_ATTRIBUTES, MAX_NAME_BYTES, QID_BYTES, SetAttribute, V9FS_MAGIC } from './protocol.js';

const NS = 1_000_000_000n;

/**
 * The answer has the attributes of fstat(2), whatever `mask` asks for. Its first field names them.
 */
export const getAttributes = operation({
  fields: { fid: 'u32', mask: 'u64' },
  replyBytes: 8 + QID_BYTES + 3 * 4 + 15 * 8,
  async run({ fid }, { fids, reply }) {
    const status = await fids.get(fid).node.status();
    reply.u64(BASIC_ATTRIBUTES).qid(status).u32(status.mode).u32(status.uid).u32(status.gid);
    reply.u64(status.links).u64(status.device).u64(status.size).u64(status.blockSize).u64(status.blocks);
    for (const time of [status.accessedNs, status.modifiedNs, status.changedNs]) {
      // Before 1970, a time is negative and its nanoseconds are not.
      const ns = ((time % NS) + NS) % NS;
      reply.u64((time - ns) / NS).u64(ns);
    }
    // Not among BASIC_ATTRIBUTES: time of birth, generation, data version.
    reply.u64(0n).u64(0n).u64(0n).u64(0n);
  },
});

export const setAttributes = operation({
  fields: {
    fid: 'u32',
    valid: 'u32',
    mode: 'u32',
    uid: 'u32',
    gid: 'u32',
    size: 'u64',
    accessedSeconds: 'u64',
    accessedNs: 'u64',
    modifiedSeconds: 'u64',
    modifiedNs: 'u64',
  },
  async run(fields, { fids }) {
    const { node } = fids.get(fields.fid);
    const has = (bit: number): boolean => (fields.valid & bit) !== 0;
    // With bit `given`, a time is set to that of the request, otherwise to now.
    const time = (bit: number, given: number, seconds: bigint, ns: bigint): number | undefined => {
      if (!has(bit)) return undefined;
      return has(given) ? Number(BigInt.asIntN(64, seconds)) + Number(ns % NS) / 1e9 : Date.now() / 1000;
    };
    await checkOwner(
      node,
      has(SetAttribute.uid) ? fields.uid : undefined,
      has(SetAttribute.gid) ? fields.gid : undefined,
    );
    await node.change({
      mode: has(SetAttribute.mode) ? fields.mode : undefined,
      size: has(SetAttribute.size) ? boundedNumber(fields.size) : undefined,
      accessed: time(SetAttribute.accessed, SetAttribute.accessedGiven, fields.accessedSeconds, fields.accessedNs),
      modified: time(SetAttribute.modified, SetAttribute.modifiedGiven, fields.modifiedSeconds, fields.modifiedNs),
    });
  },
});

/**
 * Throws EPERM for another user or group than the file has: a guest must not give files away on the
 * host.
 */
async function checkOwner(node: FolderNode, uid: number | undefined, gid: number | undefined): Promise<void> {
  if (uid === undefined && gid === undefined) return;
  const status = await node.status();
  if ((uid ?? status.uid) !== status.uid || (gid ?? status.gid) !== status.gid) throw new FolderError('EPERM');
}

export const statFs = operation({
  fields: { fid: 'u32' },
  replyBytes: 4 + 4 + 6 * 8 + 4,
  async run({ fid }, { fids, folder, reply }) {
    fids.get(fid);
    const space = await folder.space();
    reply.u32(V9FS_MAGIC).u32(Number(space.blockSize));
    reply.u64(space.blocks).u64(space.freeBlocks).u64(space.availableBlocks);
    // The 0 is the ID of the file system: the guest needs none.
    reply.u64(space.files).u64(space.freeFiles).u64(0n).u32(MAX_NAME_BYTES);
  },
});

export const readLink = operation({
  fields: { fid: 'u32' },
  async run({ fid }, { fids, reply }) {
    reply.string(await fids.get(fid).node.target());
  },
});

// Node has no calls for extended attributes. Linux' client works without them, and without ACLs.
export const walkAttribute = refused({ fid: 'u32', newFid: 'u32', name: 'string' }, 'EOPNOTSUPP');
export const createAttribute = refused({ fid: 'u32', name: 'string', size: 'u64', flags: 'u32' }, 'EOPNOTSUPP');
