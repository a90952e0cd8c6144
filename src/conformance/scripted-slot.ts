/**
 * Operations on slots for the commands of conformance scripts: fill a slot as the hypervisor does,
 * write a result as ACRN userspace does, print a slot.
 *
 * Called by: slot-commands.ts.
 */

import { hex, joinU64 } from '../io-request/io-request.js';
import { IoRequestType, SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { hexBytes } from './script-answer.js';

const LOW_WORD = 0xffff_ffffn;
/** Bytes that `put` zeroes: those before the words that only the Service VM writes. */
const PUT_BYTES = SLOT_OFFSET.kernelHandled;

export interface ScriptedRequest {
  readonly type: number;
  readonly direction: number;
  readonly address: bigint;
  readonly size: bigint;
  readonly value: bigint;
  readonly polling: boolean;
}

/** Returns false, without a change, if the slot is not FREE. */
export function putRequest(buffer: SharedBuffer, index: number, request: ScriptedRequest): boolean {
  const slot = buffer.slot(index);
  if (slot.state !== IoRequestState.FREE) return false;
  const { type, direction, address, size, value, polling } = request;
  const bytes = slotBytes(buffer, index);
  bytes.fill(0, 0, PUT_BYTES);
  const valueHigh = type === IoRequestType.MMIO ? high(value) : 0;
  const filled = slot.fill(type, direction, low(address), high(address), low(size), low(value), valueHigh, polling);
  // `fill` writes a size of 32 bits: a hypervisor never makes an access of 4 GiB. A script may.
  for (let i = 0; i < 8; i++) bytes[SLOT_OFFSET.size + i] = Number((size >> BigInt(8 * i)) & 0xffn);
  return filled;
}

/** Writes ACRN userspace's result: 64 bits for MMIO, 32 for everything else. */
export function putValue(buffer: SharedBuffer, index: number, value: bigint): void {
  const slot = buffer.slot(index);
  if (slot.type === IoRequestType.MMIO) slot.setValue64(low(value), high(value));
  else slot.setValue(low(value));
}

/** A slot's fields by name, as the command `dump` prints them. */
export function dumpSlot(buffer: SharedBuffer, index: number): object {
  const slot = buffer.slot(index);
  const where =
    slot.type === IoRequestType.PCI
      ? { bus: slot.pciBus, dev: slot.pciDevice, func: slot.pciFunction, reg: slot.pciRegister }
      : { addr: hex64(slot.addressLow, slot.addressHigh) };
  return {
    slot: index,
    polling: slot.completionPolling ? 1 : 0,
    state: slot.state,
    kernelHandled: slot.kernelHandled,
    dir: slot.direction,
    ...where,
    size: hex64(slot.sizeLow, slot.sizeHigh),
    value: hex64(slot.valueLow, slot.type === IoRequestType.MMIO ? slot.valueHigh : 0),
    type: slot.type,
  };
}

/** All bytes of a slot, as the command `hex` prints them. */
export function slotHex(buffer: SharedBuffer, index: number): string {
  return hexBytes(slotBytes(buffer, index));
}

function slotBytes(buffer: SharedBuffer, index: number): Uint8Array {
  return buffer.bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES);
}

function low(value: bigint): number {
  return Number(value & LOW_WORD) | 0;
}

function high(value: bigint): number {
  return Number((value >> 32n) & LOW_WORD) | 0;
}

function hex64(lowWord: number, highWord: number): string {
  return hex(joinU64(lowWord, highWord));
}
