/**
 * The limits of qcow2 images: they bound the memory that tables take. Read by: the other files of
 * this folder.
 */

/** Clusters of an image file, a bit of memory each: 4 TiB in clusters of 64 KiB. */
export const MAX_FILE_CLUSTERS = 2 ** 26;
/** Bytes of an L1 table. QEMU has the same limit. */
export const MAX_L1_BYTES = 32 * 1024 * 1024;
/**
 * Bytes of L2 tables in memory, at least MIN_CACHED_TABLES tables. Half of them may differ from the
 * file (L2Tables.isFull).
 */
export const TABLE_CACHE_BYTES = 8 * 1024 * 1024;
export const MIN_CACHED_TABLES = 4;
/**
 * Freed clusters that may wait for a flush: 1 GiB in clusters of 64 KiB. With this many, a change
 * of tables flushes first.
 */
export const MAX_UNFLUSHED_FREES = 16_384;
