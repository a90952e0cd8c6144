/**
 * PciBus: the PCI functions of a VM by bus, device and function number.
 *
 * Called by: the default client, with the PCI configuration requests that the HSM made of
 * 0xCF8/0xCFC pairs; PciEcam, with accesses to memory. VmDevices and VmCards, which add and remove
 * functions; VmInspection, which lists them.
 *
 * An absent function answers as an empty slot does: writes are ignored, and reads give all ones, as
 * 32 bits whatever the size. ACRN's device model does the same, and the hypervisor truncates the
 * value to the access.
 */

import { UpcallError } from '../../../io-request/upcall-error.js';
import type { AccessSize } from '../../device.js';
import type { PciAddress, PciFunction } from '../../pci-function.js';
import { PciRegister } from './pci-config-space.js';

const ALL_ONES = 0xffff_ffff;

/** Bytes of configuration space with the extended part: a register number has 12 bits. */
const REGISTERS = 0x1000;

/** Bit 7 of the header type. */
const MULTI_FUNCTION = 0x80;

export class PciBus {
  /** By bus, device and function as one number, as configuration mechanism 1 packs them. */
  readonly #functions = new Map<number, PciFunction>();
  /** The number of functions of each device. The key is that above without its low 3 bits. */
  readonly #functionCounts = new Map<number, number>();

  /** Throws RANGE_INVALID for an impossible address, RANGE_OVERLAP for one that is taken. */
  add(address: PciAddress, fn: PciFunction): void {
    const { bus, device, function: number } = address;
    if (!isBelow(bus, 256) || !isBelow(device, 32) || !isBelow(number, 8)) {
      throw new UpcallError('RANGE_INVALID', `${fn.name} cannot be at PCI address ${bus}:${device}.${number}`, {
        remedy: 'Choose a bus of 0…255, a device of 0…31 and a function of 0…7',
      });
    }
    const key = keyOf(bus, device, number);
    const present = this.#functions.get(key);
    if (present !== undefined) {
      throw new UpcallError(
        'RANGE_OVERLAP',
        `${fn.name} cannot be at PCI address ${describe(address)}: ${present.name} is there`,
        { remedy: 'Choose another device or function number' },
      );
    }
    this.#functions.set(key, fn);
    this.#functionCounts.set(key >> 3, (this.#functionCounts.get(key >> 3) ?? 0) + 1);
  }

  /** Removes a function: its address reads as all ones. Does nothing if it is not there. */
  remove(fn: PciFunction): void {
    for (const [key, present] of this.#functions) {
      if (present !== fn) continue;
      this.#functions.delete(key);
      this.#functionCounts.set(key >> 3, (this.#functionCounts.get(key >> 3) ?? 1) - 1);
    }
  }

  /** All functions, in order of addresses. */
  *functions(): IterableIterator<{ readonly address: PciAddress; readonly function: PciFunction }> {
    for (const [key, fn] of [...this.#functions].sort(([a], [b]) => a - b)) {
      yield { address: { bus: key >> 8, device: (key >> 3) & 31, function: key & 7 }, function: fn };
    }
  }

  /** `size`: as in the request, which may hold any number on a corrupted page. */
  read(bus: number, device: number, fn: number, register: number, size: number): number {
    const present = this.#find(bus, device, fn);
    if (present === undefined || !isAccess(register, size)) return ALL_ONES;
    const value = present.readConfig(register, size);
    return this.#withMultiFunctionBit(keyOf(bus, device, fn) >> 3, register, size, value);
  }

  write(bus: number, device: number, fn: number, register: number, size: number, value: number): void {
    const present = this.#find(bus, device, fn);
    if (present !== undefined && isAccess(register, size)) present.writeConfig(register, size, value);
  }

  reset(): void {
    for (const fn of this.#functions.values()) fn.reset?.();
  }

  #find(bus: number, device: number, fn: number): PciFunction | undefined {
    // Numbers out of range would alias another function's key.
    if (!isBelow(bus, 256) || !isBelow(device, 32) || !isBelow(fn, 8)) return undefined;
    return this.#functions.get(keyOf(bus, device, fn));
  }

  /**
   * A guest probes functions 1 to 7 only if the header type has the multi-function bit. A function
   * does not know its neighbours, so the bus sets or clears the bit. `device`: bus and device as
   * one number.
   */
  #withMultiFunctionBit(device: number, register: number, size: AccessSize, value: number): number {
    const byteOfValue = PciRegister.HEADER_TYPE - register;
    if (byteOfValue < 0 || byteOfValue >= size) return value;
    const bit = MULTI_FUNCTION << (8 * byteOfValue);
    return ((this.#functionCounts.get(device) ?? 0) > 1 ? value | bit : value & ~bit) >>> 0;
  }
}

function keyOf(bus: number, device: number, fn: number): number {
  return (bus << 8) | (device << 3) | fn;
}

function isBelow(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < limit;
}

function isAccess(register: number, size: number): size is AccessSize {
  return (size === 1 || size === 2 || size === 4) && isBelow(register, REGISTERS) && register % size === 0;
}

function describe({ bus, device, function: fn }: PciAddress): string {
  return `${hex2(bus)}:${hex2(device)}.${fn}`;
}

function hex2(value: number): string {
  return value.toString(16).padStart(2, '0');
}
