/** EventTable: the caller's file descriptors as the HSM sees them: open or not, an event or not. */

import type { EventObject } from '../hsm/event-object.js';
import { Errno } from '../io-request/errno.js';

export interface EventTable {
  /** The event behind a descriptor, −EBADF if it is not open, −EINVAL if it is not an event. */
  lookup(fd: number): EventObject | number;
}

/** Descriptors of one table. */
export const MAX_DESCRIPTORS = 65_536;

/** A table for callers inside this process, which open and close its descriptors themselves. */
export class LocalEventTable implements EventTable {
  readonly #open = new Map<number, EventObject | undefined>();

  /**
   * Opens an event under the lowest free number; without one, a descriptor that is not an event.
   */
  open(event?: EventObject): number {
    if (this.#open.size >= MAX_DESCRIPTORS) throw new RangeError(`a table has at most ${MAX_DESCRIPTORS} descriptors`);
    let fd = 0;
    while (this.#open.has(fd)) fd++;
    this.#open.set(fd, event);
    return fd;
  }

  close(fd: number): void {
    this.#open.delete(fd);
  }

  lookup(fd: number): EventObject | number {
    if (!this.#open.has(fd)) return Errno.EBADF;
    return this.#open.get(fd) ?? Errno.EINVAL;
  }
}
