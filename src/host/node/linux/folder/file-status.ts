/**
 * FileIdentities: turns the numbers of stat(2) into a FileStatus. An inode number is unique in its
 * file system only, and a folder may be more than one: a subvolume of btrfs has a device number of
 * its own, and so may files of an overlay.
 *
 * Called by: folder-context.ts and held-file.ts.
 */

import type { BigIntStats } from 'node:fs';
import type { FileKind, FileStatus } from '../../../shared-folder.js';

/**
 * The position of a device's index in an identity, above the inode number. The root's index is 0,
 * because its status is the first that is asked for.
 */
const DEVICE_SHIFT = 56n;
/** Devices beyond share an index. */
const MAX_DEVICES = 255;

export class FileIdentities {
  readonly #indexes = new Map<bigint, bigint>();

  status(stats: BigIntStats): FileStatus {
    return {
      id: this.#identity(stats),
      kind: kindOf(stats),
      mode: Number(stats.mode),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      links: stats.nlink,
      device: stats.rdev,
      size: stats.size,
      blockSize: stats.blksize,
      blocks: stats.blocks,
      accessedNs: stats.atimeNs,
      modifiedNs: stats.mtimeNs,
      changedNs: stats.ctimeNs,
    };
  }

  #identity({ dev, ino }: BigIntStats): bigint {
    let index = this.#indexes.get(dev);
    if (index === undefined) {
      index = BigInt(Math.min(this.#indexes.size, MAX_DEVICES));
      if (this.#indexes.size <= MAX_DEVICES) this.#indexes.set(dev, index);
    }
    return BigInt.asUintN(64, ino ^ (index << DEVICE_SHIFT));
  }
}

export function kindOf(stats: BigIntStats): FileKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}
