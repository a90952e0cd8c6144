/**
 * parseHeader: reads the header of a qcow2 image and refuses what upcall does not support.
 *
 * Called by: readHeader (open-qcow2.ts). Throws UpcallError with DISK_INVALID.
 */

import { UpcallError } from '../../../io-request/upcall-error.js';
import { SECTOR_BYTES } from '../disk-image.js';
import {
  ENTRY_BYTES,
  Extension,
  geometryOf,
  HEADER_LENGTH,
  HeaderField,
  MAX_BACKING_NAME_BYTES,
  MAX_CLUSTER_BITS,
  MIN_CLUSTER_BITS,
  QCOW2_MAGIC,
  QCOW2_VERSION,
  REFCOUNT_ORDER,
  type Geometry,
} from './qcow2-layout.js';
import { MAX_FILE_CLUSTERS, MAX_L1_BYTES } from './qcow2-limits.js';

export interface Qcow2Header {
  /** The size of the disk, in bytes. */
  readonly size: number;
  readonly geometry: Geometry;
  readonly l1Offset: number;
  /** The number of entries in the L1 table. */
  readonly l1Size: number;
  readonly refcountTableOffset: number;
  readonly refcountTableClusters: number;
  /** Undefined: the image stands alone. */
  readonly backing: Backing | undefined;
  /** Whether there are autoclear feature bits, which a writer of the image must clear first. */
  readonly hasAutoclear: boolean;
}

export interface Backing {
  /** As it is written in the image. */
  readonly name: string;
  /** `raw`, `qcow2` … Undefined: the image does not say. */
  readonly format: string | undefined;
}

/** The incompatible feature bits, from bit 0 on, and what to do about them. */
const INCOMPATIBLE: readonly (readonly [what: string, remedy: string])[] = [
  ['was not closed properly', 'Repair it: qemu-img check -r all'],
  ['is marked as corrupt', 'Repair it: qemu-img check -r all'],
  ['has its data in another file', 'Convert it: qemu-img convert -O qcow2'],
  ['has compressed clusters', 'Convert it: qemu-img convert -O qcow2'],
  ['has extended L2 entries', 'Convert it: qemu-img convert -O qcow2'],
];

export function invalidImage(name: string, problem: string, remedy: string): UpcallError {
  return new UpcallError('DISK_INVALID', `the qcow2 image ${name} ${problem}`, { remedy });
}

/** For an image whose contents contradict each other. */
export function damagedImage(name: string, problem: string): UpcallError {
  return invalidImage(name, `is damaged: ${problem}`, `Try to repair it: qemu-img check -r all ${name}`);
}

/** `bytes`: the beginning of the file, at least its first cluster if the file has so many bytes. */
export function parseHeader(name: string, bytes: Uint8Array<ArrayBuffer>): Qcow2Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 8 || view.getUint32(HeaderField.MAGIC) !== QCOW2_MAGIC)
    throw new UpcallError('DISK_INVALID', `${name} is not a qcow2 image`, {
      remedy: 'Check the path. If it is a new overlay whose creation was interrupted, remove it',
    });
  const version = view.getUint32(HeaderField.VERSION);
  if (version !== QCOW2_VERSION)
    throw invalidImage(name, `has version ${version}`, `Convert it: qemu-img amend -o compat=1.1 ${name}`);
  if (bytes.length < HEADER_LENGTH) throw damagedImage(name, 'its header is cut off');
  checkFeatures(name, view);
  const clusterBits = view.getUint32(HeaderField.CLUSTER_BITS);
  if (clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS)
    throw damagedImage(name, `clusters of 2^${clusterBits} bytes`);
  const geometry = geometryOf(clusterBits);
  const place = (what: string, field: number): number => {
    const offset = view.getBigUint64(field);
    if (offset === 0n || offset >= 2n ** 53n || Number(offset) % geometry.clusterBytes !== 0)
      throw damagedImage(name, `its ${what} is at ${offset}`);
    return Number(offset);
  };
  const size = sizeOf(name, view, geometry);
  const l1Size = view.getUint32(HeaderField.L1_SIZE);
  if (l1Size < Math.ceil(size / geometry.tableSpan) || l1Size * ENTRY_BYTES > MAX_L1_BYTES)
    throw damagedImage(name, `an L1 table of ${l1Size} entries`);
  const refcountTableClusters = view.getUint32(HeaderField.REFCOUNT_TABLE_CLUSTERS);
  const blocks = refcountTableClusters * geometry.entries;
  // Twice what the largest file needs, and at least two clusters: it bounds the memory for the
  // table.
  if (blocks === 0 || blocks > 2 * Math.max(geometry.entries, MAX_FILE_CLUSTERS / geometry.blockSpan))
    throw damagedImage(name, `a refcount table of ${refcountTableClusters} clusters`);
  return {
    size,
    geometry,
    l1Offset: place('L1 table', HeaderField.L1_OFFSET),
    l1Size,
    refcountTableOffset: place('refcount table', HeaderField.REFCOUNT_TABLE_OFFSET),
    refcountTableClusters,
    backing: parseBacking(name, view, Math.min(bytes.length, geometry.clusterBytes)),
    hasAutoclear: view.getBigUint64(HeaderField.AUTOCLEAR) !== 0n,
  };
}

function checkFeatures(name: string, view: DataView<ArrayBuffer>): void {
  const features = view.getBigUint64(HeaderField.INCOMPATIBLE);
  INCOMPATIBLE.forEach(([what, remedy], bit) => {
    if ((features & (1n << BigInt(bit))) !== 0n) throw invalidImage(name, what, `${remedy} ${name}`);
  });
  if (features !== 0n)
    throw invalidImage(
      name,
      `has features that upcall does not know (0x${features.toString(16)})`,
      'Convert it with qemu-img',
    );
  if (view.getUint32(HeaderField.CRYPT_METHOD) !== 0)
    throw invalidImage(name, 'is encrypted', 'Convert it: qemu-img convert -O qcow2');
  if (view.getUint32(HeaderField.SNAPSHOTS) !== 0)
    throw invalidImage(name, 'has snapshots', `Remove them: qemu-img snapshot -d NAME ${name}`);
  const order = view.getUint32(HeaderField.REFCOUNT_ORDER);
  if (order !== REFCOUNT_ORDER)
    throw invalidImage(
      name,
      `has reference counts of ${2 ** Math.min(order, 6)} bits`,
      'Convert it: qemu-img convert -O qcow2',
    );
}

function sizeOf(name: string, view: DataView<ArrayBuffer>, { clusterBytes }: Geometry): number {
  const size = Number(view.getBigUint64(HeaderField.SIZE));
  if (size === 0 || size % SECTOR_BYTES !== 0)
    throw invalidImage(
      name,
      `is a disk of ${size} bytes`,
      `Make it whole sectors of ${SECTOR_BYTES} bytes: qemu-img resize ${name} …`,
    );
  // Half of the limit is left to tables.
  if (size > (MAX_FILE_CLUSTERS / 2) * clusterBytes)
    throw invalidImage(
      name,
      `is a disk of ${size} bytes in clusters of ${clusterBytes}`,
      'Convert it to larger clusters: qemu-img convert -O qcow2 -o cluster_size=2M',
    );
  return size;
}

/** `end`: of the first cluster, which holds the header, its extensions and the name. */
function parseBacking(name: string, view: DataView<ArrayBuffer>, end: number): Backing | undefined {
  const length = view.getUint32(HeaderField.HEADER_LENGTH);
  if (length < HEADER_LENGTH || length % 8 !== 0 || length > end)
    throw damagedImage(name, `a header of ${length} bytes`);
  let format: string | undefined;
  for (let at = length; ;) {
    if (at + 8 > end) break;
    const type = view.getUint32(at);
    const bytes = view.getUint32(at + 4);
    if (type === Extension.END) break;
    if (at + 8 + bytes > end) throw damagedImage(name, 'a header extension is cut off');
    if (type === Extension.BACKING_FORMAT) format = textOf(view, at + 8, bytes);
    // It may refer to clusters, which would look unused.
    else if (type !== Extension.FEATURE_NAMES)
      throw invalidImage(
        name,
        `has a header extension that upcall does not know (0x${type.toString(16)})`,
        'Convert it: qemu-img convert -O qcow2',
      );
    at += 8 + Math.ceil(bytes / 8) * 8;
  }
  const offset = Number(view.getBigUint64(HeaderField.BACKING_OFFSET));
  if (offset === 0) return undefined;
  const bytes = view.getUint32(HeaderField.BACKING_SIZE);
  if (bytes === 0 || bytes > MAX_BACKING_NAME_BYTES || offset < length || offset + bytes > end)
    throw damagedImage(name, `the name of its backing file has ${bytes} bytes at ${offset}`);
  return { name: textOf(view, offset, bytes), format };
}

function textOf(view: DataView<ArrayBuffer>, offset: number, length: number): string {
  return new TextDecoder().decode(new Uint8Array(view.buffer, view.byteOffset + offset, length));
}
