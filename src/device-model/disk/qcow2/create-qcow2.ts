/**
 * createQcow2: writes a new qcow2 image to an empty file.
 *
 * Called by: openDisk, for an overlay that does not exist.
 */

import type { DiskFile } from '../../../host/disk-file.js';
import { UpcallError } from '../../../io-request/upcall-error.js';
import {
  ENTRY_BYTES,
  Extension,
  geometryOf,
  HEADER_LENGTH,
  HeaderField,
  MAX_BACKING_NAME_BYTES,
  QCOW2_MAGIC,
  QCOW2_VERSION,
  REFCOUNT_BYTES,
  REFCOUNT_ORDER,
} from './qcow2-layout.js';
import { MAX_FILE_CLUSTERS } from './qcow2-limits.js';
import type { Backing } from './qcow2-header.js';

/** 64 KiB, QEMU's default. */
const CLUSTER_BITS = 16;

export interface Qcow2Options {
  /** The size of the disk, in bytes. */
  readonly size: number;
  /** Default: the image stands alone. */
  readonly backing?: Required<Backing>;
  /**
   * Log2 of the bytes of a cluster. Default: 16. Smaller ones are for small disks, as in tests: the
   * image begins with one refcount block, and has a refcount table of one cluster.
   */
  readonly clusterBits?: number;
}

/**
 * Rejects with DISK_INVALID if the disk is too large or the name of its base too long, and with the
 * host's error.
 */
export async function createQcow2(file: DiskFile, options: Qcow2Options): Promise<void> {
  const { size, backing, clusterBits = CLUSTER_BITS } = options;
  const { clusterBytes, tableSpan } = geometryOf(clusterBits);
  // Half of the limit is left to tables.
  const largest = (MAX_FILE_CLUSTERS / 2) * clusterBytes;
  if (size > largest)
    throw new UpcallError('DISK_INVALID', `${file.name} cannot be a disk of ${size} bytes`, {
      remedy: `It has at most ${largest / 2 ** 40} TiB`,
    });
  const l1Size = Math.ceil(size / tableSpan);
  const l1Clusters = Math.ceil((l1Size * ENTRY_BYTES) / clusterBytes);
  // Header, refcount table, refcount block, L1 table.
  const clusters = 3 + l1Clusters;
  const bytes = new Uint8Array(clusters * clusterBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(HeaderField.MAGIC, QCOW2_MAGIC);
  view.setUint32(HeaderField.VERSION, QCOW2_VERSION);
  view.setUint32(HeaderField.CLUSTER_BITS, clusterBits);
  view.setBigUint64(HeaderField.SIZE, BigInt(size));
  view.setUint32(HeaderField.L1_SIZE, l1Size);
  view.setBigUint64(HeaderField.L1_OFFSET, BigInt(3 * clusterBytes));
  view.setBigUint64(HeaderField.REFCOUNT_TABLE_OFFSET, BigInt(clusterBytes));
  view.setUint32(HeaderField.REFCOUNT_TABLE_CLUSTERS, 1);
  view.setUint32(HeaderField.REFCOUNT_ORDER, REFCOUNT_ORDER);
  view.setUint32(HeaderField.HEADER_LENGTH, HEADER_LENGTH);
  if (backing !== undefined) writeBacking(file.name, view, backing);
  // The refcount table's first entry, and the block's count of each cluster that is written here.
  view.setBigUint64(clusterBytes, BigInt(2 * clusterBytes));
  for (let cluster = 0; cluster < clusters; cluster++) view.setUint16(2 * clusterBytes + cluster * REFCOUNT_BYTES, 1);
  // The header comes last: a file without one is not an image.
  await file.write(clusterBytes, bytes.subarray(clusterBytes));
  await file.sync();
  await file.write(0, bytes.subarray(0, clusterBytes));
  await file.sync();
}

/** An extension with the format, the end of extensions, and the name behind them. */
function writeBacking(file: string, view: DataView<ArrayBuffer>, backing: Required<Backing>): void {
  const bytes = new Uint8Array(view.buffer);
  const format = new TextEncoder().encode(backing.format);
  view.setUint32(HEADER_LENGTH, Extension.BACKING_FORMAT);
  view.setUint32(HEADER_LENGTH + 4, format.length);
  bytes.set(format, HEADER_LENGTH + 8);
  const name = new TextEncoder().encode(backing.name);
  if (name.length > MAX_BACKING_NAME_BYTES)
    throw new UpcallError('DISK_INVALID', `the path of the base of ${file} is too long`, {
      remedy: `It may have ${MAX_BACKING_NAME_BYTES} bytes. Put both files into the same folder`,
    });
  const offset = HEADER_LENGTH + 8 + Math.ceil(format.length / 8) * 8 + 8;
  view.setBigUint64(HeaderField.BACKING_OFFSET, BigInt(offset));
  view.setUint32(HeaderField.BACKING_SIZE, name.length);
  bytes.set(name, offset);
}
