/**
 * UserVmListeners: who hears the events of one User VM. Events are told in the middle of the HSM's work, so a listener that
 * throws must not stop that work, nor keep the event from the others. Its error is thrown again in a turn of its own, where
 * it is what any uncaught error of the operator's program is.
 */

import type { UserVmEvent } from './user-vm-events.js';

export type UserVmListener = (event: UserVmEvent) => void;

export class UserVmListeners {
  readonly #listeners = new Set<{ readonly hear: UserVmListener }>();

  /** Returns a function that ends it. */
  add(hear: UserVmListener): () => void {
    const entry = { hear };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  emit(event: UserVmEvent): void {
    for (const { hear } of [...this.#listeners]) {
      try {
        hear(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
