/**
 * cardBench: a Bench with a PCI card on it. The card's function is the real one (CardFunction). Its
 * BARs are placed and bus mastering and interrupt messages are enabled, as a guest's driver would
 * have done it.
 *
 * Called by: an author's tests.
 */

import type { Device } from '../device-model/device.js';
import { checkedValue } from '../device-model/device-value.js';
import { Command, Msi, msiEnabled, MSIX_CONTROL, MsixControl } from '../device-model/pci/card-config.js';
import { CardFunction } from '../device-model/pci/card-function.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { PciRegister } from '../device-model/devices/pci/pci-config-space.js';
import { createdBy, loadCard, type DeviceContext } from '../device-model/placement/device-module.js';
import { truncate } from '../io-request/io-request.js';
import { DEFAULT_MEMORY_BYTES, type Bench } from './bench.js';
import { benchContext, hrefOf, type BenchContext, type BenchOptions, type ModuleUrl } from './device-bench.js';

/** A class of cards, as a module exports it. */
export type CardClass = new (context: DeviceContext, options: never) => PciCard;
/** A function that creates a card. */
export type CreateCard = (context: DeviceContext, options: unknown) => PciCard | Promise<PciCard>;

/** The bench of a card. */
export interface CardBench extends Bench {
  /** Configuration space and counters of the card. */
  readonly function: CardFunction;
  /** What the card reported about its driver, as `device-report` events do. */
  readonly reports: readonly string[];
}

/** BARs are placed from here on, each at a multiple of its size. */
const BARS_START = 0xd000_0000;
const PORTS_START = 0x1000;
/** The interrupt that the pin leads to. */
const PIN = 11;
const LOCAL_APIC = 0xfee0_0000;
const MSIX_ENTRY_BYTES = 16;

/**
 * Creates a card on a bench, as deviceBench does a device. Rejects as it does, and with what the
 * card's `connect` throws.
 */
export async function cardBench(
  card: string | ModuleUrl | CardClass | CreateCard,
  { options, memoryBytes = DEFAULT_MEMORY_BYTES }: BenchOptions = {},
): Promise<CardBench> {
  const context = benchContext(memoryBytes);
  const made = (await (typeof card === 'function'
    ? createdBy(card, context, options)
    : loadCard(hrefOf(card), context, options))) as PciCard;
  const bench = new RealCardBench(made, context);
  made.connect?.(bench.function.handle);
  bench.enable();
  return bench;
}

class RealCardBench implements CardBench {
  readonly name: string;
  readonly registers;
  readonly spaces;
  readonly clock;
  readonly memory;
  readonly function: CardFunction;
  readonly reports: string[] = [];
  readonly #card: PciCard;
  readonly #lines;
  readonly #bars = new Map<number, Device>();
  #messages = 0;
  #isClosed = false;

  constructor(card: PciCard, { clock, memory, lines }: BenchContext) {
    this.name = card.name;
    this.registers = card.registers;
    this.clock = clock;
    this.memory = memory;
    this.#card = card;
    this.#lines = lines;
    this.function = new CardFunction({
      card,
      address: { bus: 0, device: 5, function: 0 },
      memory,
      pin: lines.line(PIN),
      interrupt: PIN,
      injectMsi: (address) => {
        if (address >>> 20 !== LOCAL_APIC >>> 20) return false;
        this.#messages++;
        return true;
      },
      reportError: (_, error) => {
        throw error;
      },
      report: (message) => this.reports.push(message),
    });
    const own = this.function.bars.filter(({ layout }) => !layout.isMsixTable);
    for (const { layout } of this.function.bars) this.#bars.set(layout.bar, this.function.barDevice(layout));
    this.spaces = own.map(({ layout: { bar, size } }) => ({ bar, length: size }));
  }

  /** Does what a driver does before it uses the card. */
  enable(): void {
    let memory = BARS_START;
    let ports = PORTS_START;
    for (const { layout } of this.function.bars) {
      const { bar, size, type } = layout;
      const register = PciRegister.BAR0 + 4 * bar;
      if (type === 'ports') ports = this.#place(register, ports, size);
      else memory = this.#place(register, memory, size);
    }
    this.function.writeConfig(PciRegister.COMMAND, 2, Command.PORTS | Command.MEMORY | Command.BUS_MASTER);
    const { msi, msix } = this.#card.pci;
    if (msix !== undefined) this.#enableMsix(msix);
    else if (msi !== undefined) this.#enableMsi();
  }

  get interruptMoves(): number {
    return this.#lines.moves + this.#messages;
  }

  async read(...[offset, size, bar = 0]: Parameters<Bench['read']>): Promise<number> {
    return truncate(checkedValue(await this.#bar(bar).read(offset, size), this.#card), size);
  }

  async write(...[offset, size, value, bar = 0]: Parameters<Bench['write']>): Promise<void> {
    await this.#bar(bar).write(offset, size, truncate(value, size));
  }

  peek(...[offset, size, name, bar = 0]: Parameters<Bench['peek']>): number | undefined {
    const value = this.#card.peek?.(bar, offset, size, name);
    return value === undefined ? undefined : truncate(value, size);
  }

  level(): boolean {
    return this.#lines.level(PIN);
  }

  raised(number?: number): number {
    if (number !== undefined) return this.function.sent(number);
    return this.#messages;
  }

  /** Resets the card and its configuration space, then enables the card again. */
  reset(): void {
    this.function.reset();
    this.enable();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.function.remove();
  }

  /** Each message with its own data. A driver prefers MSI-X to MSI. */
  #enableMsix(count: number): void {
    const table = this.function.bars.find(({ layout }) => layout.isMsixTable)?.layout;
    const device = table === undefined ? undefined : this.#bars.get(table.bar);
    for (let vector = 0; vector < count; vector++) {
      const entry = vector * MSIX_ENTRY_BYTES;
      void device?.write(entry, 4, LOCAL_APIC);
      void device?.write(entry + 8, 4, vector);
      void device?.write(entry + 12, 4, 0);
    }
    this.function.writeConfig(MSIX_CONTROL, 2, MsixControl.ENABLE);
  }

  /** As many messages as the card has. */
  #enableMsi(): void {
    this.function.writeConfig(Msi.ADDRESS, 4, LOCAL_APIC);
    this.function.writeConfig(Msi.CONTROL, 2, msiEnabled(this.function.readConfig(Msi.CONTROL, 2)));
  }

  /** Returns the first address behind it. */
  #place(register: number, from: number, size: number): number {
    const start = Math.ceil(from / size) * size;
    this.function.writeConfig(register, 4, start);
    return start + size;
  }

  #bar(bar: number): Device {
    const device = this.#bars.get(bar);
    if (device === undefined) throw new RangeError(`${this.name} has no BAR ${bar}`);
    return device;
  }
}
