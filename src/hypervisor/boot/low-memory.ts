/**
 * The loaders' part of the memory below 1 MiB, and the map of the RAM that guests get.
 *
 * The addresses are a free choice. They stay clear of the interrupt vectors and BIOS data area
 * (below 0x500), of 0x7C00 where flat images run, and of the 0xA0000…0xBFFFF window of video
 * memory.
 */

import { HIGHEST_RAM, type Piece } from './load-plan.js';

/**
 * A GDT with the flat segments that Linux' boot protocol asks for; the other flat starts use it as
 * well.
 */
export const GDT = 0x6000;
export const CODE_SELECTOR = 0x10;
export const DATA_SELECTOR = 0x18;

/** Multiboot's information structure, or Linux' zero page. */
export const BOOT_INFORMATION = 0x1_0000;
/** Command line, as long as a guest takes it. */
export const COMMAND_LINE = 0x1_1000;
export const COMMAND_LINE_ROOM = 0xf000;

/** ACPI's root pointer, which systems search for in 0xE0000…0xFFFFF, and the tables behind it. */
export const ACPI_TABLES = 0xe_0000;
export const ACPI_TABLES_ROOM = 0x2_0000;

/** Extended memory begins here; kernels are linked above it. */
export const HIGH_MEMORY = 0x10_0000;

/**
 * Present, ring 0, 32-bit, 4-KiB granular, base 0, limit 4 GiB; execute/read and read/write, both
 * marked as accessed.
 */
const FLAT_CODE = [0xffff, 0x00cf_9b00] as const;
const FLAT_DATA = [0xffff, 0x00cf_9300] as const;

export function flatGdt(): Piece {
  const bytes = new Uint8Array(0x20);
  const view = new DataView(bytes.buffer);
  for (const [selector, descriptor] of [
    [CODE_SELECTOR, FLAT_CODE],
    [DATA_SELECTOR, FLAT_DATA],
  ] as const) {
    view.setUint32(selector, descriptor[0], true);
    view.setUint32(selector + 4, descriptor[1], true);
  }
  return { what: 'descriptor table', address: GDT, bytes };
}

/** The fields of VcpuRegisters that every flat 32-bit start has in common. */
export const FLAT_32 = {
  mode: 'flat-32',
  cs: { selector: CODE_SELECTOR },
  ds: { selector: DATA_SELECTOR },
  gdt: { base: GDT, limit: 0x1f },
} as const;

/** Types of an address range as the BIOS call 0xE820 numbers them. */
export const RangeType = { RAM: 1, RESERVED: 2 } as const;

export interface MemoryRange {
  readonly address: number;
  readonly length: number;
  readonly type: number;
}

/** Base memory up to the place of the extended BIOS data area. */
export const BASE_MEMORY = 0x9_fc00;

/** A BIOS's answer to 0xE820. */
export function memoryMap(memoryBytes: number): MemoryRange[] {
  const map: MemoryRange[] = [
    { address: 0, length: BASE_MEMORY, type: RangeType.RAM },
    { address: BASE_MEMORY, length: 0xa_0000 - BASE_MEMORY, type: RangeType.RESERVED },
    { address: ACPI_TABLES, length: ACPI_TABLES_ROOM, type: RangeType.RESERVED },
  ];
  const end = Math.min(memoryBytes, HIGHEST_RAM);
  if (end > HIGH_MEMORY) map.push({ address: HIGH_MEMORY, length: end - HIGH_MEMORY, type: RangeType.RAM });
  return map;
}

/** Text as bytes with a final NUL. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
