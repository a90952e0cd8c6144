/**
 * A bzImage whose kernel is not compressed, for boot loaders that take nothing but a bzImage: the
 * guest does not unpack it, which takes an emulated processor seconds.
 *
 * It is the real-mode part of the kernel's own bzImage, then guests/kernel-start.asm, then the
 * kernel's memory as its ELF lays it out. The kernel is not relocated: it runs where it is linked.
 *
 * Called by: the command line, for Debian's kernel.
 *
 * Source: Documentation/arch/x86/boot.rst, "Details of Header Fields" and "The Image Checksum".
 */

import { readElf32 } from './elf32.js';
import type { ImageReader } from './image-reader.js';
import { endOf } from './load-plan.js';
import { readSetupHeader } from './setup-header.js';
import { crc32 } from './xz-container.js';

/** Increased when another image is made of the same files. */
export const UNPACKED_LAYOUT = 1;

/** Offsets in the file, with the names of boot.rst. */
const Header = {
  /** "MZ", and the offset of the header of an EFI program. */
  efiMagic: 0x00,
  efiHeader: 0x3c,
  setupSectors: 0x1f1,
  sysSize: 0x1f4,
  version: 0x206,
  relocatableKernel: 0x234,
  xLoadFlags: 0x236,
  payloadOffset: 0x248,
  payloadLength: 0x24c,
  preferredAddress: 0x258,
  initSize: 0x260,
  handoverOffset: 0x264,
} as const;

/** The first version with all fields of `Header`. Those of later ones describe absent code. */
const PROTOCOL_2_12 = 0x020c;
const SECTOR = 512;
/** `sysSize` counts in these. */
const PARAGRAPH = 16;
const CRC_BYTES = 4;
const TABLE_BYTES = 16;
/** As in kernel-start.asm: its copy begins at a multiple of this. */
const ALIGNMENT = 16;
/** Of a kernel with its gaps. Debian's is 15 MiB. */
const MAX_KERNEL_BYTES = 0x1000_0000;

/**
 * The image. `start` is guests/kernel-start.bin. Throws IMAGE_MALFORMED for a bzImage of a boot
 * protocol before 2.12, or a damaged one, and for an ELF that is damaged or more than 256 MiB long,
 * and IMAGE_UNSUPPORTED for one of another processor than i386.
 */
export function unpackedBzImage(
  bzImage: ImageReader,
  vmlinux: ImageReader,
  start: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { protocol, protectedModeOffset } = readSetupHeader(bzImage);
  if (protocol < PROTOCOL_2_12)
    throw bzImage.malformed(`boot protocol 0x${protocol.toString(16)} is older than 2.12, of Linux 3.8`);
  const kernel = flatKernel(vmlinux);
  const codeBytes = start.length + kernel.bytes.length;
  const bytes = new Uint8Array(protectedModeOffset + roundUp(codeBytes + CRC_BYTES, PARAGRAPH));
  const view = new DataView(bytes.buffer);
  bytes.set(bzImage.slice(0, protectedModeOffset));
  bytes.set(start, protectedModeOffset);
  bytes.set(kernel.bytes, protectedModeOffset + start.length);
  const table = protectedModeOffset + start.length - TABLE_BYTES;
  [kernel.address, kernel.bytes.length, kernel.zeroBytes, kernel.entry].forEach((value, index) =>
    view.setUint32(table + 4 * index, value, true),
  );

  view.setUint16(Header.efiMagic, 0);
  view.setUint32(Header.efiHeader, 0);
  view.setUint8(Header.setupSectors, protectedModeOffset / SECTOR - 1);
  view.setUint32(Header.sysSize, (bytes.length - protectedModeOffset) / PARAGRAPH, true);
  view.setUint16(Header.version, PROTOCOL_2_12, true);
  view.setUint8(Header.relocatableKernel, 0);
  view.setUint16(Header.xLoadFlags, 0);
  view.setUint32(Header.payloadOffset, 0);
  view.setUint32(Header.payloadLength, 0);
  view.setUint32(Header.preferredAddress, kernel.address, true);
  view.setUint32(Header.preferredAddress + 4, 0);
  // The whole file may lie at the kernel's place, as ACRN's device model loads it, and the copy of
  // `start` behind that.
  const room = Math.max(kernel.bytes.length + kernel.zeroBytes, bytes.length);
  view.setUint32(Header.initSize, roundUp(room, ALIGNMENT) + start.length, true);
  view.setUint32(Header.handoverOffset, 0);
  // With it, the remainder over the whole file is 0.
  view.setUint32(bytes.length - CRC_BYTES, ~crc32(bytes.subarray(0, -CRC_BYTES)), true);
  return bytes;
}

interface FlatKernel {
  readonly address: number;
  /** From the lowest address to the end of what the file has, with zeros between the segments. */
  readonly bytes: Uint8Array;
  /** Behind that. */
  readonly zeroBytes: number;
  readonly entry: number;
}

function flatKernel(vmlinux: ImageReader): FlatKernel {
  const { segments, entry } = readElf32(vmlinux);
  const sorted = [...segments].sort((a, b) => a.address - b.address);
  sorted.forEach((segment, index) => {
    const below = sorted[index - 1];
    if (below !== undefined && endOf(below) > segment.address)
      throw vmlinux.malformed(`${segment.what} overlaps ${below.what}`);
  });
  const address = sorted[0]?.address ?? 0;
  const end = Math.max(...segments.map(endOf));
  if (end - address > MAX_KERNEL_BYTES || end > 0xffff_fff0)
    throw vmlinux.malformed(`its segments lie from 0x${address.toString(16)} to 0x${end.toString(16)}`);
  const filled = Math.max(...segments.map((segment) => segment.address + segment.bytes.length));
  const bytes = new Uint8Array(roundUp(filled - address, 4));
  for (const segment of segments) bytes.set(segment.bytes, segment.address - address);
  return { address, bytes, zeroBytes: roundUp(Math.max(0, end - address - bytes.length), 4), entry };
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
