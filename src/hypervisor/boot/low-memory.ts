/**
 * The memory below 1 MiB as a PC's firmware leaves it, the map of the RAM that guests get, and the
 * flat segments in which 32-bit guests start.
 *
 * Called by: the loaders and the tables of this folder. What a loader adds to an image goes where
 * the image leaves room (free-memory.ts).
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { HIGHEST_RAM, type Piece } from './load-plan.js';

/** The selectors that Linux' boot protocol asks for. All flat starts use them. */
const CODE_SELECTOR = 0x10;
const DATA_SELECTOR = 0x18;
export const FLAT_GDT_BYTES = 0x20;

/**
 * Bytes of a guest's command line or of a module's string, without the final NUL: our limit of 15
 * pages. Linux takes 2 KiB at most.
 */
export const MAX_COMMAND_LINE = 0xefff;

/** ACPI's root pointer, which systems search for in 0xE0000…0xFFFFF, and the tables behind it. */
export const ACPI_TABLES = 0xe_0000;
export const ACPI_TABLES_ROOM = 0x1_0000;

/** The MP table, which systems search for in 0xF0000…0xFFFFF, has the other half of the room. */
export const MP_TABLE = 0xf_0000;
const FIRMWARE_END = 0x10_0000;

/** Extended memory begins here; kernels are linked above it. */
export const HIGH_MEMORY = 0x10_0000;

/**
 * Segment descriptors, the low word and the high one. Present, ring 0, 32-bit, 4-KiB granular, base
 * 0, limit 4 GiB; execute/read and read/write, both marked as accessed.
 */
const FLAT_CODE = [0xffff, 0x00cf_9b00] as const;
/** 64-bit: L set, D cleared. */
const CODE_64 = [0xffff, 0x00af_9b00] as const;
const FLAT_DATA = [0xffff, 0x00cf_9300] as const;

/** The descriptor table of a flat start, or of one in 64-bit mode, for `address`. */
export function flatGdt(address: number, is64Bit = false): Piece {
  const bytes = new Uint8Array(FLAT_GDT_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [selector, descriptor] of [
    [CODE_SELECTOR, is64Bit ? CODE_64 : FLAT_CODE],
    [DATA_SELECTOR, FLAT_DATA],
  ] as const) {
    view.setUint32(selector, descriptor[0], true);
    view.setUint32(selector + 4, descriptor[1], true);
  }
  return { what: 'descriptor table', address, bytes };
}

/** The registers that all flat starts have in common. `gdt` is the address of `flatGdt`. */
export function flatRegisters(gdt: number) {
  return { mode: 'flat-32', ...flatSegments(gdt) } as const;
}

/** Those of a start in 64-bit mode too. */
export function flatSegments(gdt: number) {
  return {
    cs: { selector: CODE_SELECTOR },
    ds: { selector: DATA_SELECTOR },
    gdt: { base: gdt, limit: FLAT_GDT_BYTES - 1 },
  } as const;
}

/** Types of an address range as the BIOS call 0xE820 numbers them. */
export const RangeType = { RAM: 1, RESERVED: 2 } as const;

export interface MemoryRange {
  readonly address: number;
  readonly length: number;
  readonly type: number;
}

/** Base memory ends where the extended BIOS data area begins. */
export const BASE_MEMORY = 0x9_fc00;
export const EXTENDED_BIOS_DATA_BYTES = 0x400;

/** A BIOS's answer to 0xE820. */
export function memoryMap(memoryBytes: number): MemoryRange[] {
  const map: MemoryRange[] = [
    { address: 0, length: BASE_MEMORY, type: RangeType.RAM },
    { address: BASE_MEMORY, length: EXTENDED_BIOS_DATA_BYTES, type: RangeType.RESERVED },
    { address: ACPI_TABLES, length: FIRMWARE_END - ACPI_TABLES, type: RangeType.RESERVED },
  ];
  const end = Math.min(memoryBytes, HIGHEST_RAM);
  if (end > HIGH_MEMORY) map.push({ address: HIGH_MEMORY, length: end - HIGH_MEMORY, type: RangeType.RAM });
  return map;
}

/**
 * A command line, or a module's string, as bytes with a final NUL. Throws OPTION_INVALID if it has
 * more than `limit` bytes. `what` is for messages.
 */
export function cString(text: string, what: string, limit = MAX_COMMAND_LINE): Uint8Array {
  const bytes = new TextEncoder().encode(`${text}\0`);
  if (bytes.length - 1 > limit)
    throw new UpcallError('OPTION_INVALID', `${what} has ${bytes.length - 1} bytes`, {
      remedy: `Give at most ${limit}`,
    });
  return bytes;
}
