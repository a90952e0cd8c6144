/**
 * The container of an xz file (The .xz File Format 1.1.0), as far as unpacking a Linux kernel needs
 * it. Kernels are packed with the x86 filter, which xz-decompress was built without. So the filter
 * is removed from the container here, the library unpacks the rest, and the caller undoes the
 * filter and compares the checksum.
 *
 * Called by: compression.ts.
 */

import type { ImageReader } from './image-reader.js';

const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;
const CHECK_NONE = 0;
const CHECK_CRC32 = 1;
/** Size of the check field by type. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;
const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] as const;
const FOOTER_MAGIC = [0x59, 0x5a] as const;
/** Of the stream header and of the footer. */
const STREAM_BYTES = 12;

export interface XzPlan {
  /** An xz stream that has LZMA2 as its only filter. */
  readonly stream: Uint8Array<ArrayBuffer>;
  /** Whether its unpacked bytes still have to go through `undoX86Filter`. */
  readonly filtered: boolean;
  /**
   * The checksum that the bytes must have after that. Undefined if the library compares it, and for
   * checks other than CRC32, which are not compared.
   */
  readonly crc32: number | undefined;
}

/**
 * Undefined for a file of several blocks, or with filters other than LZMA2 and an x86 filter that
 * starts at offset 0. Throws IMAGE_MALFORMED if a field lies beyond the end or is too large.
 */
export function planXz(file: ImageReader): XzPlan | undefined {
  const check = file.u8(7) & 0xf;
  const block = readBlockHeader(file, STREAM_BYTES);
  const index = readIndex(file);
  if (block === undefined || index === undefined) return undefined;
  if (!block.filtered) return { stream: Uint8Array.from(file.bytes), filtered: false, crc32: undefined };

  const checkBytes = CHECK_BYTES[check] as number;
  const dataAt = STREAM_BYTES + block.bytes;
  const dataBytes = index.unpaddedBytes - block.bytes - checkBytes;
  const data = file.slice(dataAt, dataBytes);
  // A block header: its size in words, less 1; one filter without sizes; padding.
  const header = withCrc([2, 0, FILTER_LZMA2, 1, block.dictionary, 0, 0, 0]);
  // An index: its indicator 0, one record, the sizes of the block with its header and unpacked.
  const newIndex = withCrc(padded([0, 1, ...variable(header.length + dataBytes), ...variable(index.unpackedBytes)]));
  const flags = [0, CHECK_NONE];
  const footer = [...little(newIndex.length / 4 - 1), ...flags];
  return {
    stream: concatenate(
      [...HEADER_MAGIC, ...withCrc(flags), ...header],
      data,
      Array.from({ length: -dataBytes & 3 }, () => 0),
      newIndex,
      [...little(crc32(footer)), ...footer, ...FOOTER_MAGIC],
    ),
    filtered: true,
    crc32: check === CHECK_CRC32 ? file.u32(dataAt + dataBytes + (-dataBytes & 3)) : undefined,
  };
}

/** Filters are x86 and LZMA2, or LZMA2 alone; undefined otherwise. */
function readBlockHeader(
  file: ImageReader,
  at: number,
): { bytes: number; filtered: boolean; dictionary: number } | undefined {
  const bytes = (file.u8(at) + 1) * 4;
  const flags = file.u8(at + 1);
  const cursor = { at: at + 2 };
  // The sizes of the packed and of the unpacked data, each only if its flag is set.
  if ((flags & 0x40) !== 0) readVariable(file, cursor);
  if ((flags & 0x80) !== 0) readVariable(file, cursor);
  const filters: { id: number; properties: number }[] = [];
  for (let count = 0; count <= (flags & 3); count++) {
    const id = readVariable(file, cursor);
    const length = readVariable(file, cursor);
    // Only the last filter's one byte is of interest: LZMA2's dictionary size. An x86 filter may
    // have a start offset.
    filters.push({ id, properties: length === 1 ? file.u8(cursor.at) : 0 });
    if (id === FILTER_X86 && length !== 0) return undefined;
    cursor.at += length;
  }
  const [first, second] = filters;
  if (first?.id === FILTER_LZMA2 && second === undefined)
    return { bytes, filtered: false, dictionary: first.properties };
  if (first?.id === FILTER_X86 && second?.id === FILTER_LZMA2 && filters.length === 2)
    return { bytes, filtered: true, dictionary: second.properties };
  return undefined;
}

/** The only record of the index, which the footer points back to. */
function readIndex(file: ImageReader): { unpaddedBytes: number; unpackedBytes: number } | undefined {
  const footer = file.length - STREAM_BYTES;
  const cursor = { at: footer - (file.u32(footer + 4) + 1) * 4 + 1 };
  if (readVariable(file, cursor) !== 1) return undefined;
  return { unpaddedBytes: readVariable(file, cursor), unpackedBytes: readVariable(file, cursor) };
}

/** Seven bits in each byte, low bits first. Five bytes are more than a kernel needs. */
function readVariable(file: ImageReader, cursor: { at: number }): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = file.u8(cursor.at++);
    value += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) return value;
  }
  throw file.malformed('a number in its xz container is too large');
}

function variable(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function concatenate(...parts: readonly ArrayLike<number>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function padded(bytes: readonly number[]): number[] {
  return [...bytes, ...Array.from({ length: -bytes.length & 3 }, () => 0)];
}

function little(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}

function withCrc(bytes: readonly number[]): number[] {
  return [...bytes, ...little(crc32(bytes))];
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  return crc;
});

/** CRC-32 of IEEE 802.3. */
export function crc32(bytes: ArrayLike<number>): number {
  let crc = 0xffff_ffff;
  for (let at = 0; at < bytes.length; at++)
    crc = (CRC_TABLE[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}
