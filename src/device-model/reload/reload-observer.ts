/**
 * ReloadObserver: who is notified of a device that is loaded anew while its VM runs.
 *
 * Called by: DeviceReloader (device-reloader.ts) in the Service VM's thread, or ThreadClient
 * (placement/in-own-thread.ts) for a device in a thread of its own.
 * Threads: the Service VM's.
 */

/** What became of a reload. Survives structured cloning. */
export type ReloadOutcome =
  | {
      readonly kind: 'reloaded';
      /** False: the new device began in its power-on state. */
      readonly isStateCarried: boolean;
      /** Why the state was not carried. A sentence part. */
      readonly note?: string;
    }
  /** The old device runs on. */
  | { readonly kind: 'failed'; readonly message: string; readonly stack?: string };

export interface ReloadObserver {
  /**
   * The files of a load: the module and what it imports by relative paths. `isComplete`: false if
   * the load failed, so that there may be others.
   */
  onFiles(files: readonly string[], isComplete: boolean): void;
  /** The latest reload has ended. Reloads that began during it are part of it. */
  onOutcome(outcome: ReloadOutcome): void;
}
