/**
 * What a look at a device's registers gives: one value for each register of its map, in the map's order. Both places that
 * look use it: the Service VM's thread for devices in it, a device's own thread for the one that it has.
 */

import type { Device } from './device.js';
import type { RegisterDescription, RegisterMap } from './register-map.js';

/** Undefined: it cannot be looked at without a side effect, or the device does not say. */
export type RegisterValues = readonly (number | undefined)[];

/** A device's error is its own: the register then has no value. */
export function peekRegisters(
  { registers }: RegisterMap,
  peek: (register: RegisterDescription) => number | undefined,
): RegisterValues {
  return registers.map((register) => {
    if (register.access === 'w') return undefined;
    try {
      // Anything may be the last thing that a broken device gives.
      const value: unknown = peek(register);
      return typeof value === 'number' ? value >>> 0 : undefined;
    } catch {
      return undefined;
    }
  });
}

export function peekDevice(device: Device): RegisterValues {
  const { registers } = device;
  return registers === undefined
    ? []
    : peekRegisters(registers, ({ offset, size, name }) => device.peek?.(offset, size, name));
}
