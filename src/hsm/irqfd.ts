/**
 * IrqFds: interrupts by event (`irqfd`). Each signal of a registered event injects its
 * message-signalled interrupt. The event's counter is not read: it stays readable, and every
 * further signal injects again.
 *
 * A hypervisor that knows eventfds takes those itself (MessageEvents). Their signals do not come
 * here, and it reads their counters. What it refuses is listened to, as without it.
 *
 * Called by: acrn-hsm/, which creates one for each of its VMs.
 *
 * The life cycle is that of the driver after the fix of its races between close, deassign and the
 * VM's end: an event is checked before it is listed, and fully unhooked when `deassign` returns.
 */

import type { MessageEvents } from '../hypervisor/message-events.js';
import { Errno } from '../io-request/errno.js';
import type { EventObject } from './event-object.js';

/** Maximum number of entries of one VM. The driver is limited only by memory. */
export const MAX_IRQ_EVENTS = 1024;

export interface MsiMessage {
  /** u32 each: the low words of the u64 fields, the only ones that the hypervisor uses. */
  readonly address: number;
  readonly data: number;
}

interface Entry {
  readonly event: EventObject;
  readonly unhook: () => void;
}

export class IrqFds {
  readonly #inject: (message: MsiMessage) => void;
  readonly #hypervisor: MessageEvents | undefined;
  readonly #entries: Entry[] = [];

  /**
   * `inject` makes the hypercall. It reports a refusal itself: a signal has no result. Default of
   * `hypervisor`: all signals come here.
   */
  constructor(inject: (message: MsiMessage) => void, hypervisor?: MessageEvents) {
    this.#inject = inject;
    this.#hypervisor = hypervisor;
  }

  get size(): number {
    return this.#entries.length;
  }

  /**
   * Injects at once if the event is readable. Returns 0, −EBUSY if registered already, or −ENOMEM.
   */
  assign(event: EventObject, message: MsiMessage): number {
    if (this.#entries.some((entry) => entry.event === event)) return Errno.EBUSY;
    if (this.#entries.length >= MAX_IRQ_EVENTS) return Errno.ENOMEM;
    const unhookSignal = this.#giveAway(event, message) ?? this.#listen(event, message);
    const unhookClose = event.onClose(() => this.deassign(event));
    this.#entries.push({
      event,
      unhook: () => {
        unhookSignal();
        unhookClose();
      },
    });
    return 0;
  }

  /** Returns 0, even if the event is not registered. */
  deassign(event: EventObject): number {
    const index = this.#entries.findIndex((entry) => entry.event === event);
    const [entry] = index < 0 ? [] : this.#entries.splice(index, 1);
    entry?.unhook();
    return 0;
  }

  close(): void {
    for (const entry of this.#entries.splice(0)) entry.unhook();
  }

  /** Returns undefined if this process has to listen. */
  #giveAway({ fd }: EventObject, { address, data }: MsiMessage): (() => void) | undefined {
    return fd === undefined ? undefined : this.#hypervisor?.assign(fd, address, data);
  }

  #listen(event: EventObject, message: MsiMessage): () => void {
    if (event.isReadable) this.#inject(message);
    return event.onSignal(() => this.#inject(message));
  }
}
