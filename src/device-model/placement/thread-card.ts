/**
 * ThreadCard: a PCI card in a thread of its own, as the Service VM's thread sees it. Its function
 * (pci/card-function.ts) stays here and is the same as that of any card: configuration space, the
 * placing of BARs, the MSI-X table. Only accesses to the author's registers, doorbells and resets
 * go to the thread.
 *
 * Called by: VmCards, which creates it, and CardFunction, as its card.
 * Threads: the Service VM's. The card's side is LinkedCard.
 *
 * Answers come back through this thread, each behind the interrupts that the card sent before it.
 * So the guest sees the order of a card in this thread: a read of the status that lowers the pin
 * ends after the pin is low. A register access therefore costs two wake-ups more. Work that a
 * doorbell announces, and its DMA, costs the Service VM's thread nothing.
 *
 * If the thread ends, or is late with a request, its client is removed, as that of a card here.
 */

import { host } from '../../host/current.js';
import type { AddressRange } from '../../hsm/address-range.js';
import { AssignedRequest } from '../../hsm/assigned-request.js';
import type { ClientPosition } from '../../hsm/io-client.js';
import type { ClientFinisher } from '../../hsm/request-finisher.js';
import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { InterruptLines } from '../../hypervisor/interrupt-lines.js';
import { IoRequestType, SLOT_COUNT } from '../../io-request/layout.js';
import { copyFields } from '../../io-request/request-fields.js';
import type { ReportDeviceError } from '../device-client.js';
import type { LineOwners } from '../line-owners.js';
import type { BarClient } from '../pci/card-client.js';
import type { CardFunction } from '../pci/card-function.js';
import type { CardDoorbell, PciCard, PciDescription } from '../pci/pci-card.js';
import type { PciAddress } from '../pci-function.js';
import type { RegisterMap } from '../register-map.js';
import type { RegisterValues } from '../register-peek.js';
import { CardLink, MAX_LINKED_DOORBELLS } from './card-link.js';
import { ThreadClient } from './in-own-thread.js';
import { BAR_SPACE, barAddress } from './linked-card.js';
import type { ThreadPlacement } from './thread-placement.js';

export interface ThreadCardOptions {
  readonly placement: ThreadPlacement;
  readonly address: PciAddress;
  readonly memory: GuestMemory;
  readonly lines: InterruptLines;
  readonly owners: LineOwners;
  readonly finisher: ClientFinisher;
  readonly reportError: ReportDeviceError;
  /** The thread ended by itself, after the card was attached. The callee must remove the card. */
  readonly onLost: (reason: string, stack: string | undefined) => void;
}

export class ThreadCard implements PciCard {
  readonly #link = new CardLink();
  readonly #thread: ThreadClient;
  /** By slot: what the thread gets, and the request that its answer finishes. */
  readonly #copies: readonly AssignedRequest[];
  readonly #originals: (AssignedRequest | undefined)[] = [];
  readonly #ended: Promise<void>;
  #fn: CardFunction | undefined;

  /** Starts the thread. Throws VM_LIMIT and THREAD_FAILED. */
  constructor(options: ThreadCardOptions) {
    const { placement, address, memory, lines, owners, reportError, finisher } = options;
    let end: () => void = () => undefined;
    this.#ended = new Promise((resolve) => {
      end = resolve;
    });
    this.#thread = new ThreadClient({
      placement,
      range: BAR_SPACE,
      memory,
      lines,
      owners,
      reportError,
      card: { address, link: this.#link.buffer },
      onReport: (message) => this.#fn?.handle.report(message),
      onDeath: (reason, stack) => {
        end();
        this.#link.end();
        if (this.#fn !== undefined) options.onLost(reason, stack);
      },
      onEnd: () => {
        end();
        this.#link.end();
      },
    });
    this.#copies = Array.from(
      { length: SLOT_COUNT },
      (_, vcpu) =>
        new AssignedRequest(vcpu, {
          finish: (ticket, low, high) => {
            this.#deliver();
            return (this.#originals[vcpu] as AssignedRequest).finish(ticket, low, high);
          },
        }),
    );
    this.#thread.connect(finisher);
    this.#thread.relay(true);
  }

  /** Resolves when the card is created. Rejects with DEVICE_MODULE_INVALID if it cannot be. */
  get ready(): Promise<unknown> {
    return this.#thread.ready;
  }

  get isReady(): boolean {
    return this.#thread.isReady;
  }

  get name(): string {
    return this.#thread.name;
  }

  /** Callers must await `ready`. */
  get pci(): PciDescription {
    const { card } = this.#thread;
    if (card === undefined) throw new Error(`${this.name} is not created yet`);
    return card.pci;
  }

  get doorbells(): readonly CardDoorbell[] {
    return (this.#thread.card?.doorbells ?? []).slice(0, MAX_LINKED_DOORBELLS);
  }

  get registerMap(): RegisterMap | undefined {
    return this.#thread.registers;
  }

  get refusedDma(): number {
    return this.#link.refusedDma;
  }

  /** Call it once, when the card's function exists. Requests may follow. */
  bind(fn: CardFunction): void {
    this.#fn = fn;
    const update = (): void => this.#link.setState(fn.state);
    fn.onConfigured = update;
    update();
    void this.#forward();
  }

  /** The I/O client of a BAR, decoded at `range`. */
  barClient(bar: number, range: AddressRange): BarClient {
    const first = Number(range.start);
    const bytes = Number(range.end - range.start) + 1;
    return {
      notify: (request) => {
        const offset = (request.addressHigh >>> 0) * 2 ** 32 + (request.addressLow >>> 0) - first;
        // Only a corrupted page can hold a request that exceeds its range.
        if (offset < 0 || offset + request.size > bytes) request.finishAllOnes(request.ticket);
        else this.#post(request, barAddress(bar, offset));
      },
    };
  }

  explain(vcpu: number): ClientPosition {
    return this.#thread.explain(vcpu);
  }

  /** The values of its registers, or undefined if the thread does not answer in time. */
  peekAll(): Promise<RegisterValues | undefined> {
    return this.#thread.peek();
  }

  /** Accesses go through `barClient`. */
  read(): Promise<number> {
    return Promise.reject(new Error(`${this.name} is in a thread of its own`));
  }

  write(): void {
    throw new Error(`${this.name} is in a thread of its own`);
  }

  /** As ThreadClient.reload. */
  reload(): void {
    this.#thread.reload();
  }

  rung(doorbell: number): void {
    this.#link.ring(doorbell);
    this.#thread.rung();
  }

  reset(): void {
    this.#link.beginEpoch();
    this.#thread.reset();
  }

  /** Resolves when the thread has ended. */
  close(): Promise<void> {
    this.#link.beginEpoch();
    this.#thread.disconnected();
    return this.#ended;
  }

  #post(request: AssignedRequest, address: number): void {
    const copy = this.#copies[request.vcpu] as AssignedRequest;
    this.#originals[request.vcpu] = request;
    copyFields(request, copy);
    copy.ticket = request.ticket;
    copy.type = IoRequestType.MMIO;
    copy.addressLow = address | 0;
    copy.addressHigh = Math.floor(address / 2 ** 32);
    this.#thread.notify(copy);
  }

  #deliver(): void {
    const fn = this.#fn;
    if (fn !== undefined) this.#link.deliver(fn);
  }

  /** The card's signals that come without an answer. */
  async #forward(): Promise<void> {
    while (await this.#link.wait()) {
      this.#deliver();
      // A card that signals without a pause must not block the event loop.
      await host.turn();
    }
  }
}
