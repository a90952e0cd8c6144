/**
 * LinuxEvents: event objects over real Linux eventfds: descriptors of this process, often copies of
 * those of another process or a virtio back end. Where the host has no eventfds, programs can use
 * LocalEvent (hsm/event-object.ts).
 *
 * Called by: acrn-programs/open-files.ts, and programs that pass a LinuxEvents to HsmDevice.open as
 * the caller's EventTable.
 * Callers must: keep a descriptor open while an ioctl's registration uses it. `lookup` borrows the
 * number, and two descriptors of one eventfd are one event, which uses the first number. (The
 * driver holds a reference to the file instead.) LinuxEvent.close ends the registrations of irqfds
 * and closes the descriptor.
 *
 * Two differences from the driver. This side has to read the counter, which resets it to 0, to see
 * the next signal. So another reader that shares an eventfd with an irqfd finds it empty. And a
 * table of eventfds has a limit (MAX_KNOWN).
 */

import type { EventFds } from '../host/event-fds.js';
import { host } from '../host/current.js';
import type { EventObject } from '../hsm/event-object.js';
import { Errno } from '../io-request/errno.js';
import type { EventTable } from './event-table.js';

/**
 * Eventfds that one table remembers. Beyond it the table is emptied, and a lookup creates the event
 * object again, beside an old one that is still registered. Both read the counter, so each signal
 * reaches one of them, and a deassignment by the new one does not find the old one.
 */
const MAX_KNOWN = 4096;

export class LinuxEvents implements EventTable {
  readonly #fds: EventFds;
  /** By the kernel's ID of the eventfd (EventFds.identify). */
  readonly #known = new Map<string, LinuxEvent>();

  /** Resolves with undefined if the host has no eventfds: not Linux, or koffi is not installed. */
  static async load(): Promise<LinuxEvents | undefined> {
    const fds = await host.openEventFds();
    return fds === undefined ? undefined : new LinuxEvents(fds);
  }

  private constructor(fds: EventFds) {
    this.#fds = fds;
  }

  /** Creates an eventfd; its descriptor is the event's `fd`. Throws if too many are open. */
  create(): LinuxEvent {
    const event = this.lookup(this.#fds.create());
    if (typeof event === 'number') throw new Error(`a new eventfd cannot be looked up: error ${event}`);
    return event;
  }

  /** Returns −EBADF if `fd` is not open, −EINVAL if it is not an eventfd. */
  lookup(fd: number): LinuxEvent | number {
    const found = this.#fds.identify(fd);
    if (found === 'not-open') return Errno.EBADF;
    if (found === 'not-an-eventfd') return Errno.EINVAL;
    const known = this.#known.get(found.id);
    if (known !== undefined && !known.isClosed) return known;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const event = new LinuxEvent(fd, this.#fds);
    this.#known.set(found.id, event);
    return event;
  }
}

export class LinuxEvent implements EventObject {
  readonly fd: number;
  readonly #fds: EventFds;
  readonly #signalled = new Set<() => void>();
  readonly #closed = new Set<() => void>();
  #polling: { close(): void } | undefined;
  #isClosed = false;

  constructor(fd: number, fds: EventFds) {
    this.fd = fd;
    this.#fds = fds;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isReadable(): boolean {
    return !this.#isClosed && this.#fds.isReadable(this.fd);
  }

  signal(): void {
    if (!this.#isClosed) this.#fds.write(this.fd);
  }

  read(): bigint {
    return this.#isClosed ? 0n : this.#fds.read(this.fd);
  }

  /** Signals that come before the event loop polls again are one. */
  onSignal(listener: () => void): () => void {
    const entry = (): void => listener();
    this.#signalled.add(entry);
    this.#startPolling();
    return () => {
      this.#signalled.delete(entry);
      if (this.#signalled.size === 0) this.#stopPolling();
    };
  }

  onClose(listener: () => void): () => void {
    const entry = (): void => listener();
    this.#closed.add(entry);
    return () => this.#closed.delete(entry);
  }

  /** Closes the descriptor, also one that `lookup` was called with. */
  close(): void {
    if (this.#isClosed) return;
    this.#stopPolling();
    this.#isClosed = true;
    for (const listener of [...this.#closed]) listener();
    this.#fds.close(this.fd);
  }

  #startPolling(): void {
    if (this.#polling !== undefined || this.#isClosed) return;
    this.#polling = this.#fds.poll(this.fd, () => {
      if (this.read() !== 0n) for (const listener of [...this.#signalled]) listener();
    });
  }

  #stopPolling(): void {
    this.#polling?.close();
    this.#polling = undefined;
  }
}
