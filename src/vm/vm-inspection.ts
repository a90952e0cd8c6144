/**
 * VmInspection: a read-only view of a User VM: its clients, the client that has each slot's
 * request, the latest moves, and the registers of its devices. It changes nothing, and the guest
 * does not notice it.
 *
 * Called by: the operator's program (`UserVm.inspection`) and the live page (dashboard/).
 * Threads: the Service VM's.
 */

import type { Device } from '../device-model/device.js';
import type { PciAddress, PciFunction } from '../device-model/pci-function.js';
import { CardClient } from '../device-model/pci/card-client.js';
import { CardFunction } from '../device-model/pci/card-function.js';
import { functionView, type FunctionView } from '../device-model/pci/function-view.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { virtioViewOf } from '../device-model/virtio/virtio-pci-card.js';
import type { VirtioView } from '../device-model/virtio/virtio-view.js';
import type { PciBus } from '../device-model/devices/pci/pci-bus.js';
import { ThreadClient } from '../device-model/placement/in-own-thread.js';
import { ThreadCard } from '../device-model/placement/thread-card.js';
import { peekBytes, peekCard, peekDevice, peekRegisters, type RegisterValues } from '../device-model/register-peek.js';
import type { RegisterDescription, RegisterMap } from '../device-model/register-map.js';
import { ReloadableCard } from '../device-model/reload/reloadable-card.js';
import type { InterruptState, VmInterrupts } from './vm-interrupts.js';
import type { ClientWrappers } from './client-wrappers.js';
import type { AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import { pciAddressName } from '../io-request/pci-address.js';
import type { InterruptEvent } from '../trace/interrupt-reader.js';
import type { MoveFilter } from '../trace/move-filter.js';
import type { Move } from '../trace/move.js';
import type { MoveSampler } from '../trace/move-sampler.js';
import type { VmTrace } from '../trace/vm-trace.js';

export interface PeekedRegister {
  readonly register: RegisterDescription;
  /** Undefined: reading it would have a side effect, or the device has no `peek`. */
  readonly value: number | undefined;
}

/** The registers of one device, in the order of its data sheet. */
export interface PeekedRegisters {
  /** The name of the data sheet. */
  readonly source: string;
  /** False if the device's thread did not answer in time. Then no register has a value. */
  readonly isAnswered: boolean;
  readonly registers: readonly PeekedRegister[];
}

/** Bytes of a device, each as a read of it alone would return it. */
export interface PeekedBytes {
  readonly range: AddressRange;
  /** From the start of the range. Undefined: cannot be known. */
  readonly bytes: readonly (number | undefined)[];
}

/** Functions that `functions` gives at most. */
export const SHOWN_FUNCTIONS = 64;

/** A PCI function, decoded, and what it carries. */
export interface InspectedFunction extends FunctionView {
  /** Only of a virtio card. */
  readonly virtio?: VirtioView;
}

export interface VmInspectionParts {
  readonly vcpuCount: number;
  readonly requests: VmRequests;
  readonly trace: VmTrace;
  readonly wrappers: ClientWrappers;
  /** The device of a client. Undefined if it has none in this thread. */
  readonly deviceOf: (client: IoClient) => Device | undefined;
  /** The PCI functions, whose configuration space the default client serves. */
  readonly pci: PciBus;
  readonly interrupts: VmInterrupts;
}

export class VmInspection {
  readonly #parts: VmInspectionParts;

  constructor(parts: VmInspectionParts) {
    this.#parts = parts;
  }

  get vcpuCount(): number {
    return this.#parts.vcpuCount;
  }

  /** The operator's clients, unwrapped: the default client, then the others, newest first. */
  get clients(): readonly IoClient[] {
    const { requests, wrappers } = this.#parts;
    const defaultClient = requests.clients.default;
    const all = [...(defaultClient === undefined ? [] : [defaultClient]), ...requests.clients.all];
    return all.map((client) => wrappers.original(client));
  }

  isDefault(client: IoClient): boolean {
    const { requests, wrappers } = this.#parts;
    return requests.clients.default !== undefined && wrappers.original(requests.clients.default) === client;
  }

  rangesOf(client: IoClient): readonly AddressRange[] {
    return this.#parts.requests.clients.ranges(this.#parts.wrappers.of(client));
  }

  /** Slots whose request `client` has not finished: bit n for slot n. */
  assignedSlots(client: IoClient): number {
    return this.#parts.requests.assignments.slotsOf(this.#parts.wrappers.of(client));
  }

  /**
   * The PCI functions that a client answers: a card's own, and all of them for the default client,
   * at most SHOWN_FUNCTIONS.
   */
  functions(client: IoClient): readonly InspectedFunction[] {
    const isDefault = this.isDefault(client);
    if (!isDefault && !(client instanceof CardClient)) return [];
    const cards = new Map(this.clients.filter((one) => one instanceof CardClient).map((card) => [card.fn, card]));
    return [...this.#parts.pci.functions()]
      .filter(({ function: fn }) => isDefault || (client instanceof CardClient && client.fn === fn))
      .slice(0, SHOWN_FUNCTIONS)
      .map(({ address, function: fn }) => {
        const card = fn instanceof CardFunction ? cards.get(fn) : undefined;
        const virtio = card && virtioViewOf(currentCard(card.fn.card));
        return {
          ...functionView(address, fn, (bar) => card?.decoded(bar)),
          ...(virtio === undefined ? {} : { virtio }),
        };
      });
  }

  /** The current or most recent owner of the request in slot `vcpu`. */
  ownerOf(vcpu: number): IoClient | undefined {
    const owner = this.#parts.requests.assignments.of(vcpu).owner;
    return owner === undefined ? undefined : this.#parts.wrappers.original(owner);
  }

  /**
   * How many moves (changes of state) of slot `vcpu` were recorded, as an int32 that wraps, and the
   * time of the last one that has a time, in the terms of `performance.now()`. Undefined if no move
   * has a time.
   */
  lastMove(vcpu: number): { readonly moves: number; readonly atMs: number | undefined } {
    return this.#parts.trace.lastMove(vcpu);
  }

  /** Samples the latest moves. The caller must close() it. */
  sampleMoves(filter?: MoveFilter): MoveSampler {
    return this.#parts.trace.sample(filter);
  }

  /**
   * As `UserVm.trace`, with interrupts: changes of lines, ends (EOIs) and messages. The filter is
   * one of requests, so all interrupts pass it.
   */
  traceWithInterrupts(filter?: MoveFilter): AsyncGenerator<Move | InterruptEvent, void, undefined> {
    const { trace, interrupts } = this.#parts;
    return trace.watch(filter, interrupts.read(trace.startMs));
  }

  /** Interrupt lines, messages and doorbells. After the end of the VM, as they were before it. */
  interrupts(): InterruptState {
    return this.#parts.interrupts.state;
  }

  /** Whether `peek` returns any register. */
  hasRegisters(client: IoClient): boolean {
    return this.#sets(client).length > 0;
  }

  /** The register map of a client's device, by now. Undefined for the default client. */
  registersOf(client: IoClient): RegisterMap | undefined {
    return this.isDefault(client) ? undefined : this.#sets(client)[0]?.map;
  }

  /**
   * The current registers of a client's device. A register whose `peek` throws has no value. A
   * device in a thread of its own is asked between two of its accesses, for at most a quarter of a
   * second.
   */
  async peek(client: IoClient): Promise<PeekedRegisters> {
    const sets = this.#sets(client);
    const values = await Promise.all(sets.map(({ peek }) => peek()));
    return {
      source: sets.map(({ map }) => map.source).join('; '),
      isAnswered: !values.includes(undefined),
      registers: sets.flatMap(({ map, prefix }, set) =>
        map.registers.map((register, index) => ({
          register: prefix === '' ? register : { ...register, name: `${prefix} ${register.name}` },
          value: values[set]?.[index],
        })),
      ),
    };
  }

  /**
   * The first bytes at each range of a client whose device has `peek` and no register map, at most
   * `most` together. None for other clients, and for a device in a thread of its own.
   */
  peekBytes(client: IoClient, most: number): readonly PeekedBytes[] {
    if (this.hasRegisters(client)) return [];
    let left = most;
    return rawRanges(client, this.rangesOf(client), this.#parts.deviceOf(client)).map(({ range, peek }) => {
      const count = Math.min(left, Number(range.end - range.start) + 1);
      left -= count;
      return { range, bytes: peekBytes(count, peek) };
    });
  }

  /**
   * The register sets of a client: that of its device, or for the default client one for each PCI
   * function that describes its registers.
   */
  #sets(client: IoClient): RegisterSet[] {
    const { deviceOf, pci } = this.#parts;
    if (this.isDefault(client)) return [...pci.functions()].flatMap(functionSet);
    if (client instanceof ThreadClient) {
      const { registers } = client;
      return registers === undefined ? [] : [{ map: registers, prefix: '', peek: () => client.peek() }];
    }
    if (client instanceof CardClient) return cardSet(client.fn.card);
    const device = deviceOf(client);
    return device?.registers === undefined
      ? []
      : [{ map: device.registers, prefix: '', peek: () => Promise.resolve(peekDevice(device)) }];
  }
}

interface PlacedFunction {
  readonly address: PciAddress;
  readonly function: PciFunction;
}

interface RegisterSet {
  readonly map: RegisterMap;
  /** Put before the registers' names. Empty: no prefix. */
  readonly prefix: string;
  readonly peek: () => Promise<RegisterValues | undefined>;
}

interface RawRange {
  readonly range: AddressRange;
  readonly peek: (offset: number) => number | undefined;
}

/** The ranges whose bytes can be peeked: those of a device, or the decoded BARs of a card. */
function rawRanges(client: IoClient, ranges: readonly AddressRange[], device: Device | undefined): RawRange[] {
  if (client instanceof CardClient) {
    const { card } = client.fn;
    if (card.peek === undefined) return [];
    return client.fn.bars.flatMap(({ layout: { bar, isMsixTable } }) => {
      const range = client.decoded(bar);
      return range === undefined || isMsixTable
        ? []
        : [{ range, peek: (offset: number) => card.peek?.(bar, offset, 1) }];
    });
  }
  if (device?.peek === undefined) return [];
  return ranges.map((range) => ({ range, peek: (offset) => device.peek?.(offset, 1) }));
}

/** The register set of a PCI function, or no set if the function describes no registers. */
function functionSet({ address, function: fn }: PlacedFunction): RegisterSet[] {
  const { registers: map } = fn;
  return map === undefined
    ? []
    : [
        {
          map,
          prefix: `pci ${pciAddressName(address.bus, address.device, address.function)}`,
          peek: () => Promise.resolve(peekRegisters(map, ({ offset, size }) => fn.peekConfig?.(offset, size))),
        },
      ];
}

/** The card itself, of one whose class can be exchanged. */
function currentCard(card: PciCard): PciCard {
  return card instanceof ReloadableCard ? card.current.device : card;
}

/** The register set of a card's BARs, or no set if the card describes no registers. */
function cardSet(card: PciCard): RegisterSet[] {
  if (card instanceof ThreadCard) {
    const { registerMap } = card;
    return registerMap === undefined ? [] : [{ map: registerMap, prefix: '', peek: () => card.peekAll() }];
  }
  const { registers: map } = card;
  return map === undefined ? [] : [{ map, prefix: '', peek: () => Promise.resolve(peekCard(card)) }];
}
