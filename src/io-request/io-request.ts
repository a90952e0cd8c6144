/**
 * IoRequest: an I/O request as plain data, for tests, traces, scripts and messages. The request
 * path works on the slot's integers (slot.ts) and never creates one of these.
 *
 * Called by: those, and all that needs names, words or hexadecimal text of such fields.
 */

import { Direction, IoRequestType } from './layout.js';
import { pciAddressName } from './pci-address.js';

export type AccessSize = 1 | 2 | 4;
export type MmioAccessSize = 1 | 2 | 4 | 8;
export type DirectionName = 'read' | 'write';

interface Access {
  readonly direction: DirectionName;
}

/** `acrn_pio_request`: address 0…0xFFFF, value up to 32 bits. */
export interface PortRequest extends Access {
  readonly type: 'port';
  readonly address: number;
  readonly size: AccessSize;
  readonly value: number;
}

/**
 * `acrn_mmio_request`. `write-protect` is a write to a page that the hypervisor made read-only
 * (ACRN's own type 3).
 */
export interface MmioRequest extends Access {
  readonly type: 'mmio' | 'write-protect';
  /** Guest physical address, up to 52 bits. */
  readonly address: number;
  readonly size: MmioAccessSize;
  /** A bigint where the access is 8 bytes wide. */
  readonly value: number | bigint;
}

/** `acrn_pci_request`: a configuration access that the HSM composed from a 0xCF8/0xCFC pair. */
export interface PciRequest extends Access {
  readonly type: 'pci';
  readonly bus: number;
  readonly device: number;
  readonly function: number;
  /** Register 0…0xFFF. */
  readonly register: number;
  readonly size: AccessSize;
  readonly value: number;
}

export type IoRequest = PortRequest | MmioRequest | PciRequest;

/** By type number. */
export const TYPE_NAMES = ['port', 'mmio', 'pci', 'write-protect'] as const;

/** The name of a type number in the page. An unknown number gives `type N`. */
export function typeName(type: number): string {
  return TYPE_NAMES[type] ?? `type ${type}`;
}

/** Stands for a client's name where the HSM answers a request itself. */
export const HSM_NAME = 'hsm';

/** As for the driver, every number but READ is a write. */
export function directionName(direction: number): DirectionName {
  return direction === Direction.READ ? 'read' : 'write';
}

/** Whether requests of this type have a 32-bit value: ports and PCI. */
export function isPortLike(type: number): boolean {
  return type === IoRequestType.PORT || type === IoRequestType.PCI;
}

/** `0x…`, padded with zeros to at least `digits` digits. */
export function hex(value: number | bigint, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/**
 * A request in one line, for traces and messages: `write port 0x3f8/1 = 0x41`. A read has a value
 * once it is answered.
 */
export function describe(request: IoRequest, isAnswered = true): string {
  const access = `${request.direction} ${request.type} ${addressText(request)}/${request.size}`;
  return isAnswered || request.direction === 'write' ? `${access} = ${hex(request.value)}` : access;
}

/** `0x3f8`, or for a PCI request `00:1f.2 register 0x40`. */
export function addressText(request: IoRequest): string {
  if (request.type !== 'pci') return hex(request.address);
  return `${pciAddressName(request.bus, request.device, request.function)} register ${hex(request.register)}`;
}

const TWO_TO_32 = 0x1_0000_0000;

/** The upper 32 bits of an address of up to 53 bits, as an int32. */
export function highWord(value: number): number {
  return Math.floor(value / TWO_TO_32) | 0;
}

/** The lower 32 bits of an address of up to 53 bits, as an int32. */
export function lowWord(value: number): number {
  return (value % TWO_TO_32) | 0;
}

/** Two int32 halves as one number. Exact up to 53 bits. */
export function joinWords(low: number, high: number): number {
  return (high >>> 0) * TWO_TO_32 + (low >>> 0);
}

/** Two int32 halves as one unsigned 64-bit value. */
export function joinU64(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** The int32 halves of a 64-bit value. */
export function splitU64(value: bigint): { readonly low: number; readonly high: number } {
  return { low: Number(BigInt.asIntN(32, value)), high: Number(BigInt.asIntN(32, value >> 32n)) };
}

/** The low `size` bytes of a value, unsigned. `size` is 1, 2, or from 4 on, which gives 32 bits. */
export function truncate(value: number, size: number): number {
  return size >= 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
}
