/**
 * The registers of a local APIC: where they are, which bits they have.
 *
 * Called by: LocalApic, LocalVectorTable.
 *
 * Source: Intel SDM volume 3, "Local APIC Register Address Map" and "Local Vector Table".
 */

import { MessageBit } from './apic-message.js';

/** Byte offsets of the registers, which lie 16 bytes apart. */
export const Register = {
  ID: 0x20,
  VERSION: 0x30,
  TASK_PRIORITY: 0x80,
  ARBITRATION_PRIORITY: 0x90,
  PROCESSOR_PRIORITY: 0xa0,
  END_OF_INTERRUPT: 0xb0,
  REMOTE_READ: 0xc0,
  LOGICAL_DESTINATION: 0xd0,
  DESTINATION_FORMAT: 0xe0,
  SPURIOUS_VECTOR: 0xf0,
  IN_SERVICE: 0x100,
  TRIGGER_MODE: 0x180,
  REQUEST: 0x200,
  ERROR_STATUS: 0x280,
  COMMAND_LOW: 0x300,
  COMMAND_HIGH: 0x310,
  TIMER: 0x320,
  ERROR: 0x370,
  INITIAL_COUNT: 0x380,
  CURRENT_COUNT: 0x390,
  DIVIDE: 0x3e0,
} as const;
/** An integrated APIC, whose local vector table has entries 0 to 5, as many as ENTRIES. */
export const VERSION = 0x5_0014;

/** The local vector table: its entries in register order, and the bits that each one has. */
export const Lvt = { TIMER: 0, THERMAL: 1, PERFORMANCE: 2, LINT0: 3, LINT1: 4, ERROR: 5 } as const;
export const LvtBit = {
  DELIVERY: 0x700,
  ACTIVE_LOW: 1 << 13,
  REMOTE_IRR: 1 << 14,
  MASKED: 1 << 16,
  PERIODIC: 1 << 17,
} as const;
export const LVT_BASIC = MessageBit.VECTOR | LvtBit.MASKED;
/** Vector, mask, delivery mode; polarity and trigger mode too. */
const LINT = LVT_BASIC | LvtBit.DELIVERY | LvtBit.ACTIVE_LOW | MessageBit.LEVEL;
export const ENTRIES = [
  LVT_BASIC | LvtBit.PERIODIC,
  LVT_BASIC | LvtBit.DELIVERY,
  LVT_BASIC | LvtBit.DELIVERY,
  LINT,
  LINT,
  LVT_BASIC,
] as const;

// Of the spurious-vector register.
export const SOFTWARE_ENABLED = 1 << 8;
/** Vector, software enable, focus checking. */
export const SPURIOUS_WRITABLE = 0x3ff;
export const SPURIOUS_AT_RESET = 0xff;

/** Bits of the interrupt command register that can be set: reserved ones and its status cannot. */
export const COMMAND_WRITABLE = 0x000c_cfff;
export const SHORTHAND_SHIFT = 18;
export const Shorthand = { NONE: 0, SELF: 1, ALL: 2, OTHERS: 3 } as const;

export const ErrorBit = {
  SEND_ILLEGAL_VECTOR: 1 << 5,
  RECEIVE_ILLEGAL_VECTOR: 1 << 6,
  ILLEGAL_REGISTER: 1 << 7,
} as const;

/** The entry of the local vector table at a register's offset. Undefined for other offsets. */
export function lvtIndex(offset: number): number | undefined {
  const isEntry = offset >= Register.TIMER && offset <= Register.ERROR && (offset & 0xf) === 0;
  return isEntry ? (offset - Register.TIMER) >> 4 : undefined;
}

/** Registers whose writes are dropped. ACRN fixes the APIC ID, too. */
export function isReadOnly(offset: number): boolean {
  if ((offset & 0xf) !== 0) return false;
  if (offset >= Register.IN_SERVICE && offset < Register.ERROR_STATUS) return true;
  // The cast: TypeScript wants one of the listed numbers.
  return [
    Register.ID,
    Register.VERSION,
    Register.ARBITRATION_PRIORITY,
    Register.PROCESSOR_PRIORITY,
    Register.REMOTE_READ,
    Register.CURRENT_COUNT,
  ].includes(offset as 0x20);
}
