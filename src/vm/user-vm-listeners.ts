/**
 * UserVmListeners: the listeners for the events of one User VM. Events are emitted in the middle of
 * the HSM's work. A listener that throws must neither stop that work nor keep the event from the
 * others, so its error is thrown again in a microtask, as any uncaught error of the operator's
 * program.
 */

import type { UserVmEvent } from './user-vm-events.js';

export type UserVmListener = (event: UserVmEvent) => void;

export class UserVmListeners {
  readonly #listeners = new Set<{ readonly listener: UserVmListener }>();

  /** Returns a function that removes it. */
  add(listener: UserVmListener): () => void {
    const entry = { listener };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  emit(event: UserVmEvent): void {
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
