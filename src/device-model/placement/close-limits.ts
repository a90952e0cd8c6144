/**
 * CloseLimit: how long the thread of a device may take to close. Then it is terminated. Time in
 * which the Service VM's thread could not run, on a busy host, does not count
 * (sync/fair-timeout.ts).
 *
 * Called by: ThreadClient (in-own-thread.ts).
 */

export const CloseLimit = {
  MS: 500,
  /**
   * While it still loads its modules. Longer, because Node leaks the descriptors of the files that
   * a terminated thread was reading.
   */
  WHILE_LOADING_MS: 5000,
  /** While the device's `close` has given a promise: it may be writing a disk's data. */
  PROMISE_MS: 60_000,
} as const;
