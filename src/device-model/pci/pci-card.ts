/**
 * PciCard: the interface of a PCI function that a device author writes, and CardHandle: what the
 * function may do to its machine.
 *
 * Called by: CardFunction (card-function.ts), in the Service VM's thread, or the card's own thread
 * (placement/linked-card.ts). The author implements the registers behind the base address registers
 * (BARs). Configuration space, the placing of BARs and the kinds of interrupts are upcall's.
 *
 * As for a Device (device.ts), the guest is hostile and a throw is a bug of the card. See
 * docs/write-a-device.md.
 */

import type { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { AccessSize } from '../device.js';
import type { PciAddress } from '../pci-function.js';
import type { RegisterMap } from '../register-map.js';

/** A range of addresses that the guest places. */
export interface BarDescription {
  /** `memory64` takes two registers: after one in BAR 0, the next BAR is 2. */
  readonly type: 'memory' | 'memory64' | 'ports';
  /** Bytes, or ports: a power of two. Memory: 16 to 2^31, memory64: to 2^40, ports: 4 to 256. */
  readonly size: number;
  /** Of memory: reads have no effect. Default: false. */
  readonly prefetchable?: boolean;
}

export interface PciDescription {
  /** 16 bits each. */
  readonly vendor: number;
  readonly device: number;
  /** 24 bits: class, subclass, programming interface. */
  readonly class: number;
  /** 8 bits. Default: 0. */
  readonly revision?: number;
  /** 16 bits each. Default: those of the card. */
  readonly subsystem?: { readonly vendor: number; readonly device: number };
  /** In the order of the registers, from BAR 0 on. Default: none. */
  readonly bars?: readonly BarDescription[];
  /** Vectors of MSI: 1, 2, 4, 8, 16 or 32. Default: no MSI. */
  readonly msi?: number;
  /** Vectors of MSI-X: 1 to 2048. Its table takes the BAR after the last one. Default: no MSI-X. */
  readonly msix?: number;
  /** Default: no pin. */
  readonly interruptPin?: 'A' | 'B' | 'C' | 'D';
  /** Further capabilities. Default: none. */
  readonly capabilities?: readonly PciCapability[];
}

/** A live capability begins with these bytes, which the guest can only read. */
export const FIRST_LIVE_BYTE = 4;

export interface PciCapability {
  /** 8 bits. 9: vendor specific. */
  readonly id: number;
  /** What follows the identifier and the link to the next one. The guest can only read it. */
  readonly bytes: Uint8Array | readonly number[];
  /**
   * From its byte FIRST_LIVE_BYTE on, the guest accesses registers of the card instead, by
   * `readCapability` and `writeCapability`. Not for cards in threads of their own. Default: false.
   */
  readonly isLive?: boolean;
}

export interface PciCard {
  /** Names the card in messages, traces and statistics. */
  readonly name: string;
  readonly pci: PciDescription;
  /** Called once, when the card is attached and before its first access. */
  connect?(card: CardHandle): void;
  /**
   * Reads the register at `offset` of BAR number `bar`. All else is as for `Device.read`: sizes of
   * 1, 2 and 4, any alignment, a number or a promise.
   */
  read(bar: number, offset: number, size: AccessSize): number | Promise<number>;
  /** As `Device.write`. */
  write(bar: number, offset: number, size: AccessSize, value: number): void | Promise<void>;
  /**
   * Reads `size` bytes at `offset` of live capability number `index`, counted in
   * `PciDescription.capabilities`. `offset`: FIRST_LIVE_BYTE or more, a multiple of `size`.
   */
  readCapability?(index: number, offset: number, size: AccessSize): number;
  writeCapability?(index: number, offset: number, size: AccessSize, value: number): void;
  /**
   * Registers whose writes the hypervisor may complete itself, as Linux' ioeventfd. Then `rung` is
   * called a little later instead of `write`, once for several. Default: none.
   */
  readonly doorbells?: readonly CardDoorbell[];
  /** The guest has written to doorbell number `doorbell`. */
  rung?(doorbell: number): void;
  /** A register's BAR is `RegisterDescription.bar`. Default: none. */
  readonly registers?: RegisterMap;
  /** As `Device.peek`. */
  peek?(bar: number, offset: number, size: AccessSize, name?: string): number | undefined;
  /**
   * Restores the power-on state. Called at a reset of the VM, at a function-level reset, and before
   * `close`. The interrupt pin is low by then.
   */
  reset?(): void;
  /** As `Device.save`. Configuration space is upcall's, and not part of it. */
  save?(): unknown;
  /** As `Device.restore`. `connect` was called before. */
  restore?(state: unknown): void;
  /** As `Device.stateVersion`. */
  readonly stateVersion?: number;
  /**
   * Releases timers and handles. Called once, when the card is removed or the VM is destroyed. What
   * takes longer, such as writing a file, settles the promise.
   */
  close?(): void | Promise<void>;
}

/** A register whose write only notifies the card of work, whatever the value. */
export interface CardDoorbell {
  readonly bar: number;
  readonly offset: number;
}

/** Access to guest memory. What hardware would not do is refused and counted, never thrown. */
export interface CardDma {
  /**
   * A copy of `length` bytes. Returns undefined if the guest has not enabled bus mastering, or if
   * one of the bytes is outside of RAM.
   */
  read(address: number, length: number): Uint8Array<ArrayBuffer> | undefined;
  /** Fills `target`. Returns false where `read` returns undefined. */
  readInto(address: number, target: Uint8Array): boolean;
  /** Returns false, and writes nothing, where `read` returns undefined. */
  write(address: number, bytes: Uint8Array): boolean;
  /** How many calls were refused since the card was attached. */
  readonly refused: number;
}

/** After the card is removed, its methods do nothing, and DMA is refused. */
export interface CardHandle {
  readonly address: PciAddress;
  readonly dma: CardDma;
  /**
   * The RAM itself, for rings that card and guest share. Unlike `dma` it checks nothing: check
   * addresses with `contains`, and `isBusMaster` before each access.
   */
  readonly memory: GuestMemory;
  /** Whether the guest has enabled bus mastering, and the card is attached. */
  readonly isBusMaster: boolean;
  /** Whether interrupts are messages of MSI-X. */
  readonly isMsixEnabled: boolean;
  /**
   * Sends message `vector` (default: 0) if the guest has enabled MSI-X or MSI. Otherwise raises the
   * pin. Throws RangeError for a vector that the card does not have.
   */
  interrupt(vector?: number): void;
  /** Raises the interrupt pin, which stays high until `lower`. No effect on messages. */
  raise(): void;
  lower(): void;
  /**
   * Emits a `device-report` event: what the guest did wrong, or what the card lacks. `message`: a
   * sentence part that follows the card's name, such as "needs a reset: …".
   */
  report(message: string): void;
}
