/**
 * openQcow2: makes a Qcow2Image of a file, after all of its tables were checked.
 *
 * Called by: openDisk. Both functions reject with DISK_INVALID, or with the host's error.
 */

import type { DiskFile } from '../../../host/disk-file.js';
import type { DiskImage } from '../disk-image.js';
import { loadTables } from './load-tables.js';
import { invalidImage, parseHeader, type Qcow2Header } from './qcow2-header.js';
import { HeaderField, MAX_CLUSTER_BITS } from './qcow2-layout.js';
import { Qcow2Image } from './qcow2-image.js';

export async function readHeader(file: DiskFile): Promise<Qcow2Header> {
  const bytes = new Uint8Array(Math.min(file.size, 2 ** MAX_CLUSTER_BITS));
  await file.read(0, bytes);
  return parseHeader(file.name, bytes);
}

/** The image owns both `file` and `base`, unless this rejects. */
export async function openQcow2(file: DiskFile, header: Qcow2Header, base: DiskImage | undefined): Promise<Qcow2Image> {
  const tables = await loadTables(file, header);
  if (file.isWritable) {
    checkRoom(file, header);
    if (header.hasAutoclear) {
      // Each bit says that an extra structure, e.g. a dirty bitmap, is up to date. It will not be.
      await file.write(HeaderField.AUTOCLEAR, new Uint8Array(8));
      await file.sync();
    }
  }
  return new Qcow2Image({ file, header, tables, base });
}

/** The refcount table does not grow here. QEMU makes it large enough, except for small clusters. */
function checkRoom(file: DiskFile, { size, geometry, refcountTableClusters, l1Size }: Qcow2Header): void {
  const { clusterBytes, entries, blockSpan } = geometry;
  const counted = refcountTableClusters * entries * blockSpan;
  const data = Math.ceil(size / clusterBytes);
  // L2 tables, L1 table, refcount table, header.
  const tables = l1Size + Math.ceil(l1Size / entries) + refcountTableClusters + 1;
  // A refcount block takes one of the clusters that it counts.
  if (counted < (data + tables) * (1 + 1 / (blockSpan - 1)))
    throw invalidImage(
      file.name,
      'has a refcount table that is too small to write all of the disk',
      'Convert it: qemu-img convert -O qcow2 -o cluster_size=64k',
    );
}
