/**
 * The information that a multiboot kernel finds at EBX (Multiboot Specification 0.6.96, 3.3):
 * memory sizes and map, command line, modules and the loader's name.
 *
 * One piece has the structure with its module list, its memory map and the name. The command line
 * and the modules' strings, which may be long, are pieces of their own.
 *
 * Called by: multiboot.ts.
 */

import type { FreeMemory } from './free-memory.js';
import { endOf, HIGHEST_RAM, type Piece } from './load-plan.js';
import { BASE_MEMORY, cString, HIGH_MEMORY, memoryMap } from './low-memory.js';

/** `flags`: which of the fields below are valid. */
const InfoFlag = {
  memory: 1 << 0,
  commandLine: 1 << 2,
  modules: 1 << 3,
  memoryMap: 1 << 6,
  loaderName: 1 << 9,
} as const;

/** Offsets in the structure. */
const Field = {
  flags: 0,
  /** In KiB. */
  lowerMemory: 4,
  upperMemory: 8,
  commandLine: 16,
  moduleCount: 20,
  moduleList: 24,
  mapBytes: 44,
  map: 48,
  loaderName: 64,
} as const;
/** With the fields for graphics at its end, which are not valid. */
const INFO_BYTES = 120;
/** Start, end, string, reserved. */
const MODULE_ENTRY_BYTES = 16;
const MAP_ENTRY_BYTES = 24;

export interface PlacedModule {
  readonly piece: Piece;
  /** The module's string (BootModule). */
  readonly text: string;
}

export interface InformationOptions {
  readonly memoryBytes: number;
  readonly commandLine: string;
  readonly modules: readonly PlacedModule[];
}

/**
 * The pieces, which take their places from `free`, and the structure's address. Throws
 * OPTION_INVALID if a text is too long, and IMAGE_TOO_LARGE if `free` has no place.
 */
export function information(free: FreeMemory, options: InformationOptions): { pieces: Piece[]; address: number } {
  const { modules, memoryBytes } = options;
  const map = memoryMap(memoryBytes);
  const name = cString('upcall', "the loader's name");
  const listAt = INFO_BYTES;
  const mapAt = listAt + modules.length * MODULE_ENTRY_BYTES;
  const nameAt = mapAt + map.length * MAP_ENTRY_BYTES;
  const bytes = new Uint8Array(nameAt + name.length);
  const address = free.take(bytes.length);
  const view = new DataView(bytes.buffer);
  const put = (offset: number, value: number): void => view.setUint32(offset, value, true);

  const pieces: Piece[] = [{ what: 'multiboot information', address, bytes }];
  /** Returns the text's address. */
  const place = (text: string, what: string): number => {
    const string = cString(text, what);
    const at = free.take(string.length);
    pieces.push({ what, address: at, bytes: string });
    return at;
  };

  const flags = InfoFlag.memory | InfoFlag.commandLine | InfoFlag.memoryMap | InfoFlag.loaderName;
  put(Field.flags, modules.length === 0 ? flags : flags | InfoFlag.modules);
  put(Field.lowerMemory, BASE_MEMORY >>> 10);
  put(Field.upperMemory, Math.max(0, Math.min(memoryBytes, HIGHEST_RAM) - HIGH_MEMORY) >>> 10);
  put(Field.commandLine, place(options.commandLine, 'the command line'));
  if (modules.length > 0) {
    put(Field.moduleCount, modules.length);
    put(Field.moduleList, address + listAt);
  }
  modules.forEach(({ piece, text }, index) => {
    const at = listAt + index * MODULE_ENTRY_BYTES;
    put(at, piece.address);
    put(at + 4, endOf(piece));
    put(at + 8, place(text, `the string of module ${index}`));
  });
  put(Field.mapBytes, map.length * MAP_ENTRY_BYTES);
  put(Field.map, address + mapAt);
  map.forEach((range, index) => {
    const at = mapAt + index * MAP_ENTRY_BYTES;
    // The size field does not count itself. Addresses and lengths are 64-bit; ours are below 4 GiB.
    put(at, MAP_ENTRY_BYTES - 4);
    put(at + 4, range.address);
    put(at + 12, range.length);
    put(at + 20, range.type);
  });
  put(Field.loaderName, address + nameAt);
  bytes.set(name, nameAt);
  return { pieces, address };
}
