/**
 * The numbers of the qcow2 format, version 3, and the geometry of an image.
 *
 * An image file is divided into clusters. The L1 table has the places of L2 tables, and these have
 * an entry for each cluster of the disk: where its data is. A refcount block has a count for each
 * cluster of the file, and the refcount table has the places of these blocks. All numbers are
 * big-endian.
 *
 * Read by: the other files of this folder; openDisk, for the magic number.
 *
 * Source: QEMU's documentation, docs/interop/qcow2.txt.
 */

export const QCOW2_MAGIC = 0x5146_49fb;
export const QCOW2_VERSION = 3;

/** Offsets in the header. SIZE, offsets and feature bits are u64, the others u32. */
export const HeaderField = {
  MAGIC: 0,
  VERSION: 4,
  BACKING_OFFSET: 8,
  BACKING_SIZE: 16,
  CLUSTER_BITS: 20,
  SIZE: 24,
  CRYPT_METHOD: 32,
  L1_SIZE: 36,
  L1_OFFSET: 40,
  REFCOUNT_TABLE_OFFSET: 48,
  REFCOUNT_TABLE_CLUSTERS: 56,
  SNAPSHOTS: 60,
  SNAPSHOTS_OFFSET: 64,
  INCOMPATIBLE: 72,
  COMPATIBLE: 80,
  AUTOCLEAR: 88,
  REFCOUNT_ORDER: 96,
  HEADER_LENGTH: 100,
} as const;
/** The header without optional fields. */
export const HEADER_LENGTH = 104;

/** Types of header extensions. */
export const Extension = { END: 0, BACKING_FORMAT: 0xe279_2aca, FEATURE_NAMES: 0x6803_f857 } as const;

/** The format's smallest clusters, and the largest that QEMU opens. */
export const MIN_CLUSTER_BITS = 9;
export const MAX_CLUSTER_BITS = 21;
/** Log2 of the bits in a reference count. */
export const REFCOUNT_ORDER = 4;
export const REFCOUNT_BYTES = 2;
/** Bytes of an entry in any other table. */
export const ENTRY_BYTES = 8;
export const MAX_BACKING_NAME_BYTES = 1023;

// The upper word of an L1 or L2 entry. An entry of the refcount table has none of the flags.
/** Bit 63: the cluster has one reference, so it may be written in place. */
export const COPIED = 0x8000_0000;
/** Bit 62 of an L2 entry. Reserved in an L1 entry. */
export const COMPRESSED = 0x4000_0000;
const RESERVED_HIGH = 0x3f00_0000;
const OFFSET_HIGH = 0x00ff_ffff;
// The lower word.
/** Of an L2 entry: the cluster reads as zeros. */
export const ZERO = 1;
const RESERVED_LOW = 0x1fe;
const OFFSET_LOW = 0xffff_fe00;

const WORD = 2 ** 32;

/** An entry of an L1 or L2 table, or of the refcount table. */
export interface TableEntry {
  /** In the file, in bytes. 0: none. */
  readonly offset: number;
  readonly isCopied: boolean;
  /** These two are of L2 entries. An L1 or refcount table entry must have neither. */
  readonly isCompressed: boolean;
  readonly isZero: boolean;
  /** Whether a bit is set that the format reserves in all three tables. */
  readonly hasReserved: boolean;
}

export function readEntry(table: DataView, index: number): TableEntry {
  const high = table.getUint32(index * ENTRY_BYTES);
  const low = table.getUint32(index * ENTRY_BYTES + 4);
  return {
    offset: (high & OFFSET_HIGH) * WORD + ((low & OFFSET_LOW) >>> 0),
    isCopied: (high & COPIED) !== 0,
    isCompressed: (high & COMPRESSED) !== 0,
    isZero: (low & ZERO) !== 0,
    hasReserved: (high & RESERVED_HIGH) !== 0 || (low & RESERVED_LOW) !== 0,
  };
}

/**
 * Writes an entry of an L1 or L2 table: the one reference to `offset`, with COPIED. Not for the
 * refcount table, whose entries are the offset alone (ClusterAllocator writes them).
 */
export function writeEntry(table: DataView, index: number, offset: number): void {
  table.setUint32(index * ENTRY_BYTES, (Math.floor(offset / WORD) | COPIED) >>> 0);
  table.setUint32(index * ENTRY_BYTES + 4, offset >>> 0);
}

/** An L2 entry of a cluster that reads as zeros and has no storage. */
export function writeZeroEntry(table: DataView, index: number): void {
  table.setUint32(index * ENTRY_BYTES, 0);
  table.setUint32(index * ENTRY_BYTES + 4, ZERO);
}

export interface Geometry {
  readonly clusterBytes: number;
  /** Entries of a table that fills a cluster. */
  readonly entries: number;
  /** Bytes of the disk that one L2 table maps. */
  readonly tableSpan: number;
  /** Clusters of the file that one refcount block counts. */
  readonly blockSpan: number;
}

export function geometryOf(clusterBits: number): Geometry {
  const clusterBytes = 2 ** clusterBits;
  const entries = clusterBytes / ENTRY_BYTES;
  return { clusterBytes, entries, tableSpan: entries * clusterBytes, blockSpan: clusterBytes / REFCOUNT_BYTES };
}
