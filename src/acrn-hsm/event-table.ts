/**
 * EventTable: the file descriptors of the process that calls the ioctls. The HSM looks up the
 * eventfds that its ioctls name. What it gets is an EventObject (hsm/event-object.ts): an eventfd,
 * or an object in this process that behaves like one.
 *
 * Implementations: LocalEventTable here, LinuxEvents for eventfds of the kernel (linux-events.ts),
 * and acrn-programs/foreign-events.ts for descriptors of another process.
 */

import type { EventObject } from '../hsm/event-object.js';
import { Errno } from '../io-request/errno.js';

export interface EventTable {
  /** The event behind a descriptor, −EBADF if it is not open, −EINVAL if it is not an eventfd. */
  lookup(fd: number): EventObject | number;
}

/** Maximum number of open descriptors of one table. */
export const MAX_DESCRIPTORS = 65_536;

/** A table for callers inside this process, which open and close its descriptors themselves. */
export class LocalEventTable implements EventTable {
  readonly #open = new Map<number, EventObject | undefined>();

  /**
   * Opens a descriptor for `event` and returns its number, the lowest free one. Without an event
   * the descriptor is open, but not an eventfd. Throws RangeError at MAX_DESCRIPTORS.
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
