/** The limits of qcow2 images: they bound the memory that tables take. */

/** Clusters of an image file, a bit of memory each: 4 TiB in clusters of 64 KiB. */
export const MAX_FILE_CLUSTERS = 2 ** 26;
/** Bytes of an L1 table. QEMU has the same limit. */
export const MAX_L1_BYTES = 32 * 1024 * 1024;
/** L2 tables in memory, in bytes. Four tables are kept in any case. */
export const TABLE_CACHE_BYTES = 8 * 1024 * 1024;
export const MIN_CACHED_TABLES = 4;
/** Clusters that wait for a flush before they can be used again. Then a change flushes first. */
export const MAX_UNFLUSHED_FREES = 16_384;
