/**
 * ELF64 for x86-64: the segments to load, the entry of 64-bit mode and that of PVH, all as physical
 * addresses below 4 GiB. Facts: System V ABI, chapters "ELF header", "program header" and "note
 * section"; Xen's public header elfnote.h.
 *
 * Called by: pvh.ts, linux-boot.ts, kernel-payload.ts and guest-image.ts.
 */

import { foreignElf } from './foreign-elf.js';
import type { ImageReader } from './image-reader.js';
import type { Piece } from './load-plan.js';
import { unsupported } from './unsupported-image.js';

const MAGIC = 0x464c_457f;
const ELF_HEADER_BYTES = 64;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const MACHINE_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PROGRAM_HEADER_BYTES = 56;
/** As for ELF32: real kernels have about five. */
const MAX_PROGRAM_HEADERS = 64;
const NOTE_HEADER_BYTES = 12;
const XEN = 'Xen\0';
/** XEN_ELFNOTE_PHYS32_ENTRY. */
const PHYS32_ENTRY = 18;

export interface Elf64Image {
  readonly segments: readonly Piece[];
  /** Undefined if it is in no segment: then only the entry of PVH can be used. */
  readonly entry: number | undefined;
  /** Of 32-bit mode, if there is a note that has it. */
  readonly pvhEntry: number | undefined;
}

export function isElf64ForX86(image: ImageReader): boolean {
  return (
    image.has(0, ELF_HEADER_BYTES) &&
    image.u32(0) === MAGIC &&
    image.u8(4) === CLASS_64 &&
    image.u8(5) === LITTLE_ENDIAN &&
    image.u16(18) === MACHINE_X86_64
  );
}

/** Throws IMAGE_UNSUPPORTED and IMAGE_MALFORMED, as readElf32. */
export function readElf64(image: ImageReader): Elf64Image {
  const foreign = foreignElf(image, true);
  if (foreign !== undefined) throw unsupported(foreign);
  if (!isElf64ForX86(image)) throw image.malformed('not a 64-bit ELF for x86-64');
  const linkedEntry = wide(image, 24);
  const table = low(image, 32, 'the table of program headers');
  const entrySize = image.u16(54);
  const count = image.u16(56);
  if (count > MAX_PROGRAM_HEADERS) throw image.malformed(`${count} program headers`);
  if (count > 0 && entrySize < PROGRAM_HEADER_BYTES) throw image.malformed(`program headers of ${entrySize} bytes`);

  const segments: Piece[] = [];
  let entry: number | undefined;
  let pvhEntry: number | undefined;
  for (let index = 0; index < count; index++) {
    const header = table + index * entrySize;
    const type = image.u32(header);
    if (type !== PT_LOAD && type !== PT_NOTE) continue;
    const what = `segment ${index}`;
    const offset = low(image, header + 8, what);
    const fileSize = low(image, header + 32, what);
    if (type === PT_NOTE) {
      pvhEntry ??= pvhEntryIn(image, offset, fileSize);
      continue;
    }
    const virtualAddress = wide(image, header + 16);
    const address = low(image, header + 24, what);
    const length = low(image, header + 40, what);
    if (length < fileSize) throw image.malformed(`${what} is shorter in memory than in the file`);
    if (length === 0) continue;
    const bytes = fileSize === 0 ? new Uint8Array(0) : image.slice(offset, fileSize);
    segments.push({ what, address, bytes, length });
    // Linux' entry is physical, though its segments have virtual addresses.
    for (const start of [virtualAddress, BigInt(address)])
      if (linkedEntry >= start && linkedEntry < start + BigInt(length)) entry ??= address + Number(linkedEntry - start);
  }
  if (segments.length === 0) throw image.malformed('no segment to load');
  return { segments, entry, pvhEntry };
}

/** Notes are aligned to 4 bytes. */
function pvhEntryIn(image: ImageReader, start: number, length: number): number | undefined {
  const aligned = (bytes: number): number => Math.ceil(bytes / 4) * 4;
  for (let at = start; at + NOTE_HEADER_BYTES <= start + length;) {
    const nameBytes = image.u32(at);
    const valueBytes = image.u32(at + 4);
    const type = image.u32(at + 8);
    const value = at + NOTE_HEADER_BYTES + aligned(nameBytes);
    if (type === PHYS32_ENTRY && nameBytes === XEN.length && (valueBytes === 4 || valueBytes === 8)) {
      const name = String.fromCharCode(...image.slice(at + NOTE_HEADER_BYTES, nameBytes));
      if (name === XEN) return valueBytes === 4 ? image.u32(value) : low(image, value, 'the entry of PVH');
    }
    at = value + aligned(valueBytes);
  }
  return undefined;
}

function wide(image: ImageReader, offset: number): bigint {
  return (BigInt(image.u32(offset + 4)) << 32n) | BigInt(image.u32(offset));
}

function low(image: ImageReader, offset: number, what: string): number {
  if (image.u32(offset + 4) !== 0) throw image.malformed(`${what} is not below 4 GiB`);
  return image.u32(offset);
}
