/**
 * WriteLog: a hypervisor's log of the pages of a VM's RAM that are written while it runs.
 *
 * Called by: vm/snapshot/, through Hypercalls.writeLog, to copy RAM while the guest runs and then
 * only what it has written since.
 * Threads: the Service VM's.
 */

import type { PageSet } from './page-set.js';

export interface WriteLog {
  /**
   * From now on each page that is written is in the log: by a vCPU, by the hypervisor for it, or
   * through a GuestMemory of any thread. The VM has no other log in progress. Throws
   * SNAPSHOT_REFUSED. `stop` must be called then, too.
   */
  start(): void;
  /** Adds the pages of the log, while all vCPUs are held. Throws SNAPSHOT_REFUSED. */
  take(into: PageSet): void;
  /** Ends the log, if there is one. */
  stop(): void;
}
