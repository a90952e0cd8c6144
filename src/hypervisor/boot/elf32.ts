/**
 * ELF32 for i386: the segments to load and the entry point, both as physical addresses. Used for
 * multiboot images and unpacked Linux kernels. Facts: System V ABI, chapters "ELF header" and
 * "program header", which also give the offsets below.
 *
 * Called by: multiboot.ts, linux-boot.ts, kernel-payload.ts and guest-image.ts; the command line,
 * for kernel modules (cli/debian/kernel-module.ts).
 */

import { foreignElf } from './foreign-elf.js';
import type { ImageReader } from './image-reader.js';
import type { Piece } from './load-plan.js';
import { unsupported } from './unsupported-image.js';

/** "\x7fELF", as a little-endian word. */
const MAGIC = 0x464c_457f;
const ELF_HEADER_BYTES = 52;
const CLASS_32 = 1;
const LITTLE_ENDIAN = 1;
const MACHINE_386 = 3;
const PT_LOAD = 1;
const PROGRAM_HEADER_BYTES = 32;
/** Real kernels have about five. */
const MAX_PROGRAM_HEADERS = 64;

export interface ElfImage {
  readonly segments: readonly Piece[];
  /** Physical: kernels are linked to a virtual address that is not mapped yet when they start. */
  readonly entry: number;
}

export function isElf(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** Whether it is a 32-bit ELF for i386. `readElf32` refuses all others. */
export function isElf32ForI386(image: ImageReader): boolean {
  return (
    image.has(0, ELF_HEADER_BYTES) &&
    image.u32(0) === MAGIC &&
    image.u8(4) === CLASS_32 &&
    image.u8(5) === LITTLE_ENDIAN &&
    image.u16(18) === MACHINE_386
  );
}

/**
 * Throws IMAGE_UNSUPPORTED for an ELF that cannot run here (foreign-elf.ts), and IMAGE_MALFORMED
 * for other files that are not a complete executable.
 */
export function readElf32(image: ImageReader): ElfImage {
  const foreign = foreignElf(image);
  if (foreign !== undefined) throw unsupported(foreign);
  if (!isElf32ForI386(image)) throw image.malformed('not a 32-bit ELF for i386');
  const linkedEntry = image.u32(24);
  const table = image.u32(28);
  const entrySize = image.u16(42);
  const count = image.u16(44);
  if (count > MAX_PROGRAM_HEADERS) throw image.malformed(`${count} program headers`);
  if (count > 0 && entrySize < PROGRAM_HEADER_BYTES) throw image.malformed(`program headers of ${entrySize} bytes`);

  const segments: Piece[] = [];
  let fromVirtual: number | undefined;
  let fromPhysical: number | undefined;
  for (let index = 0; index < count; index++) {
    const header = table + index * entrySize;
    if (image.u32(header) !== PT_LOAD) continue;
    const virtualAddress = image.u32(header + 8);
    const address = image.u32(header + 12);
    const fileSize = image.u32(header + 16);
    const length = image.u32(header + 20);
    if (length < fileSize) throw image.malformed(`segment ${index} is shorter in memory than in the file`);
    if (length === 0) continue;
    segments.push({
      what: `segment ${index}`,
      address,
      // A segment of bss alone has nothing in the file, and its offset may point anywhere.
      bytes: fileSize === 0 ? new Uint8Array(0) : image.slice(image.u32(header + 4), fileSize),
      length,
    });
    if (linkedEntry >= virtualAddress && linkedEntry < virtualAddress + length)
      fromVirtual ??= address + linkedEntry - virtualAddress;
    // Linux' entry is physical already, though its segments have virtual addresses.
    if (linkedEntry >= address && linkedEntry < address + length) fromPhysical = linkedEntry;
  }
  if (segments.length === 0) throw image.malformed('no segment to load');
  const entry = fromVirtual ?? fromPhysical;
  if (entry === undefined) throw image.malformed(`the entry 0x${linkedEntry.toString(16)} is in no segment`);
  return { segments, entry };
}
