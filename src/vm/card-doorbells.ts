/**
 * CardDoorbells: the doorbell registers of a VM's PCI cards as descriptors of asynchronous I/O: the
 * hypervisor completes a write to one by itself, and the worker's next pass calls the card.
 *
 * Called by: VmCards, when a card's BAR is decoded at another place, and when the card is removed.
 * Threads: the Service VM's.
 *
 * A hypervisor may count the writes in an eventfd instead (AsyncIoHypercalls.createEvent). Then the
 * event loop calls the card, or the worker's next pass if that is sooner.
 *
 * Without asynchronous I/O, and above its limits, such a write is an ordinary request, which the
 * card answers as a write.
 */

import type { PciCard } from '../device-model/pci/pci-card.js';
import type { AddressRange } from '../hsm/address-range.js';
import { AsyncIoEvents } from '../hsm/async-io.js';
import { LocalEvent } from '../hsm/event-object.js';
import type { IoEventRequest } from '../hsm/ioeventfd.js';
import type { PendingWork } from '../hsm/pending-work.js';
import { RingId, type AsyncIoHypercalls, type WriteEvent } from '../hypervisor/async-io-hypercalls.js';
import { ASYNC_ELEMENT_BYTES } from '../hypervisor/async-io.js';
import { IoRequestType } from '../io-request/layout.js';
import { createRingPage } from '../sync/shared-ring.js';

/** Signalled by way of the ring, unless the hypervisor counts the writes in an eventfd. */
class DoorbellEvent extends LocalEvent {
  declare readonly fd?: number;
  readonly writes: WriteEvent | undefined;

  constructor(writes: WriteEvent | undefined) {
    super();
    this.writes = writes;
    if (writes !== undefined) this.fd = writes.fd;
  }
}

/** A descriptor that the hypervisor has for one doorbell. */
interface Placed {
  readonly request: IoEventRequest;
  readonly event: DoorbellEvent;
}

export class CardDoorbells {
  readonly #hypercalls: AsyncIoHypercalls | undefined;
  readonly #work: PendingWork;
  #events: AsyncIoEvents | undefined;
  /** By card, then by BAR. */
  readonly #placed = new Map<PciCard, Map<number, readonly Placed[]>>();
  readonly #writes = new WeakMap<PciCard, number>();

  constructor(hypercalls: AsyncIoHypercalls | undefined, work: PendingWork) {
    this.#hypercalls = hypercalls;
    this.#work = work;
  }

  /** BAR number `bar` of `card` is at `range` from now on, or nowhere. */
  place(card: PciCard, bar: number, range: AddressRange | undefined): void {
    const { doorbells = [] } = card;
    if (this.#hypercalls === undefined || !doorbells.some((doorbell) => doorbell.bar === bar)) return;
    const bars = this.#placed.get(card) ?? new Map<number, readonly Placed[]>();
    this.#placed.set(card, bars);
    for (const { request, event } of bars.get(bar) ?? []) {
      this.#events?.deassign(request, event);
      event.writes?.close();
    }
    bars.delete(bar);
    if (range === undefined) return;
    const placed: Placed[] = [];
    for (const [index, doorbell] of doorbells.entries()) {
      if (doorbell.bar !== bar) continue;
      const ring = (writes: number): void => {
        this.#writes.set(card, this.writesTo(card) + writes);
        card.rung?.(index);
      };
      const event = new DoorbellEvent(this.#hypercalls.createEvent?.(ring));
      event.onSignal(() => ring(1));
      const request: IoEventRequest = {
        isPort: range.type === IoRequestType.PORT,
        address: range.start + BigInt(doorbell.offset),
        // Not compared: a descriptor of asynchronous I/O matches a write of any size.
        length: 4,
      };
      if (this.#setUp(this.#hypercalls).assign(request, event) === 0) placed.push({ request, event });
      else event.writes?.close();
    }
    bars.set(bar, placed);
  }

  /** How many writes to doorbells of `card` the hypervisor has completed itself. */
  writesTo(card: PciCard): number {
    return this.#writes.get(card) ?? 0;
  }

  /** The card is removed. */
  remove(card: PciCard): void {
    for (const bar of this.#placed.get(card)?.keys() ?? []) this.place(card, bar, undefined);
    this.#placed.delete(card);
  }

  /**
   * Sets up asynchronous I/O with the first card that has a doorbell: a VM without one keeps its
   * shorter path.
   */
  #setUp(hypercalls: AsyncIoHypercalls): AsyncIoEvents {
    if (this.#events !== undefined) return this.#events;
    // Not refused: the page is a ring of the right size.
    hypercalls.setupRing(RingId.ASYNC_IO, createRingPage(ASYNC_ELEMENT_BYTES));
    this.#events = new AsyncIoEvents(hypercalls);
    this.#work.add(this.#events);
    // A write to a doorbell is seen before a later request of the vCPU.
    if (hypercalls.drainEvents !== undefined) this.#work.add({ hasWork: false, run: () => hypercalls.drainEvents?.() });
    return this.#events;
  }
}
