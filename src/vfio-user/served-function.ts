/**
 * ServedFunction: a card's PCI function as vfio-user sees it: regions, interrupts, DMA regions and
 * the reset, with every argument of the client checked.
 *
 * Called by: VfioUserSession, with the payloads of commands. Threads: the Service VM's.
 *
 * The tables of MSI and MSI-X messages are the client's: it keeps address and data of each message
 * itself, and names by SET_IRQS the eventfds that it wants signalled. The function's own table has
 * the masks and the pending bits.
 *
 * Source: linux/vfio.h; the vfio-user specification.
 */

import { MSIX_CONTROL, Msi, MsiControl, msiEnabled, MsixControl } from '../device-model/pci/card-config.js';
import type { BarLayout } from '../device-model/pci/card-description.js';
import type { CardFunction } from '../device-model/pci/card-function.js';
import type { Device } from '../device-model/device.js';
import { barWindow } from './client-hypervisor.js';
import type { DmaMap } from './dma-map.js';
import { IrqSignals } from './irq-signals.js';
import {
  Bytes,
  CONFIG_BYTES,
  DeviceFlag,
  Errno,
  Irq,
  IrqFlag,
  IrqSet,
  Region,
  RegionFlag,
  UnmapFlag,
} from './protocol.js';
import type { ClientAccess, RequestContexts } from './request-contexts.js';

export interface ServedFunctionOptions {
  readonly fn: CardFunction;
  readonly contexts: RequestContexts;
  readonly dmaMap: DmaMap;
  readonly signal: (descriptor: number) => void;
  /** Whether the descriptor is an eventfd. */
  readonly acceptEvent: (descriptor: number) => boolean;
  readonly closeDescriptor: (descriptor: number) => void;
}

const MSIX_ENTRY_BYTES = 16;
const MSIX_ENTRY_CONTROL = 12;

export class ServedFunction {
  readonly irqs: IrqSignals;
  readonly #options: ServedFunctionOptions;
  readonly #bars: readonly (BarLayout | undefined)[];
  readonly #msixTable: Device | undefined;
  readonly #irqCounts: readonly number[];

  constructor(options: ServedFunctionOptions) {
    const { fn } = options;
    const { interruptPin, msi = 0, msix = 0 } = fn.card.pci;
    this.#options = options;
    const layouts = fn.bars.map(({ layout }) => layout);
    this.#bars = Array.from({ length: Region.ROM }, (_, bar) => layouts.find((layout) => layout.bar === bar));
    const table = layouts.find(({ isMsixTable }) => isMsixTable);
    this.#msixTable = table && fn.barDevice(table);
    // Errors and requests to remove the card are never signalled, but QEMU expects them.
    this.#irqCounts = [interruptPin === undefined ? 0 : 1, msi, msix, 1, 1];
    this.irqs = new IrqSignals({
      counts: this.#irqCounts,
      signal: options.signal,
      accept: options.acceptEvent,
      close: options.closeDescriptor,
      onWanted: (index, vector, isWanted) => this.#want(index, vector, isWanted),
      onMasked: (index, vector, isMasked) => this.#mask(index, vector, isMasked),
      onDisabled: (index) => this.#disable(index),
    });
  }

  get hasRoom(): boolean {
    return this.#options.contexts.hasFree;
  }

  closeDescriptor(descriptor: number): void {
    this.#options.closeDescriptor(descriptor);
  }

  /** The payload of a reply, or an errno. So are the following. */
  deviceInfo(payload: DataView<ArrayBuffer>): Uint8Array | Errno {
    if (payload.byteLength < Bytes.DEVICE_INFO) return Errno.INVALID;
    return words(Bytes.DEVICE_INFO, DeviceFlag.RESET | DeviceFlag.PCI, Region.COUNT, Irq.COUNT);
  }

  regionInfo(payload: DataView<ArrayBuffer>): Uint8Array | Errno {
    if (payload.byteLength < Bytes.REGION_INFO) return Errno.INVALID;
    const index = payload.getUint32(8, true);
    if (index >= Region.COUNT) return Errno.INVALID;
    const size = this.#sizeOf(index);
    const flags = size === 0 ? 0 : RegionFlag.READ | RegionFlag.WRITE;
    return words(Bytes.REGION_INFO, flags, index, 0, size % 2 ** 32, Math.floor(size / 2 ** 32), 0, 0);
  }

  irqInfo(payload: DataView<ArrayBuffer>): Uint8Array | Errno {
    if (payload.byteLength < Bytes.IRQ_INFO) return Errno.INVALID;
    const index = payload.getUint32(8, true);
    const count = this.#irqCounts[index];
    if (count === undefined) return Errno.INVALID;
    const kind = index === Irq.INTX ? IrqFlag.MASKABLE | IrqFlag.AUTOMASKED : IrqFlag.MASKABLE;
    return words(Bytes.IRQ_INFO, count === 0 ? 0 : IrqFlag.EVENTFD | kind, index, count);
  }

  /** Removes from `unused` the descriptors that it keeps. */
  setIrqs(payload: DataView<ArrayBuffer>, unused: Set<number>): Uint8Array | Errno {
    if (payload.byteLength < Bytes.IRQ_SET) return Errno.INVALID;
    const flags = payload.getUint32(4, true);
    const bytes = (flags & IrqSet.DATA_BOOL) === 0 ? 0 : payload.byteLength - Bytes.IRQ_SET;
    const kept = new Set<number>();
    const error = this.irqs.set(
      {
        flags,
        index: payload.getUint32(8, true),
        start: payload.getUint32(12, true),
        count: payload.getUint32(16, true),
        bytes: new Uint8Array(payload.buffer, payload.byteOffset + Bytes.IRQ_SET, bytes),
        descriptors: [...unused],
      },
      kept,
    );
    for (const descriptor of kept) unused.delete(descriptor);
    return error === 0 ? EMPTY : error;
  }

  mapMemory(payload: DataView<ArrayBuffer>, descriptors: ReadonlySet<number>): Uint8Array | Errno {
    if (payload.byteLength < Bytes.DMA_MAP) return Errno.INVALID;
    const [descriptor] = descriptors;
    const error = this.#options.dmaMap.add({
      flags: payload.getUint32(4, true),
      fileOffset: payload.getBigUint64(8, true),
      address: payload.getBigUint64(16, true),
      size: payload.getBigUint64(24, true),
      descriptor,
    });
    return error === 0 ? EMPTY : error;
  }

  unmapMemory(payload: DataView<ArrayBuffer>): Uint8Array | Errno {
    if (payload.byteLength < Bytes.DMA_UNMAP) return Errno.INVALID;
    const flags = payload.getUint32(4, true);
    if ((flags & UnmapFlag.DIRTY_BITMAP) !== 0) return Errno.NOTSUP;
    if ((flags & UnmapFlag.ALL) !== 0) this.#options.dmaMap.clear();
    else {
      const error = this.#options.dmaMap.remove(payload.getBigUint64(8, true), payload.getBigUint64(16, true));
      if (error !== 0) return error;
    }
    // The structure comes back, as the kernel's driver does it.
    return new Uint8Array(payload.buffer.slice(payload.byteOffset, payload.byteOffset + Bytes.DMA_UNMAP));
  }

  /**
   * Begins an access. Returns 0, and then `done` is called, or an errno. Callers must check
   * `hasRoom` first.
   */
  access(region: number, offset: bigint, bytes: Uint8Array, isWrite: boolean, done: ClientAccess['done']): Errno | 0 {
    if (region >= Region.COUNT || bytes.length === 0) return Errno.INVALID;
    if (offset + BigInt(bytes.length) > BigInt(this.#sizeOf(region))) return Errno.INVALID;
    const at = Number(offset);
    const layout = this.#bars[region];
    if (isWrite && layout?.isMsixTable === true) {
      done(true);
      return 0;
    }
    const isPorts = layout?.type === 'ports';
    const access: ClientAccess =
      layout === undefined
        ? { isWrite, space: 'config', start: at, bytes, done }
        : { isWrite, space: isPorts ? 'ports' : 'memory', start: barWindow(layout.bar, isPorts) + at, bytes, done };
    return this.#options.contexts.begin(access) ? 0 : Errno.NOMEM;
  }

  /**
   * Whether a write is answered before the card has it, as writes to memory are posted on a PCI
   * bus. A machine may stand still until it has its answer, and then answers no DMA of the card. So
   * this is done where DMA goes by messages.
   */
  isPosted(region: number, offset: bigint, length: number): boolean {
    const layout = this.#bars[region];
    if (layout === undefined || layout.type === 'ports' || length === 0) return false;
    return this.#options.dmaMap.hasRemote && offset + BigInt(length) <= BigInt(layout.size);
  }

  /** As by a function-level reset. Eventfds and regions stay. */
  reset(): void {
    this.#options.fn.reset();
  }

  /** The card sends a message. Returns false if the client does not want it. */
  sendMessage(message: number): boolean {
    return this.irqs.send(this.#options.fn.state.isMsixEnabled ? Irq.MSIX : Irq.MSI, message);
  }

  /** The client is gone: nothing of it stays. */
  clear(): void {
    this.irqs.close();
    this.#options.dmaMap.clear();
  }

  #sizeOf(region: number): number {
    return region === Region.CONFIG ? CONFIG_BYTES : (this.#bars[region]?.size ?? 0);
  }

  /** A client that wants messages has enabled them, also if it keeps configuration space itself. */
  #want(index: number, vector: number, isWanted: boolean): void {
    const { fn } = this.#options;
    if (index === Irq.MSIX) {
      this.#mask(index, vector, !isWanted);
      const control = fn.readConfig(MSIX_CONTROL, 2);
      if (isWanted && (control & MsixControl.ENABLE) === 0)
        fn.writeConfig(MSIX_CONTROL, 2, control | MsixControl.ENABLE);
    } else if (index === Irq.MSI && isWanted) {
      const control = fn.readConfig(Msi.CONTROL, 2);
      if ((control & MsiControl.ENABLE) === 0) fn.writeConfig(Msi.CONTROL, 2, msiEnabled(control));
    }
  }

  #mask(index: number, vector: number, isMasked: boolean): void {
    const { fn } = this.#options;
    if (index === Irq.MSIX)
      void this.#msixTable?.write(vector * MSIX_ENTRY_BYTES + MSIX_ENTRY_CONTROL, 4, isMasked ? 1 : 0);
    else if (index === Irq.MSI) {
      const masks = fn.readConfig(Msi.MASK, 4);
      const bit = 1 << vector;
      fn.writeConfig(Msi.MASK, 4, (isMasked ? masks | bit : masks & ~bit) >>> 0);
    }
  }

  #disable(index: number): void {
    const { fn } = this.#options;
    if (index === Irq.MSIX) fn.writeConfig(MSIX_CONTROL, 2, fn.readConfig(MSIX_CONTROL, 2) & ~MsixControl.ENABLE);
    else if (index === Irq.MSI) fn.writeConfig(Msi.CONTROL, 2, fn.readConfig(Msi.CONTROL, 2) & ~MsiControl.ENABLE);
  }
}

const EMPTY = new Uint8Array();

function words(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return bytes;
}
