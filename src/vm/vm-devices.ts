/**
 * VmDevices: everything that is attached to one User VM: devices at ranges, PCI functions, and PCI
 * cards.
 *
 * Called by: UserVm, for the operator and for the life cycle. Threads: the Service VM's.
 */

import type { DeviceCall } from '../device-model/device-client.js';
import type { Device, InterruptLine } from '../device-model/device.js';
import type { LineOwner } from '../device-model/line-owners.js';
import type { PciBus } from '../device-model/devices/pci/pci-bus.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import type { PciAddress, PciFunction } from '../device-model/pci-function.js';
import { CardClient } from '../device-model/pci/card-client.js';
import { CardFunction } from '../device-model/pci/card-function.js';
import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { isThreadPlacement, type ThreadPlacement } from '../device-model/placement/thread-placement.js';
import { describeRange, type AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { errorText } from '../io-request/error-text.js';
import { pciAddressName } from '../io-request/pci-address.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { Attachments } from './attachments.js';
import type { ClientWrappers } from './client-wrappers.js';
import { unreachableRanges } from './device-range.js';
import { restoreDevices, type Place } from './snapshot/device-states.js';
import type { SnapshotParts } from './snapshot/snapshot.js';
import type { UserVmEvent } from './user-vm-events.js';
import { VmCards, type AttachedCard } from './vm-cards.js';
import { VmInterrupts } from './vm-interrupts.js';

/** The part of a VM that its devices need. */
export interface DevicesVm {
  readonly name: string;
  readonly hypercalls: Hypercalls;
  readonly requests: VmRequests;
  readonly wrappers: ClientWrappers;
  readonly pci: PciBus;
  /** Whether the hypervisor may complete writes to doorbells of cards itself. */
  readonly hasDoorbells: boolean;
  /** How long the start waits for devices in threads of their own, in ms. */
  readonly startTimeoutMs: number;
  /** Whether the VM has upcall's own default client, which serves PCI configuration space. */
  readonly hasDefaultClient: boolean;
  readonly vm: {
    interruptLine(gsi: number, owner?: LineOwner): InterruptLine;
    createClient(client: IoClient, ranges?: readonly AddressRange[]): void;
    destroyClient(client: IoClient): void;
    addRange(client: IoClient, range: AddressRange): boolean;
    removeRange(client: IoClient, range: AddressRange): boolean;
    emit(event: UserVmEvent): void;
  };
}

export class VmDevices {
  readonly interrupts: VmInterrupts;
  readonly #parts: DevicesVm;
  readonly #attachments: Attachments;
  readonly #cards: VmCards;

  constructor(parts: DevicesVm) {
    const { hypercalls, requests, wrappers, startTimeoutMs, vm } = parts;
    const { clients } = requests;
    const reportError = (device: string, error: unknown, during: DeviceCall): void =>
      vm.emit({ kind: 'device-error', device, during, ...errorText(error) });
    this.#parts = parts;
    this.#attachments = new Attachments({
      memory: hypercalls.memory,
      lines: hypercalls.shared.lines,
      startTimeoutMs,
      reservedRanges: unreachableRanges(hypercalls),
      removals: () => clients.removals,
      isRegistered: (client) => clients.has(wrappers.of(client)),
      reportError,
      // A thread ended by itself.
      onLost: (client, reason, stack) => {
        vm.emit({ kind: 'device-lost', device: client.name, reason, ...(stack === undefined ? {} : { stack }) });
        vm.destroyClient(client);
      },
      // Any thread ended, so it answers nothing any more.
      onEnd: (client) => clients.finishAllOf(wrappers.of(client)),
    });
    this.interrupts = new VmInterrupts({
      hypercalls,
      owners: this.#attachments.owners,
      cards: () => this.#cards.counted,
    });
    this.#cards = new VmCards({
      name: parts.name,
      pci: parts.pci,
      hypercalls,
      clients,
      work: requests.work,
      hasDoorbells: parts.hasDoorbells,
      original: (client) => wrappers.original(client),
      reportError,
      onMessage: (card, data, message, isSent) => this.interrupts.recordMessage(card, data, message, isSent),
      owners: this.#attachments.owners,
      startTimeoutMs,
      vm,
    });
  }

  /** A new output of `owner` to line `gsi`. Throws LINE_INVALID. */
  output(gsi: number, owner?: LineOwner): InterruptLine {
    return this.#attachments.output(gsi, owner);
  }

  /** As `UserVm.attach`. */
  attach(range: AddressRange, device: Device | ThreadPlacement): () => void {
    const { vm } = this.#parts;
    const client = this.#attachments.add(range, device);
    try {
      vm.createClient(client, [range]);
    } catch (error) {
      this.#attachments.remove(client);
      throw error;
    }
    return () => {
      const attachment = this.#attachments.remove(client);
      if (attachment === undefined) return;
      this.#attachments.beginRemoval(attachment);
      vm.destroyClient(client);
      this.#attachments.closeRemoved(attachment);
    };
  }

  /** As `UserVm.attachPci`. */
  attachPci(address: PciAddress, fn: PciFunction): void {
    this.#expectConfigSpace();
    this.#parts.pci.add(address, fn);
  }

  /** As `UserVm.attachCard`. */
  attachCard(card: PciCard | ThreadPlacement, address?: PciAddress): AttachedCard | Promise<AttachedCard> {
    this.#expectConfigSpace();
    // A program need not be compiled against the types.
    const value: unknown = card;
    if (typeof value === 'object' && value !== null && isThreadPlacement(value))
      return this.#cards.attachPlaced(value, address);
    return this.#cards.attach(card as PciCard, address);
  }

  /** The device of `client`. Undefined if it has none in this thread. */
  deviceOf(client: IoClient): Device | undefined {
    return this.#attachments.deviceOf(client);
  }

  /** Resolves when every device is created. Rejects as `Attachments.ready` does. */
  ready(): Promise<void> {
    return this.#attachments.ready();
  }

  reset(): void {
    this.#attachments.reset();
    this.#parts.pci.reset();
  }

  /** What a snapshot has of them. */
  places(): readonly Place[] {
    const { pci } = this.#parts;
    const devices = this.#attachments.present.map(({ range, client, device }): Place => {
      const placed = { at: describeRange(range), name: client.name };
      if (!(device instanceof ThreadClient)) return { ...placed, device };
      return { ...placed, device: {}, obstacle: 'it has a thread of its own' };
    });
    const functions = [...pci.functions()].map(
      ({ address: { bus, device, function: number }, function: fn }): Place => {
        const placed = { at: `PCI ${pciAddressName(bus, device, number)}`, name: fn.name };
        if (!(fn instanceof CardFunction)) return { ...placed, device: fn };
        return { ...placed, device: {}, obstacle: 'a card cannot be saved yet' };
      },
    );
    return [...devices, ...functions];
  }

  /** Before the VM's first start. Throws SNAPSHOT_REFUSED and SNAPSHOT_INVALID. */
  restore({ devices, lines }: Pick<SnapshotParts, 'devices' | 'lines'>): void {
    restoreDevices(devices, this.places());
    this.#parts.hypercalls.shared.lines.restore(lines);
  }

  /** Clients that are no devices: a snapshot cannot have them. */
  otherClients(): readonly string[] {
    const { requests, wrappers } = this.#parts;
    const own = new Set(this.#attachments.present.map(({ client }) => client));
    return requests.clients.all
      .map((client) => wrappers.original(client))
      .filter((client) => !own.has(client) && !(client instanceof CardClient))
      .map(({ name }) => `${name}: it is an I/O client, not a device`);
  }

  /** Cards were closed with their clients. */
  close(): void {
    this.#attachments.close();
  }

  #expectConfigSpace(): void {
    if (!this.#parts.hasDefaultClient)
      throw new UpcallError('VM_STATE', `VM ${this.#parts.name}: its userspace serves PCI configuration space`, {
        remedy: 'Add the function there, or use an I/O client',
      });
  }
}
