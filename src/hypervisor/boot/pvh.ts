/**
 * 64-bit ELFs by the PVH boot protocol: started in flat 32-bit mode at the entry that a note of
 * Xen's gives, with the address of a start information in EBX. The kernel enters 64-bit mode
 * itself.
 *
 * Source: Xen's docs/misc/pvh.pandoc and its public header arch-x86/hvm/start_info.h, version 1,
 * which also give the offsets below.
 *
 * Called by: guest-image.ts. `planPvh` throws as readElf64, and IMAGE_TOO_LARGE and OPTION_INVALID
 * as planMultiboot.
 */

import { readElf64 } from './elf64.js';
import { FreeMemory } from './free-memory.js';
import type { ImageReader } from './image-reader.js';
import { tooLarge, endOf, type LoadPlan, type Piece } from './load-plan.js';
import { ACPI_TABLES, cString, FLAT_GDT_BYTES, flatGdt, flatRegisters, memoryMap } from './low-memory.js';
import { placeModules, type MultibootOptions } from './multiboot.js';

const MAGIC = 0x336e_c578;
const VERSION = 1;
const INFO_BYTES = 56;
const MODULE_BYTES = 32;
const MAP_ENTRY_BYTES = 24;
/** Offsets. Addresses have 64 bits; ours are below 4 GiB. */
const Field = {
  magic: 0,
  version: 4,
  moduleCount: 12,
  modules: 16,
  commandLine: 24,
  rsdp: 32,
  map: 40,
  mapEntries: 48,
} as const;

export interface PvhOptions extends MultibootOptions {
  /** Whether tables lie at ACPI_TABLES. */
  readonly acpi: boolean;
}

/** Whether the image has the note. Throws as readElf64. */
export function isPvh(image: ImageReader): boolean {
  return readElf64(image).pvhEntry !== undefined;
}

export function planPvh(image: ImageReader, options: PvhOptions): LoadPlan {
  const { segments, pvhEntry } = readElf64(image);
  if (pvhEntry === undefined) throw image.malformed('no note with an entry for PVH');
  const modules = placeModules(segments, options);
  const loaded = [...segments, ...modules.map(({ piece }) => piece)];
  const end = loaded.reduce((highest, piece) => Math.max(highest, endOf(piece)), 0);
  if (end > options.memoryBytes) throw tooLarge('the PVH image', end, options.memoryBytes);
  const free = new FreeMemory(options.memoryBytes, loaded);
  const gdt = free.take(FLAT_GDT_BYTES);

  const map = memoryMap(options.memoryBytes);
  const mapAt = INFO_BYTES + modules.length * MODULE_BYTES;
  const bytes = new Uint8Array(mapAt + map.length * MAP_ENTRY_BYTES);
  const address = free.take(bytes.length);
  const view = new DataView(bytes.buffer);
  const put = (offset: number, value: number): void => view.setUint32(offset, value, true);
  const texts: Piece[] = [];
  /** Returns the text's address. */
  const place = (text: string, what: string): number => {
    const string = cString(text, what);
    const at = free.take(string.length);
    texts.push({ what, address: at, bytes: string });
    return at;
  };

  put(Field.magic, MAGIC);
  put(Field.version, VERSION);
  put(Field.moduleCount, modules.length);
  if (modules.length > 0) put(Field.modules, address + INFO_BYTES);
  put(Field.commandLine, place(options.commandLine, 'the command line'));
  if (options.acpi) put(Field.rsdp, ACPI_TABLES);
  put(Field.map, address + mapAt);
  put(Field.mapEntries, map.length);
  modules.forEach(({ piece, text }, index) => {
    const at = INFO_BYTES + index * MODULE_BYTES;
    put(at, piece.address);
    put(at + 8, piece.bytes.length);
    put(at + 16, place(text, `the string of module ${index}`));
  });
  map.forEach((range, index) => {
    const at = mapAt + index * MAP_ENTRY_BYTES;
    put(at, range.address);
    put(at + 8, range.length);
    put(at + 16, range.type);
  });
  const information = { what: 'start information', address, bytes };
  return {
    pieces: [flatGdt(gdt), information, ...texts, ...loaded],
    registers: { ...flatRegisters(gdt), ip: pvhEntry, ebx: address },
  };
}
