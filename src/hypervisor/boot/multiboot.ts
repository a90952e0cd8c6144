/**
 * Multiboot 1 images (Multiboot Specification 0.6.96): ELF32, or anything that gives its addresses
 * in the header (the "a.out kludge", for `nasm -f bin`). The kernel's modules are loaded behind
 * it. Their list, with the rest of the boot information, is in multiboot-information.ts.
 *
 * Called by: guest-image.ts; pvh.ts, which places modules alike. `planMultiboot` throws
 * IMAGE_MALFORMED, also for features that are not offered, IMAGE_UNSUPPORTED for a foreign ELF,
 * IMAGE_TOO_LARGE, and OPTION_INVALID for too many modules or a text that is too long.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import { isElf, readElf32 } from './elf32.js';
import { FreeMemory } from './free-memory.js';
import type { ImageReader } from './image-reader.js';
import { endOf, tooLarge, type LoadPlan, type Piece } from './load-plan.js';
import { FLAT_GDT_BYTES, flatGdt, flatRegisters, HIGH_MEMORY } from './low-memory.js';
import { information, type PlacedModule } from './multiboot-information.js';

const HEADER_MAGIC = 0x1bad_b002;
const LOADER_MAGIC = 0x2bad_b002;
/** The header lies within the first 8 KiB, 4-byte aligned. */
const SEARCH_BYTES = 8192;

const HeaderFlag = { pageAlignModules: 1 << 0, memoryInfo: 1 << 1, videoMode: 1 << 2, addresses: 1 << 16 } as const;
/** Bits 0…15 that the loader must understand or refuse. */
const REQUIRED_FLAGS = 0xffff;
const KNOWN_REQUIRED = HeaderFlag.pageAlignModules | HeaderFlag.memoryInfo;

const PAGE = 4096;
/** The kernel's own stack comes later; the specification promises none. */
const STACK_BYTES = 0x4000;
/** Our limit: the specification has none. */
export const MAX_MODULES = 128;

/** A file that a multiboot kernel starts with: a program, a RAM disk. */
export interface BootModule {
  readonly bytes: Uint8Array;
  /** Its string, which only the kernel interprets: usually a name, or a command line. */
  readonly text: string;
}

export interface MultibootOptions {
  readonly memoryBytes: number;
  readonly commandLine: string;
  readonly modules: readonly BootModule[];
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

  const modules = placeModules(kernel.segments, options);
  const loaded = [...kernel.segments, ...modules.map(({ piece }) => piece)];
  const free = new FreeMemory(options.memoryBytes, loaded);
  const gdt = free.take(FLAT_GDT_BYTES);
  const stack = free.take(STACK_BYTES);
  const { pieces, address } = information(free, { ...options, modules });
  return {
    pieces: [flatGdt(gdt), ...pieces, ...loaded],
    registers: {
      ...flatRegisters(gdt),
      ip: kernel.entry,
      eax: LOADER_MAGIC,
      ebx: address,
      esp: stack + STACK_BYTES,
    },
  };
}

/**
 * Modules go behind the kernel, in their order, each at a page, whether the kernel asks for that or
 * not.
 */
export function placeModules(kernel: readonly Piece[], { modules, memoryBytes }: MultibootOptions): PlacedModule[] {
  if (modules.length > MAX_MODULES)
    throw new UpcallError('OPTION_INVALID', `${modules.length} modules`, { remedy: `Give at most ${MAX_MODULES}` });
  let end = kernel.reduce((highest, segment) => Math.max(highest, endOf(segment)), HIGH_MEMORY);
  const placed = modules.map(({ bytes, text }, index) => {
    const piece = { what: `module ${index}`, address: Math.ceil(end / PAGE) * PAGE, bytes };
    end = endOf(piece);
    return { piece, text };
  });
  const what = modules.length === 0 ? 'the multiboot image' : 'the multiboot image with its modules';
  if (end > memoryBytes) throw tooLarge(what, end, memoryBytes);
  return placed;
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
