/**
 * Register peek: the values of all registers of a device, for a person who watches it. A peek has
 * no side effects: a read of a FIFO would take a byte from the guest, `Device.peek` does not.
 *
 * Called by: vm/vm-inspection.ts for devices in the Service VM's thread, placement/device-thread.ts
 * and placement/linked-card.ts for the device or card of their thread.
 */

import type { Device } from './device.js';
import type { PciCard } from './pci/pci-card.js';
import type { RegisterDescription, RegisterMap } from './register-map.js';

/**
 * One value for each register of the map, in its order. Undefined: write-only, or it cannot be
 * peeked.
 */
export type RegisterValues = readonly (number | undefined)[];

/** Calls `peek` for each readable register. A register whose `peek` throws has no value. */
export function peekRegisters(
  { registers }: RegisterMap,
  peek: (register: RegisterDescription) => number | undefined,
): RegisterValues {
  return registers.map((register) => {
    if (register.access === 'w') return undefined;
    try {
      // A broken device may return anything.
      const value: unknown = peek(register);
      return typeof value === 'number' ? value >>> 0 : undefined;
    } catch {
      return undefined;
    }
  });
}

/**
 * The first `count` bytes, each as a read of it alone would return it. A byte whose `peek` throws
 * has no value.
 */
export function peekBytes(count: number, peek: (offset: number) => number | undefined): RegisterValues {
  return Array.from({ length: count }, (_, offset) => {
    try {
      const value: unknown = peek(offset);
      return typeof value === 'number' ? value & 0xff : undefined;
    } catch {
      return undefined;
    }
  });
}

/** The values of a card's registers. Empty if it has no register map. */
export function peekCard(card: PciCard): RegisterValues {
  const { registers } = card;
  return registers === undefined
    ? []
    : peekRegisters(registers, ({ bar = 0, offset, size, name }) => card.peek?.(bar, offset, size, name));
}

/** The values of `device`'s registers. Empty if it has no register map. */
export function peekDevice(device: Device): RegisterValues {
  const { registers } = device;
  return registers === undefined
    ? []
    : peekRegisters(registers, ({ offset, size, name }) => device.peek?.(offset, size, name));
}
