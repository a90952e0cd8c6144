/**
 * The limits of the virtio block device: they bound the memory and the time of a request. Read by:
 * VirtioBlock and its parts.
 */

/** Most queues that a device may have. */
export const MAX_QUEUES = 16;
/** The size of each queue. */
export const QUEUE_SIZE = 256;
/**
 * Limit of the requests that are served at a time. Each queue has an equal share, rounded down. The
 * others wait in the driver's rings.
 */
export const MAX_REQUESTS = 256;
/** The data of requests is moved in pieces of at most this size. */
export const PIECE_BYTES = 256 * 1024;
/** Pieces that are in memory at a time, over all requests: 4 MiB. */
export const MAX_PIECES = 16;
/** Descriptors of data in a request. Two more hold its header and its status. */
export const MAX_SEGMENTS = QUEUE_SIZE - 2;
/** Ranges in one discard or write-zeroes request. */
export const MAX_ZERO_RANGES = 16;
/** Sectors in each of them: 1 GiB. */
export const MAX_ZERO_SECTORS = 2 ** 21;
/** Zeroing is done in pieces of at most this size, so that a reset need not wait for more. */
export const ZERO_PIECE_BYTES = 64 * 1024 * 1024;
