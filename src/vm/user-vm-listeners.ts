/**
 * UserVmListeners: the operator's listeners for the events of one User VM.
 *
 * Called by: UserVm, in the middle of the HSM's work. So a listener that throws must neither stop
 * that work nor keep the event from the other listeners. Its error is thrown again in a microtask,
 * where it is an uncaught error of the operator's program.
 */

import type { UserVmEvent } from './user-vm-events.js';

export type UserVmListener = (event: UserVmEvent) => void;

export class UserVmListeners {
  /** Entries, so that a function may listen twice and each be removed by itself. */
  readonly #listeners = new Set<{ readonly listener: UserVmListener }>();

  /** Returns a function that removes the listener. */
  add(listener: UserVmListener): () => void {
    const entry = { listener };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  emit(event: UserVmEvent): void {
    // A copy: a listener may add and remove listeners.
    for (const { listener } of [...this.#listeners]) {
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
