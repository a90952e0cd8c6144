/**
 * KvmIrqFds: eventfds whose signals become interrupt messages in the kernel (KVM_IRQFD). No thread
 * of this process is woken.
 *
 * Called by: IrqFds (hsm/irqfd.ts), through Hypercalls.messageEvents; KvmMachine, which creates and
 * closes it.
 * Threads: the Service VM's.
 *
 * The kernel's irqfds have a global system interrupt (GSI), and its table of routes says what a GSI
 * is. A table replaces the one before it, so each has the pins of the controllers, as the kernel's
 * first one has them: GSIs 0 to 15 are pins of an 8259 and of the I/O APIC, 16 to 23 of the I/O
 * APIC alone. From 24 on, each GSI is the message of one event. The route of an event that has
 * ended stays until another event gets its GSI.
 *
 * The kernel finds an irqfd again by its eventfd. So the descriptor of the eventfd is duplicated:
 * its owner may close it first. A reset of the VM leaves all of this as it is.
 *
 * Source: the kernel's "The Definitive KVM API Documentation".
 */

import type { MessageEvents } from '../message-events.js';
import { isMsiAddress } from '../msi-queue.js';
import { Bytes, IRQFD_DEASSIGN, IrqChip, Request, RouteType } from './kvm-abi.js';
import type { Kernel } from './kernel.js';

/** Pins of the two 8259s together, and of one. */
const PIC_PINS = 16;
const PINS_OF_ONE_PIC = 8;
const IO_APIC_PINS = 24;
const FIRST_MESSAGE = IO_APIC_PINS;

interface Route {
  readonly gsi: number;
  readonly type: number;
  /** What the type says of it: the controller and its pin, or the parts of a message. */
  readonly words: readonly number[];
}

const PIN_ROUTES: readonly Route[] = [
  ...Array.from({ length: PIC_PINS }, (_, gsi) =>
    pinRoute(gsi, gsi < PINS_OF_ONE_PIC ? IrqChip.FIRST_PIC : IrqChip.SECOND_PIC, gsi % PINS_OF_ONE_PIC),
  ),
  ...Array.from({ length: IO_APIC_PINS }, (_, gsi) => pinRoute(gsi, IrqChip.IO_APIC, gsi)),
];

export class KvmIrqFds implements MessageEvents {
  readonly #kernel: Kernel;
  readonly #vm: number;
  readonly #maxMessages: number;
  /** By GSI − FIRST_MESSAGE. Those of events that have ended are in `#free`, too. */
  readonly #routes: Route[] = [];
  readonly #free: number[] = [];
  /** The functions that end the present events. */
  readonly #ends = new Set<() => void>();
  #isClosed = false;

  /** `maxRoutes`: entries that the kernel's table may have. */
  constructor(kernel: Kernel, vm: number, maxRoutes: number) {
    this.#kernel = kernel;
    this.#vm = vm;
    this.#maxMessages = Math.max(0, maxRoutes - PIN_ROUTES.length);
  }

  assign(fd: number, address: number, data: number): (() => void) | undefined {
    if (this.#isClosed || !isMsiAddress(address)) return undefined;
    const index = this.#free.at(-1) ?? this.#routes.length;
    if (index >= this.#maxMessages) return undefined;
    const own = this.#kernel.calls.duplicate(fd);
    if (own < 0) return undefined;
    const gsi = FIRST_MESSAGE + index;
    if (!this.#setRoute(index, messageRoute(gsi, address, data)) || this.#configure(own, gsi, 0) < 0) {
      this.#kernel.calls.close(own);
      return undefined;
    }
    this.#free.pop();
    const end = (): void => {
      if (!this.#ends.delete(end)) return;
      this.#configure(own, gsi, IRQFD_DEASSIGN);
      this.#kernel.calls.close(own);
      this.#free.push(index);
    };
    this.#ends.add(end);
    return end;
  }

  /** The VM ends, and all events with it. Nothing is assigned any more. */
  close(): void {
    this.#isClosed = true;
    for (const end of [...this.#ends]) end();
  }

  /** Returns false if the kernel refuses the table. */
  #setRoute(index: number, route: Route): boolean {
    const routes = [...PIN_ROUTES, ...this.#routes];
    routes[PIN_ROUTES.length + index] = route;
    if (this.#kernel.calls.ioctl(this.#vm, Request.SET_GSI_ROUTING, routingTable(routes)) < 0) return false;
    if (index === this.#routes.length) this.#free.push(index);
    this.#routes[index] = route;
    return true;
  }

  #configure(fd: number, gsi: number, flags: number): number {
    // struct kvm_irqfd: the eventfd, the GSI, flags, then the eventfd of ends, which is not used.
    const irqfd = new Uint32Array(Bytes.IRQFD / 4);
    irqfd.set([fd, gsi, flags]);
    return this.#kernel.calls.ioctl(this.#vm, Request.IRQFD, new Uint8Array(irqfd.buffer));
  }
}

function pinRoute(gsi: number, chip: number, pin: number): Route {
  return { gsi, type: RouteType.IRQCHIP, words: [chip, pin] };
}

function messageRoute(gsi: number, address: number, data: number): Route {
  return { gsi, type: RouteType.MSI, words: [address, 0, data] };
}

/** struct kvm_irq_routing: the number of routes and flags, then the routes. */
function routingTable(routes: readonly Route[]): Uint8Array {
  const words = new Uint32Array((Bytes.IRQ_ROUTING + routes.length * Bytes.IRQ_ROUTE) / 4);
  words[0] = routes.length;
  routes.forEach(({ gsi, type, words: parts }, index) => {
    // Of a route: the GSI, the type, flags, padding, then 8 words for the type's parts.
    words.set([gsi, type, 0, 0, ...parts], (Bytes.IRQ_ROUTING + index * Bytes.IRQ_ROUTE) / 4);
  });
  return new Uint8Array(words.buffer);
}
