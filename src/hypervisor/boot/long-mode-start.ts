/**
 * A start in 64-bit mode: the descriptor table with 64-bit code, and page tables that map the first
 * 4 GiB to their own addresses, in pages of 2 MiB.
 *
 * Called by: linux-boot.ts. Source: Intel SDM, volume 3, "4-Level Paging" and "Segment
 * Descriptors".
 */

import type { FreeMemory } from './free-memory.js';
import type { Piece } from './load-plan.js';
import { FLAT_GDT_BYTES, flatGdt, flatSegments } from './low-memory.js';

const TABLE_BYTES = 4096;
const DIRECTORIES = 4;
const ENTRIES = 512;
const LARGE_PAGE_BYTES = 0x20_0000;
/** Present and writable; and, for a page, large. */
const TABLE = 3;
const PAGE = 0x83;

/** The pieces, which take their places from `free`, and the registers that they are for. */
export function longModeStart(free: FreeMemory) {
  const gdt = free.take(FLAT_GDT_BYTES);
  const root = free.take((2 + DIRECTORIES) * TABLE_BYTES);
  return {
    pieces: [flatGdt(gdt, true), pageTables(root)],
    registers: { ...flatSegments(gdt), mode: 'long-64', cr3: root } as const,
  };
}

/** The top table, the table below it, and a directory for each GiB. */
function pageTables(address: number): Piece {
  const bytes = new Uint8Array((2 + DIRECTORIES) * TABLE_BYTES);
  const view = new DataView(bytes.buffer);
  // The high halves of the entries stay 0.
  const put = (table: number, index: number, entry: number): void =>
    view.setUint32(table * TABLE_BYTES + index * 8, entry, true);
  put(0, 0, address + TABLE_BYTES + TABLE);
  for (let directory = 0; directory < DIRECTORIES; directory++)
    put(1, directory, address + (2 + directory) * TABLE_BYTES + TABLE);
  for (let page = 0; page < DIRECTORIES * ENTRIES; page++) put(2, page, page * LARGE_PAGE_BYTES + PAGE);
  return { what: 'page tables', address, bytes };
}
