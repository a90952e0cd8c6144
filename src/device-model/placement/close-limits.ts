/**
 * CloseLimit: how long the thread of a device may take to close, in time in which the Service VM's
 * thread could run. Then it is terminated.
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
