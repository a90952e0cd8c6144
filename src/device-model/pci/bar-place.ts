/**
 * barPlace: where a guest has placed a base address register (BAR), from configuration space.
 *
 * Called by: CardFunction, after each write to configuration space.
 */

import { mmio, ports, type AddressRange } from '../../hsm/address-range.js';
import { PciRegister, type PciConfigSpace } from '../devices/pci/pci-config-space.js';
import { Command } from './card-config.js';
import type { BarLayout } from './card-description.js';

/** One above the highest physical address of the architecture. */
const ADDRESS_END = 2 ** 52;
const PORTS_END = 0x1_0000;
const WORD = 2 ** 32;
/** The bits of a lower register that say what kind of BAR it is. */
const PORT_FLAGS = 0x3;
const MEMORY_FLAGS = 0xf;

/** Where BAR number `bar` is (Hypercalls.barWindow). */
export type BarWindow = (bar: number, isPorts: boolean) => number;

/** The place of a BAR that the machine decodes itself. Undefined: the guest has not enabled it. */
export function windowPlace(
  { bar, type, size }: BarLayout,
  space: PciConfigSpace,
  window: BarWindow,
): AddressRange | undefined {
  if (!isEnabled(type, space)) return undefined;
  return type === 'ports' ? ports(window(bar, true), size) : mmio(window(bar, false), size);
}

/**
 * Undefined if the BAR decodes nothing: its kind is not enabled in the command register, its range
 * would end above all physical addresses, or it has no address yet. That is 0, as after a reset,
 * and all ones, which a guest writes to learn the size (QEMU does the same). Of a 64-bit BAR the
 * lower register alone may hold all ones: with an upper one of 0 the guest has written half of
 * them, and with any other it is an address.
 */
export function barPlace({ bar, type, size }: BarLayout, space: PciConfigSpace): AddressRange | undefined {
  if (!isEnabled(type, space)) return undefined;
  const register = PciRegister.BAR0 + 4 * bar;
  const low = space.read(register, 4);
  if (type === 'ports') {
    // Bits 31…16 cannot be written (card-config.ts), so all ones end at 0xffff.
    const first = (low & ~PORT_FLAGS) >>> 0;
    return first === 0 || first === PORTS_END - size ? undefined : ports(first, size);
  }
  const high = type === 'memory64' ? space.read(register + 4, 4) : 0;
  const lowBits = (low & ~MEMORY_FLAGS) >>> 0;
  if (high === 0 && size < WORD && lowBits === WORD - size) return undefined;
  const start = high * WORD + lowBits;
  return start === 0 || start + size > ADDRESS_END ? undefined : mmio(start, size);
}

function isEnabled(type: BarLayout['type'], space: PciConfigSpace): boolean {
  const enabled = type === 'ports' ? Command.PORTS : Command.MEMORY;
  return (space.read(PciRegister.COMMAND, 2) & enabled) !== 0;
}
