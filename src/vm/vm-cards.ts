/**
 * VmCards: the PCI cards of one User VM, each with its function in configuration space, its I/O
 * client, and the interrupt that its pin is routed to.
 *
 * Called by: VmDevices, for the operator; the HSM, through each card's client, when it removes one.
 * Threads: the Service VM's.
 */

import type { ReportDeviceError } from '../device-model/device-client.js';
import { UNCONNECTED, type InterruptLine } from '../device-model/device.js';
import type { LineOwner, LineOwners } from '../device-model/line-owners.js';
import type { PciBus } from '../device-model/devices/pci/pci-bus.js';
import { BarDecoder } from '../device-model/pci/bar-decoder.js';
import { CardClient } from '../device-model/pci/card-client.js';
import { pinNumber } from '../device-model/pci/card-config.js';
import { cardProblem } from '../device-model/pci/card-description.js';
import { CardFunction, type CardCounters } from '../device-model/pci/card-function.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import type { PciAddress } from '../device-model/pci-function.js';
import { ThreadCard } from '../device-model/placement/thread-card.js';
import type { ThreadPlacement } from '../device-model/placement/thread-placement.js';
import { describeRange, mmio, overlaps, ports, type AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { PendingWork } from '../hsm/pending-work.js';
import type { ClientFinisher } from '../hsm/request-finisher.js';
import type { VmClients } from '../hsm/vm-clients.js';
import { pciInterrupt } from '../hypervisor/boot/interrupt-routing.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { Errno } from '../io-request/errno.js';
import { pciAddressName } from '../io-request/pci-address.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { unreachableRanges } from './device-range.js';
import { CardDoorbells } from './card-doorbells.js';
import { devicesCreated } from './device-start.js';
import type { CountedCard } from './vm-interrupts.js';
import type { UserVmEvent } from './user-vm-events.js';

/** A card in a VM. */
export interface AttachedCard {
  readonly address: PciAddress;
  readonly counters: CardCounters;
  /** Resolves when the card is removed and its `close` has ended. */
  readonly closed: Promise<void>;
  /**
   * Removes the card while the VM runs or before. Its function and ranges vanish, its requests
   * finish as all ones, and it is closed. May be called again.
   */
  detach(): void;
}

/** The part of a VM that its cards need. */
export interface CardVm {
  readonly name: string;
  readonly pci: PciBus;
  readonly hypercalls: Hypercalls;
  readonly clients: VmClients;
  readonly work: PendingWork;
  /** Whether the hypervisor may complete writes to doorbells itself. */
  readonly hasDoorbells: boolean;
  /** The operator's client behind the one that the HSM has (client-wrappers.ts). */
  readonly original: (client: IoClient) => IoClient;
  readonly reportError: ReportDeviceError;
  /** Message number `message` of a card was sent or refused. `data`: as the guest has set it up. */
  readonly onMessage: (card: PciCard, data: number, message: number, isSent: boolean) => void;
  readonly owners: LineOwners;
  /** How long a card in a thread of its own may take to be created, in ms. */
  readonly startTimeoutMs: number;
  readonly vm: {
    interruptLine(gsi: number, owner?: LineOwner): InterruptLine;
    createClient(client: IoClient): void;
    destroyClient(client: IoClient): void;
    addRange(client: IoClient, range: AddressRange): boolean;
    removeRange(client: IoClient, range: AddressRange): boolean;
    emit(event: UserVmEvent): void;
  };
}

/** Cards whose counters are kept. The first to be forgotten is the oldest that was removed. */
export const MAX_COUNTED_CARDS = 256;
/** Ports that the HSM serves itself. */
const CONFIG_PORTS = ports(0xcf8, 8);

export class VmCards {
  readonly #parts: CardVm;
  readonly #decoder: BarDecoder;
  readonly #doorbells: CardDoorbells;
  readonly #cards = new Map<PciCard, AttachedCard>();
  /** Addresses of cards that are being created in threads of their own. */
  readonly #promised = new Set<PciAddress>();
  /** Also those that were removed, oldest first. */
  readonly #counted = new Set<CardFunction>();
  readonly #reserved: readonly { readonly range: AddressRange; readonly what: string }[];

  constructor(parts: CardVm) {
    const { vm, hypercalls, clients } = parts;
    this.#parts = parts;
    this.#doorbells = new CardDoorbells(parts.hasDoorbells ? hypercalls.asyncIo : undefined, parts.work);
    this.#reserved = [
      ...unreachableRanges(hypercalls).map(({ type, start, end, what }) => ({
        range: type === 'port' ? ports(start, end - start + 1) : mmio(start, end - start + 1),
        what,
      })),
      { range: mmio(0, hypercalls.memory.size), what: "the guest's RAM" },
      { range: CONFIG_PORTS, what: 'PCI configuration' },
    ];
    this.#decoder = new BarDecoder({
      occupant: (place) => this.#occupant(place),
      addRange: (client, range) => vm.addRange(client, range),
      removeRange: (client, range) => vm.removeRange(client, range),
      onConflict: ({ client, layout, place, other }) => {
        client.fn.conflicts++;
        const { bus, device, function: number } = client.fn.address;
        vm.emit({
          kind: 'bar-conflict',
          device: client.name,
          address: pciAddressName(bus, device, number),
          bar: layout.bar,
          range: describeRange(place),
          other,
        });
      },
    });
    clients.onRangesChanged = () => this.#decoder.update();
  }

  /**
   * `wanted`: default: the first free device number of bus 0 but 0, the host bridge's. Throws as
   * `UserVm.attachCard`. Then it has closed the card, except one that is invalid or attached
   * already.
   */
  attach(card: PciCard, wanted?: PciAddress): AttachedCard {
    const problem = cardProblem(card) ?? (this.#cards.has(card) ? 'is attached already' : undefined);
    if (problem !== undefined)
      throw new UpcallError('DEVICE_INVALID', `attachCard: the card ${problem}`, {
        errno: Errno.EINVAL,
        remedy: 'docs/write-a-device.md, "A PCI card", shows one',
      });
    let address: PciAddress;
    try {
      address = wanted ?? this.#freeAddress();
    } catch (error) {
      const close = async (): Promise<void> => card.close?.();
      close().catch((closing: unknown) => this.#parts.reportError(card.name, closing, 'close'));
      throw error;
    }
    return this.#attach(card, address);
  }

  /**
   * The same for a card in a thread of its own, once it is created. Rejects as `UserVm.attachCard`
   * does.
   */
  async attachPlaced(placement: ThreadPlacement, wanted?: PciAddress): Promise<AttachedCard> {
    const { hypercalls, clients, owners, reportError, startTimeoutMs, vm } = this.#parts;
    const address = wanted ?? this.#freeAddress();
    const card = new ThreadCard({
      placement,
      address,
      memory: hypercalls.memory,
      lines: hypercalls.shared.lines,
      owners,
      finisher: finisherOf(clients),
      reportError,
      onLost: (reason, stack) => {
        vm.emit({ kind: 'device-lost', device: card.name, reason, ...(stack === undefined ? {} : { stack }) });
        this.#cards.get(card)?.detach();
      },
    });
    this.#promised.add(address);
    try {
      await devicesCreated([card], startTimeoutMs);
    } catch (error) {
      void card.close();
      throw error;
    } finally {
      this.#promised.delete(address);
    }
    return this.attach(card, address);
  }

  #attach(card: PciCard, address: PciAddress): AttachedCard {
    const { vm, pci, hypercalls, reportError } = this.#parts;
    const { interruptPin: pin } = card.pci;
    const interrupt = pin === undefined ? 0 : pciInterrupt(address.device, pinNumber(pin));
    const fn = new CardFunction({
      card,
      address,
      memory: hypercalls.memory,
      pin: pin === undefined ? UNCONNECTED : vm.interruptLine(interrupt, card),
      interrupt,
      injectMsi: (to, data, message) => {
        const isSent = hypercalls.sendMessage?.(message) ?? hypercalls.injectMsi(to, data) === 0;
        this.#parts.onMessage(card, data, message, isSent);
        return isSent;
      },
      barWindow: hypercalls.barWindow,
      reportError,
      report: (message) => vm.emit({ kind: 'device-report', device: card.name, message }),
    });
    const client = new CardClient({
      fn,
      reportError,
      ...(card instanceof ThreadCard ? { placed: card } : {}),
      onDecoded: (bar, range) => this.#doorbells.place(card, bar, range),
      onRemoved: () => this.#removed(client),
    });
    try {
      pci.add(address, fn);
      vm.createClient(client);
    } catch (error) {
      pci.remove(fn);
      fn.close();
      throw error;
    }
    this.#count(fn);
    this.#decoder.add(client);
    fn.onPlaced = () => this.#decoder.update();
    if (card instanceof ThreadCard) card.bind(fn);
    const attached: AttachedCard = {
      address,
      get counters() {
        const { counters } = fn;
        return card instanceof ThreadCard
          ? { ...counters, refusedDma: counters.refusedDma + card.refusedDma }
          : counters;
      },
      closed: fn.closed,
      detach: () => {
        if (this.#decoder.has(client)) vm.destroyClient(client);
      },
    };
    this.#cards.set(card, attached);
    try {
      card.connect?.(fn.handle);
    } catch (error) {
      attached.detach();
      throw error;
    }
    return attached;
  }

  /** The cards with their counters, and those that the VM had. */
  get counted(): readonly CountedCard[] {
    return [...this.#counted].map((fn) => {
      const { bus, device, function: number } = fn.address;
      return {
        name: `${fn.name} ${pciAddressName(bus, device, number)}`,
        messages: fn.messages,
        doorbellWrites: this.#doorbells.writesTo(fn.card),
      };
    });
  }

  #count(fn: CardFunction): void {
    const removed = [...this.#counted].find(({ card }) => !this.#cards.has(card));
    if (removed !== undefined && this.#counted.size >= MAX_COUNTED_CARDS) this.#counted.delete(removed);
    this.#counted.add(fn);
  }

  #removed(client: CardClient): void {
    if (!this.#decoder.has(client)) return;
    this.#decoder.remove(client);
    this.#doorbells.remove(client.fn.card);
    this.#parts.pci.remove(client.fn);
    this.#cards.delete(client.fn.card);
    client.fn.remove();
  }

  #freeAddress(): PciAddress {
    const functions = [...this.#parts.pci.functions()].map(({ address }) => address);
    const taken = new Set([...functions, ...this.#promised].map(({ bus, device }) => bus * 32 + device));
    for (let device = 1; device < 32; device++) if (!taken.has(device)) return { bus: 0, device, function: 0 };
    throw new UpcallError('VM_LIMIT', `VM ${this.#parts.name}: devices 1 to 31 of PCI bus 0 are taken`, {
      remedy: 'Give an address with another function, such as 00:05.1',
    });
  }

  /** What is at `place` and is not a card's BAR, for the operator. Undefined: it is free. */
  #occupant(place: AddressRange): string | undefined {
    const reserved = this.#reserved.find(({ range }) => overlaps(range, place));
    if (reserved !== undefined) return reserved.what;
    const { clients, original } = this.#parts;
    for (const client of clients.all) {
      if (this.#decoder.has(original(client))) continue;
      if (clients.ranges(client).some((range) => overlaps(range, place))) return client.name;
    }
    return undefined;
  }
}

/** Throws VM_STATE. */
function finisherOf({ finisher }: VmClients): ClientFinisher {
  if (finisher !== undefined) return finisher;
  throw new UpcallError('VM_STATE', "the hypervisor's state cannot be shared with a card's thread", {
    remedy: "Attach the card in the Service VM's thread",
  });
}
