/**
 * The setup header of a Linux bzImage (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel
 * Header"), which describes the kernel to a boot loader.
 *
 * Called by: guest-image.ts, linux-boot.ts and kernel-payload.ts.
 */

import type { ImageReader } from './image-reader.js';

/** Where it starts, in the file and in the zero page. */
export const SETUP_HEADER = 0x1f1;
/** Where the zero page's next field begins (the EDD signatures). */
export const ZERO_PAGE_HEADER_END = 0x290;

const MAGIC_AT = 0x202;
/** "HdrS". */
const MAGIC = 0x5372_6448;
const SECTOR = 512;
/** What an absent setup_sects means. */
const DEFAULT_SETUP_SECTORS = 4;
const OLDEST_PROTOCOL = 0x0203;
/** Bit of xloadflags: there is a 64-bit entry. */
const XLF_KERNEL_64 = 1 << 0;

export interface SetupHeader {
  /** The header as it goes into the zero page. */
  readonly bytes: Uint8Array;
  /** Version: 0x020c is 2.12. */
  readonly protocol: number;
  /** File offset of the part that runs in protected mode. */
  readonly protectedModeOffset: number;
  /** The protected-mode part is loaded at 1 MiB (bzImage), not below (zImage). */
  readonly loadedHigh: boolean;
  /** The kernel is for x86-64. It could be entered in 32-bit mode, but would not stay there. */
  readonly is64Bit: boolean;
  /** The highest address that the last byte of the RAM disk may have. */
  readonly initrdAddressMax: number;
  /** Bytes of command line without the final NUL. */
  readonly commandLineSize: number;
  readonly preferredAddress: number;
  /** Memory that the kernel needs at the preferred address before it knows its memory map. */
  readonly initSize: number;
  /** File offset and length of the compressed kernel, if the protocol is new enough to say. */
  readonly payload: { readonly offset: number; readonly length: number } | undefined;
}

export function isBzImage(image: ImageReader): boolean {
  return image.has(SETUP_HEADER, 0x20) && image.u16(0x1fe) === 0xaa55 && image.u32(MAGIC_AT) === MAGIC;
}

/**
 * Throws IMAGE_MALFORMED if there is no header, or if it is older than Linux 2.4.18 or truncated.
 */
export function readSetupHeader(image: ImageReader): SetupHeader {
  if (!isBzImage(image)) throw image.malformed('no Linux setup header');
  const protocol = image.u16(0x206);
  if (protocol < OLDEST_PROTOCOL)
    throw image.malformed(`boot protocol 0x${protocol.toString(16)} is older than Linux 2.4.18`);
  // The jump at 0x200 leads over the header: its displacement gives the header's end.
  const end = MAGIC_AT + image.u8(0x201);
  const protectedModeOffset = ((image.u8(SETUP_HEADER) || DEFAULT_SETUP_SECTORS) + 1) * SECTOR;
  if (protectedModeOffset >= image.length)
    throw image.malformed(`it ends at ${image.length}, before its protected-mode part at ${protectedModeOffset}`);
  const since = (version: number, offset: number): number | undefined =>
    protocol >= version ? image.u32(offset) : undefined;
  const payloadLength = since(0x208, 0x24c) ?? 0;
  return {
    bytes: image.slice(SETUP_HEADER, end - SETUP_HEADER),
    protocol,
    protectedModeOffset,
    loadedHigh: (image.u8(0x211) & 1) !== 0,
    is64Bit: protocol >= 0x20c && (image.u16(0x236) & XLF_KERNEL_64) !== 0,
    initrdAddressMax: image.u32(0x22c),
    commandLineSize: since(0x206, 0x238) ?? 255,
    // The field has 64 bits; a kernel that prefers more than 4 GiB does not start in 32-bit mode.
    preferredAddress: since(0x20a, 0x258) ?? 0,
    initSize: since(0x20a, 0x260) ?? 0,
    payload:
      payloadLength === 0 ? undefined : { offset: protectedModeOffset + image.u32(0x248), length: payloadLength },
  };
}
