/**
 * BlockCounters: what a block device has done since it was made.
 *
 * Counted by: BlockSession. Read by: programs that attach the device, as `VirtioBlock.counters`.
 */

export interface BlockCounters {
  reads: number;
  writes: number;
  flushes: number;
  discards: number;
  zeroes: number;
  bytesRead: number;
  bytesWritten: number;
  /** Requests that were malformed, unsupported, or not allowed. */
  refused: number;
  /** Requests that the host has failed. */
  errors: number;
}

export function blockCounters(): BlockCounters {
  return {
    reads: 0,
    writes: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    bytesRead: 0,
    bytesWritten: 0,
    refused: 0,
    errors: 0,
  };
}
