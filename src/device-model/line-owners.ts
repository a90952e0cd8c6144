/**
 * LineOwners: the names of the devices that drive a VM's interrupt lines, for the operator.
 *
 * Called by: DeviceLines and ThreadClient, which add the owners of their outputs; VmInterrupts, for
 * tables of lines and for the trace of lines and messages.
 * Threads: the Service VM's.
 *
 * A driver of a line is one source with an output of its own to it (InterruptLines): SET_IRQLINE,
 * the devices in the Service VM's thread together, or the thread of one device.
 *
 * An owner has a number, which fits into a word of the interrupt trace (trace/interrupt-lane.ts).
 * It keeps the number after its device was removed, so that older entries still have its name.
 */

import { INTERRUPT_LINES, LINE_DRIVERS, LineDriver } from '../hypervisor/interrupt-lines.js';

/**
 * A name, or an object whose name may still change: that of a device is known once it is created.
 */
export type LineOwner = string | { readonly name: string };

/** Limit of the owners of a VM that have a number. Further ones are nameless. */
export const MAX_LINE_OWNERS = 1024;
/** The number of an owner without a name. */
export const NAMELESS = 0;
/** The owner of a line that programs set by the ioctl of this name, and no device. */
const BY_HYPERCALL = 'SET_IRQLINE';

export class LineOwners {
  /** Each owner is at the index of its number. NAMELESS has no owner. */
  readonly #owners: (LineOwner | undefined)[] = [undefined];
  readonly #numbers = new Map<LineOwner, number>();
  /** The numbers of the owners of each line, in the order in which they were added. */
  readonly #byLine = new Map<number, Set<number>>();
  /** How many outputs of an owner to a line are high. The key is `outputKey` of both. */
  readonly #high = new Map<number, number>();
  /** The device of each driver of the lines that is a thread of its own. */
  readonly #drivers = new Map<number, LineOwner>();

  /** The number of `owner`, which is the same at each call. NAMELESS beyond MAX_LINE_OWNERS. */
  numberOf(owner: LineOwner | undefined): number {
    if (owner === undefined) return NAMELESS;
    const known = this.#numbers.get(owner);
    if (known !== undefined) return known;
    if (this.#owners.length > MAX_LINE_OWNERS) return NAMELESS;
    this.#numbers.set(owner, this.#owners.length);
    return this.#owners.push(owner) - 1;
  }

  /** `owner` has an output to line `line`. Returns its number. */
  add(line: number, owner: LineOwner | undefined): number {
    const number = this.numberOf(owner);
    if (number === NAMELESS) return number;
    const numbers = this.#byLine.get(line) ?? new Set();
    this.#byLine.set(line, numbers.add(number));
    return number;
  }

  /** An output of owner `number` to line `line`, in the Service VM's thread, is `high` now. */
  changed(line: number, number: number, high: boolean): void {
    if (number === NAMELESS) return;
    const key = outputKey(line, number);
    // An entry for each pair of line and owner, so a change of a known one allocates nothing.
    this.#high.set(key, (this.#high.get(key) ?? 0) + (high ? 1 : -1));
  }

  /** `owner` runs in a thread that drives the lines as `driver`. */
  drives(driver: number, owner: LineOwner): void {
    this.#drivers.set(driver, owner);
  }

  /**
   * The names of the owners that hold line `line` high. `drivers`: a bit for each driver that does
   * (InterruptLines.drivers). The Service VM's driver stands for all devices in its thread.
   */
  holders(line: number, drivers: number): readonly string[] {
    const names: (string | undefined)[] = [];
    if ((drivers & (1 << LineDriver.HYPERCALL)) !== 0) names.push(BY_HYPERCALL);
    if ((drivers & (1 << LineDriver.SERVICE_VM)) !== 0)
      for (const number of this.#byLine.get(line) ?? [])
        if ((this.#high.get(outputKey(line, number)) ?? 0) > 0) names.push(this.name(number));
    for (let driver = LineDriver.SERVICE_VM + 1; driver < LINE_DRIVERS; driver++)
      if ((drivers & (1 << driver)) !== 0) names.push(nameOf(this.#drivers.get(driver)));
    return [...new Set(names.filter((name) => name !== undefined))];
  }

  /** The name of the device or program that changed a line: of the owner, or else the driver. */
  changer(owner: number, driver: number): string | undefined {
    if (owner !== NAMELESS) return this.name(owner);
    return driver === LineDriver.HYPERCALL ? BY_HYPERCALL : nameOf(this.#drivers.get(driver));
  }

  /** Undefined for a number without a name. */
  name(number: number): string | undefined {
    return nameOf(this.#owners[number]);
  }

  /** The names of the owners of line `line`, each once. */
  of(line: number): readonly string[] {
    const names = [...(this.#byLine.get(line) ?? [])].map((number) => this.name(number));
    return [...new Set(names.filter((name) => name !== undefined))];
  }
}

function outputKey(line: number, owner: number): number {
  return owner * INTERRUPT_LINES + line;
}

function nameOf(owner: LineOwner | undefined): string | undefined {
  return typeof owner === 'object' ? owner.name : owner;
}
