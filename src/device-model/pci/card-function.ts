/**
 * CardFunction: a PciCard as a PCI function. It has the configuration space and the interrupts of
 * the card, and knows where the guest has placed the card's BARs.
 *
 * Called by: PciBus, for the guest's configuration accesses; BarDecoder; VmCards, which creates and
 * removes it; ThreadCard; VmInspection. The card calls it through its handle.
 * Threads: the Service VM's.
 */

import type { AddressRange } from '../../hsm/address-range.js';
import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import { Deferred } from '../../sync/deferred.js';
import type { DeviceCall, ReportDeviceError } from '../device-client.js';
import type { AccessSize, Device, InterruptLine } from '../device.js';
import { originOf, setOrigin } from '../device-origin.js';
import { PciConfigSpace, PciRegister } from '../devices/pci/pci-config-space.js';
import type { PciAddress, PciFunction } from '../pci-function.js';
import type { RegisterMap } from '../register-map.js';
import { BARS, barsOf, type BarLayout } from './card-description.js';
import { AF_CONTROL, AF_FUNCTION_LEVEL_RESET, Command, configFields, Status } from './card-config.js';
import { cardConfigRegisters } from './card-config-registers.js';
import { GuestDma } from './card-dma.js';
import { CardInterrupts, type InjectMessage, type MessageCounts } from './card-interrupts.js';
import type { MsixEntryView } from './msix-table.js';
import { barPlace, windowPlace, type BarWindow } from './bar-place.js';
import { LiveCapabilities } from './live-capabilities.js';
import type { CardHandle, PciCard } from './pci-card.js';

export interface CardFunctionOptions {
  readonly card: PciCard;
  readonly address: PciAddress;
  readonly memory: GuestMemory;
  /** The line that the interrupt pin is routed to. */
  readonly pin: InterruptLine;
  /** The number of that line, which the guest reads in the interrupt line register. */
  readonly interrupt: number;
  readonly injectMsi: InjectMessage;
  /** Where BARs are that the machine decodes itself. Default: where the guest places them. */
  readonly barWindow?: BarWindow | undefined;
  readonly reportError: ReportDeviceError;
  /** Called by CardHandle.report. */
  readonly report: (message: string) => void;
}

/** A BAR of a card, and where the guest has placed it. */
export interface PlacedBar {
  readonly layout: BarLayout;
  /** Undefined: it has no address, or the guest has not enabled it. */
  readonly place: AddressRange | undefined;
}

/** What the guest allows a card now. */
export interface CardState {
  readonly isBusMaster: boolean;
  /** Whether interrupts are messages, of MSI or of MSI-X. */
  readonly hasMessages: boolean;
  readonly isMsixEnabled: boolean;
}

/** How many of a card's actions came to nothing, since it was attached. */
export interface CardCounters {
  /** Accesses to memory without bus mastering, or outside of RAM. */
  readonly refusedDma: number;
  /** Messages without bus mastering, or to an address that is not an APIC's. */
  readonly refusedMessages: number;
  /** Times that the guest has placed one of its BARs where something else is. */
  readonly conflicts: number;
}

const BARS_END = PciRegister.BAR0 + 4 * BARS;

export class CardFunction implements PciFunction {
  readonly name: string;
  readonly card: PciCard;
  readonly address: PciAddress;
  readonly registers: RegisterMap;
  readonly handle: CardHandle;
  /** Called when `bars` has changed. Set by VmCards, which then updates the BarDecoder. */
  onPlaced: () => void = () => undefined;
  /** Called when `state` may have changed, but not for a reset, after which all of it is false. */
  onConfigured: () => void = () => undefined;
  /** CardCounters.conflicts. VmCards counts it up. */
  conflicts = 0;
  readonly #space: PciConfigSpace;
  readonly #interrupts: CardInterrupts;
  readonly #dma: GuestDma;
  readonly #reportError: ReportDeviceError;
  readonly #live: LiveCapabilities;
  readonly #layouts: readonly BarLayout[];
  readonly #barWindow: BarWindow | undefined;
  #bars: readonly PlacedBar[];
  readonly #closed = new Deferred<void>();
  #isRemoved = false;

  /** The card's description must be valid (cardProblem). */
  constructor(options: CardFunctionOptions) {
    const { card, address, memory, pin, interrupt, injectMsi, reportError, report } = options;
    this.#barWindow = options.barWindow;
    this.name = card.name;
    this.card = card;
    this.address = address;
    this.#reportError = reportError;
    this.#live = new LiveCapabilities(card, reportError);
    this.#layouts = barsOf(card.pci);
    this.#space = new PciConfigSpace(configFields(card.pci, interrupt));
    this.#bars = this.#layouts.map((layout) => ({ layout, place: undefined }));
    this.registers = cardConfigRegisters(card, this.#layouts);
    this.#interrupts = new CardInterrupts({ name: card.name, pci: card.pci, space: this.#space, pin, injectMsi });
    const isBusMaster = (): boolean =>
      !this.#isRemoved && (this.#space.read(PciRegister.COMMAND, 2) & Command.BUS_MASTER) !== 0;
    this.#dma = new GuestDma({
      memory,
      isBusMaster,
      onAbort: () => this.aborted(),
    });
    const interrupts = this.#interrupts;
    this.handle = {
      address,
      dma: this.#dma,
      memory,
      get isBusMaster() {
        return isBusMaster();
      },
      get isMsixEnabled() {
        return interrupts.isMsixEnabled;
      },
      interrupt: (vector = 0) => {
        if (!this.#isRemoved) this.#interrupts.interrupt(vector);
      },
      raise: () => this.setLevel(true),
      lower: () => this.setLevel(false),
      report: (message) => {
        if (!this.#isRemoved) report(message);
      },
    };
  }

  get bars(): readonly PlacedBar[] {
    return this.#bars;
  }

  /** What the guest allows the card. */
  get state(): CardState {
    return {
      isBusMaster: this.handle.isBusMaster,
      hasMessages: this.#interrupts.areMessages,
      isMsixEnabled: this.#interrupts.isMsixEnabled,
    };
  }

  get counters(): CardCounters {
    return { refusedDma: this.#dma.refused, refusedMessages: this.#interrupts.refused, conflicts: this.conflicts };
  }

  /** The messages that were sent, refused or are pending, by number. */
  get messages(): readonly MessageCounts[] {
    return this.#interrupts.messages;
  }

  /** The first entries of its MSI-X table, at most `most`. */
  msixEntries(most: number): readonly MsixEntryView[] {
    return this.#interrupts.table?.entries(most) ?? [];
  }

  /** How often message `vector` was sent. */
  sent(vector: number): number {
    return this.#interrupts.sent(vector);
  }

  readConfig(register: number, size: AccessSize): number {
    return this.#live.read(register, size) ?? this.#space.read(register, size);
  }

  /** Of a live capability, the bytes of its description. */
  peekConfig(register: number, size: AccessSize): number {
    return this.#space.read(register, size);
  }

  writeConfig(register: number, size: AccessSize, value: number): void {
    if (this.#live.write(register, size, value)) return;
    this.#space.write(register, size, value);
    const byte = AF_CONTROL - register;
    if (byte >= 0 && byte < size && ((value >>> (8 * byte)) & AF_FUNCTION_LEVEL_RESET) !== 0) {
      this.reset();
      return;
    }
    this.onConfigured();
    // The command and the BARs.
    if (register < BARS_END && register + size > PciRegister.COMMAND) this.#placeBars();
    this.#interrupts.update();
  }

  /**
   * A reset of the VM, or the guest's function-level reset. The card's own comes last: the BARs are
   * not decoded and the pin is low by then.
   */
  reset(): void {
    this.#space.reset();
    this.#placeBars();
    this.#interrupts.reset();
    this.#guard('reset', () => this.card.reset?.());
  }

  /** The card was removed from the VM. */
  remove(): void {
    this.reset();
    this.close();
  }

  /** The card was not attached after all, or is removed. */
  close(): void {
    this.#isRemoved = true;
    const close = async (): Promise<void> => this.card.close?.();
    void close()
      .catch((error: unknown) => this.#reportError(this.name, error, 'close'))
      .then(() => this.#closed.resolve());
  }

  /** Resolves when the card's `close` has ended. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Drives the pin. */
  setLevel(level: boolean): void {
    if (!this.#isRemoved) this.#interrupts.setLevel(level);
  }

  /** A message of a card in another thread. Ignored if messages were disabled meanwhile. */
  message(vector: number): void {
    if (!this.#isRemoved && this.#interrupts.areMessages) this.#interrupts.interrupt(vector);
  }

  /** DMA of the card found no memory. */
  aborted(): void {
    const status = this.#space.read(PciRegister.STATUS, 2);
    this.#space.set(PciRegister.STATUS, 2, status | Status.MASTER_ABORT);
  }

  /** The registers of a BAR as a device: the author's, or the MSI-X table. */
  barDevice({ bar, isMsixTable }: BarLayout): Device {
    const { table } = this.#interrupts;
    if (isMsixTable && table !== undefined) return table;
    const { card } = this;
    const device: Device = {
      name: card.name,
      read: (offset, size) => card.read(bar, offset, size),
      write: (offset, size, value) => card.write(bar, offset, size, value),
    };
    const origin = originOf(card);
    if (origin !== undefined) setOrigin(device, origin);
    return device;
  }

  #placeBars(): void {
    const window = this.#barWindow;
    const next = this.#layouts.map((layout) =>
      window === undefined ? barPlace(layout, this.#space) : windowPlace(layout, this.#space, window),
    );
    const isSame = next.every((place, index) => {
      const old = this.#bars[index]?.place;
      return place?.start === old?.start && (place === undefined) === (old === undefined);
    });
    if (isSame) return;
    this.#bars = this.#layouts.map((layout, index) => ({ layout, place: next[index] }));
    this.onPlaced();
  }

  /** What a card throws is its bug, and must not keep others from their reset. */
  #guard(during: DeviceCall, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#reportError(this.name, error, during);
    }
  }
}
