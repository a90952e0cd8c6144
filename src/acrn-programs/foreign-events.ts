/**
 * ForeignEvents: the eventfds of a process that calls the ioctls. The descriptors that it names are
 * its own; copies of them are this process's, and stay open after it has closed them, as the driver
 * keeps the file.
 *
 * Called by: HsmFile, for IOEVENTFD, IRQFD and SETUP_VM_EVENT_FD. open-files.ts creates one for
 * each open file.
 */

import type { EventTable } from '../acrn-hsm/event-table.js';
import type { LinuxEvent, LinuxEvents } from '../acrn-hsm/linux-events.js';
import { closeReceived } from '../host/node/linux/descriptors.js';
import { Errno } from '../io-request/errno.js';

/** Eventfds of one open file of /dev/acrn_hsm. */
export const MAX_EVENTS = 1024;

/** By event: how many open files use it. Files that know the same eventfd share its event. */
const users = new WeakMap<LinuxEvent, number>();

export class ForeignEvents implements EventTable {
  readonly #copy: (fd: number) => number;
  readonly #events: LinuxEvents;
  readonly #taken = new Set<LinuxEvent>();

  /**
   * `copy` returns a new descriptor of this process for descriptor `fd` of the process that makes
   * the current call, or −errno.
   */
  constructor(copy: (fd: number) => number, events: LinuxEvents) {
    this.#copy = copy;
    this.#events = events;
  }

  /** As EventTable, and −ENOMEM at MAX_EVENTS. */
  lookup(fd: number): LinuxEvent | number {
    const copy = this.#copy(fd);
    if (copy < 0) return copy === Errno.EBADF ? copy : Errno.EINVAL;
    const event = this.#events.lookup(copy);
    // The event of a known eventfd keeps the descriptor that it has: this copy is one too many.
    const isNew = typeof event !== 'number' && event.fd === copy;
    if (!isNew) closeReceived(copy);
    if (typeof event === 'number' || this.#taken.has(event)) return event;
    if (this.#taken.size >= MAX_EVENTS) {
      if (isNew) event.close();
      return Errno.ENOMEM;
    }
    this.#taken.add(event);
    users.set(event, (users.get(event) ?? 0) + 1);
    return event;
  }

  /** The file was closed: closes the copies that no other file uses. */
  close(): void {
    for (const event of this.#taken) {
      const left = (users.get(event) ?? 1) - 1;
      users.set(event, left);
      if (left === 0) event.close();
    }
    this.#taken.clear();
  }
}
