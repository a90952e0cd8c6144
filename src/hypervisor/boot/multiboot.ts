/**
 * Multiboot 1 images (Multiboot Specification 0.6.96): ELF32, or anything that gives its addresses
 * in the header (the "a.out kludge", for `nasm -f bin`). The guest gets memory sizes, the memory
 * map, its command line, the loader's name, and an initrd as a module.
 */

import { isElf, readElf32 } from './elf32.js';
import type { ImageReader } from './image-reader.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { endOf, HIGHEST_RAM, tooLarge, type LoadPlan, type Piece } from './load-plan.js';
import {
  BASE_MEMORY,
  BOOT_INFORMATION,
  COMMAND_LINE,
  COMMAND_LINE_ROOM,
  cString,
  FLAT_32,
  flatGdt,
  HIGH_MEMORY,
  memoryMap,
} from './low-memory.js';

const HEADER_MAGIC = 0x1bad_b002;
const LOADER_MAGIC = 0x2bad_b002;
/** The header lies within the first 8 KiB, 4-byte aligned. */
const SEARCH_BYTES = 8192;

const HeaderFlag = { pageAlignModules: 1 << 0, memoryInfo: 1 << 1, videoMode: 1 << 2, addresses: 1 << 16 } as const;
/** Bits 0…15 that the loader must understand or refuse. */
const REQUIRED_FLAGS = 0xffff;
const KNOWN_REQUIRED = HeaderFlag.pageAlignModules | HeaderFlag.memoryInfo;

const InfoFlag = {
  memory: 1 << 0,
  commandLine: 1 << 2,
  modules: 1 << 3,
  memoryMap: 1 << 6,
  loaderName: 1 << 9,
} as const;
const INFO_BYTES = 120;
const MODULE_ENTRY = INFO_BYTES;
const MODULE_ENTRY_BYTES = 16;
const MAP_ENTRY_BYTES = 24;
const PAGE = 4096;

export interface MultibootOptions {
  readonly memoryBytes: number;
  readonly commandLine: string;
  readonly module?: Uint8Array | undefined;
}

/** The offset of the multiboot header, or undefined. */
export function findMultibootHeader(image: ImageReader): number | undefined {
  const last = Math.min(image.length, SEARCH_BYTES) - 12;
  for (let at = 0; at <= last; at += 4) {
    if (image.u32(at) !== HEADER_MAGIC) continue;
    const sum = image.u32(at) + image.u32(at + 4) + image.u32(at + 8);
    if (sum % 2 ** 32 === 0) return at;
  }
  return undefined;
}

export function planMultiboot(image: ImageReader, options: MultibootOptions): LoadPlan {
  const header = findMultibootHeader(image);
  if (header === undefined) throw image.malformed('no multiboot header in the first 8 KiB');
  const flags = image.u32(header + 4);
  const unknown = flags & REQUIRED_FLAGS & ~KNOWN_REQUIRED;
  if (unknown !== 0)
    throw image.malformed(
      unknown === HeaderFlag.videoMode
        ? 'it requires a video mode, and the VM has no display'
        : `it requires features ${unknown.toString(2)}b that are not offered`,
    );

  const kernel =
    (flags & HeaderFlag.addresses) !== 0
      ? readAddressFields(image, header)
      : isElf(image.bytes)
        ? readElf32(image)
        : undefined;
  if (kernel === undefined) throw image.malformed('neither an ELF nor address fields in the multiboot header');

  const kernelEnd = kernel.segments.reduce((end, segment) => Math.max(end, endOf(segment)), HIGH_MEMORY);
  const module: Piece | undefined =
    options.module === undefined
      ? undefined
      : { what: 'module', address: Math.ceil(kernelEnd / PAGE) * PAGE, bytes: options.module };
  const end = module === undefined ? kernelEnd : endOf(module);
  if (end > options.memoryBytes) throw tooLarge('multiboot image', end, options.memoryBytes);

  return {
    pieces: [flatGdt(), ...information(options, module), ...kernel.segments, ...(module === undefined ? [] : [module])],
    registers: { ...FLAT_32, ip: kernel.entry, eax: LOADER_MAGIC, ebx: BOOT_INFORMATION, esp: BOOT_INFORMATION },
  };
}

/** Header offsets 12…28: header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
function readAddressFields(image: ImageReader, header: number): { segments: Piece[]; entry: number } {
  const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((field) =>
    image.u32(header + field),
  ) as [number, number, number, number, number];
  const fileOffset = header - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || fileOffset < 0)
    throw image.malformed('the load address in the multiboot header lies before the start of the file');
  // A load end of 0 means: the whole file. A bss end of 0 means: no bss.
  const fileLength = loadEnd === 0 ? image.length - fileOffset : loadEnd - loadAddress;
  if (fileLength <= 0) throw image.malformed('the load end in the multiboot header lies before the load address');
  const length = bssEnd === 0 ? fileLength : bssEnd - loadAddress;
  if (length < fileLength) throw image.malformed('the bss end in the multiboot header lies before the load end');
  return {
    segments: [{ what: 'image', address: loadAddress, bytes: image.slice(fileOffset, fileLength), length }],
    entry,
  };
}

/** The information structure with what it points to, and the command line. */
function information(options: MultibootOptions, module: Piece | undefined): Piece[] {
  const map = memoryMap(options.memoryBytes);
  const name = cString('upcall');
  const mapAt = MODULE_ENTRY + MODULE_ENTRY_BYTES;
  const nameAt = mapAt + map.length * MAP_ENTRY_BYTES;
  const bytes = new Uint8Array(nameAt + name.length);
  const view = new DataView(bytes.buffer);
  const put = (offset: number, value: number): void => view.setUint32(offset, value, true);

  const flags = InfoFlag.memory | InfoFlag.commandLine | InfoFlag.memoryMap | InfoFlag.loaderName;
  put(0, module === undefined ? flags : flags | InfoFlag.modules);
  put(4, BASE_MEMORY >>> 10);
  put(8, Math.max(0, Math.min(options.memoryBytes, HIGHEST_RAM) - HIGH_MEMORY) >>> 10);
  put(16, COMMAND_LINE);
  if (module !== undefined) {
    put(20, 1);
    put(24, BOOT_INFORMATION + MODULE_ENTRY);
    put(MODULE_ENTRY, module.address);
    put(MODULE_ENTRY + 4, endOf(module));
    put(MODULE_ENTRY + 8, COMMAND_LINE);
  }
  put(44, map.length * MAP_ENTRY_BYTES);
  put(48, BOOT_INFORMATION + mapAt);
  map.forEach((range, index) => {
    const at = mapAt + index * MAP_ENTRY_BYTES;
    // The size field does not count itself. Addresses and lengths are 64-bit; ours are below 4 GiB.
    put(at, MAP_ENTRY_BYTES - 4);
    put(at + 4, range.address);
    put(at + 12, range.length);
    put(at + 20, range.type);
  });
  put(64, BOOT_INFORMATION + nameAt);
  bytes.set(name, nameAt);

  const commandLine = cString(options.commandLine);
  if (commandLine.length > COMMAND_LINE_ROOM)
    throw new UpcallError('OPTION_INVALID', `the command line has ${commandLine.length - 1} bytes`, {
      remedy: `Give at most ${COMMAND_LINE_ROOM - 1}`,
    });
  return [
    { what: 'multiboot information', address: BOOT_INFORMATION, bytes },
    { what: 'command line', address: COMMAND_LINE, bytes: commandLine },
  ];
}
