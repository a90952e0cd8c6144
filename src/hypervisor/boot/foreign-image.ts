/**
 * Files that cannot run on this machine, recognised by their content, so that the operator reads
 * why instead of seeing the VM end in a triple fault: a file of no known kind is a flat binary, and
 * would be run as one.
 *
 * Called by: guest-image.ts, for an image whose kind the operator did not give.
 * Callers must: try Linux, Multiboot 1 and firmware first. Some of their images match here too: a
 * bzImage may be a PE executable for EFI, and a kernel may have both Multiboot headers.
 */

import { foreignElf } from './foreign-elf.js';
import type { ImageReader } from './image-reader.js';
import { isText } from './text-file.js';
import type { ForeignImage } from './unsupported-image.js';

interface Format extends ForeignImage {
  is(image: ImageReader): boolean;
}

const NO_DISK = 'the VM has no disk to boot from, and no BIOS';
const TAKE_KERNEL_OUT = 'Take its kernel and RAM disk out, and give them with --kernel and --initrd';
const OTHER_PROCESSOR = 'the VM has a 32-bit x86 processor';
const NO_UNPACKER = 'only gzip, xz and zstd are unpacked here';

/** More special formats first: a hybrid ISO also has a partition table. */
const FORMATS: readonly Format[] = [
  {
    what: 'a kernel with a Multiboot 2 header only',
    reason: 'this loader has Multiboot 1',
    remedy: 'Build it with a Multiboot 1 header, which may stand beside the other',
    is: hasMultiboot2Header,
  },
  {
    what: 'a script',
    reason: 'a VM runs machine code',
    remedy: 'Run it in a guest with a shell, for example upcall run debian --run …',
    is: (image) => has(image, 0, '#!'),
  },
  {
    what: 'a PE executable (EFI or Windows)',
    reason: 'the VM has no EFI firmware',
    remedy: 'Give the kernel in another form: bzImage, multiboot or ELF',
    is: (image) => has(image, 0, 'MZ') && image.has(0x3c, 4) && has(image, image.u32(0x3c), 'PE\0\0'),
  },
  {
    what: 'a DOS program',
    reason: 'there is no DOS in the VM',
    remedy: 'Give a kernel: bzImage, multiboot or ELF',
    // The header's bytes in the last page of 512, and the number of pages.
    is: (image) => has(image, 0, 'MZ') && image.has(0, 28) && image.u16(2) < 512 && image.u16(4) > 0,
  },
  {
    what: 'an a.out executable',
    reason: 'it says how it is laid out, not where it is loaded',
    remedy: 'Convert it with objcopy -O elf32-i386, or give its code with --kind flat-32',
    is: isAout,
  },
  {
    what: 'an ISO 9660 image',
    reason: NO_DISK,
    remedy: TAKE_KERNEL_OUT,
    is: (image) => has(image, 0x8001, 'CD001'),
  },
  {
    what: 'a disk image',
    reason: NO_DISK,
    remedy: TAKE_KERNEL_OUT,
    // qcow2, VMDK, VHDX, VDI, VHD, and a raw disk with a GPT or an MBR.
    is: (image) =>
      has(image, 0, [0x51, 0x46, 0x49, 0xfb]) ||
      has(image, 0, 'KDMV') ||
      has(image, 0, 'vhdxfile') ||
      has(image, 0x40, [0x7f, 0x10, 0xda, 0xbe]) ||
      has(image, image.length - 512, 'conectix') ||
      has(image, 512, 'EFI PART') ||
      hasPartitions(image),
  },
  {
    what: 'a file system image',
    reason: NO_DISK,
    remedy: TAKE_KERNEL_OUT,
    // FAT, SquashFS, ext2 to ext4.
    is: (image) =>
      (has(image, 510, [0x55, 0xaa]) && (has(image, 0x36, 'FAT') || has(image, 0x52, 'FAT32'))) ||
      has(image, 0, 'hsqs') ||
      isExt(image),
  },
  {
    what: 'a Linux kernel for ARM',
    reason: OTHER_PROCESSOR,
    remedy: 'Give the i386 kernel',
    is: (image) => has(image, 0x24, [0x18, 0x28, 0x6f, 0x01]) || has(image, 0x38, 'ARMd'),
  },
  {
    what: 'a Linux kernel for RISC-V',
    reason: OTHER_PROCESSOR,
    remedy: 'Give the i386 kernel',
    is: (image) => has(image, 0x38, 'RSC\x05'),
  },
  {
    what: "an image of U-Boot's",
    reason: 'there is no U-Boot in the VM',
    remedy: 'Give the kernel in it: bzImage, multiboot or ELF',
    // A legacy image, or a flattened image tree (FIT).
    is: (image) => has(image, 0, [0x27, 0x05, 0x19, 0x56]) || has(image, 0, [0xd0, 0x0d, 0xfe, 0xed]),
  },
  {
    what: 'an initial RAM disk',
    reason: 'it has no kernel',
    remedy: 'Give it with --initrd, and the kernel with --kernel',
    is: (image) => has(image, 0, '070701') || has(image, 0, '070702'),
  },
  {
    what: 'an archive',
    reason: 'the kernel is in it',
    remedy: 'Take the kernel out and give it alone',
    is: (image) =>
      has(image, 0, '!<arch>\n') ||
      has(image, 0, 'PK\x03\x04') ||
      has(image, 257, 'ustar') ||
      has(image, 0, '7z\xbc\xaf'),
  },
  {
    what: 'a file packed with bzip2',
    reason: NO_UNPACKER,
    remedy: 'Unpack it with bunzip2',
    is: (image) => has(image, 0, 'BZh') && has(image, 4, [0x31, 0x41, 0x59, 0x26, 0x53, 0x59]),
  },
  {
    what: 'a file packed with lz4',
    reason: NO_UNPACKER,
    remedy: 'Unpack it with unlz4',
    // Its frame format, or the legacy one.
    is: (image) => has(image, 0, [0x04, 0x22, 0x4d, 0x18]) || has(image, 0, [0x02, 0x21, 0x4c, 0x18]),
  },
  {
    what: 'a file packed with lzma',
    reason: NO_UNPACKER,
    remedy: 'Unpack it with unlzma',
    // It has no magic number: the usual properties, and the top byte of a size, or of -1 (unknown).
    is: (image) => has(image, 0, [0x5d, 0x00, 0x00]) && image.has(0, 13) && [0, 0xff].includes(image.u8(12)),
  },
  {
    what: 'a file packed with lzop',
    reason: NO_UNPACKER,
    remedy: 'Unpack it with lzop -d',
    is: (image) => has(image, 0, [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]),
  },
  {
    what: 'an option ROM',
    reason: 'a BIOS calls it, and the VM has none',
    remedy: 'Give a kernel: bzImage, multiboot or ELF',
    is: (image) => has(image, 0, [0x55, 0xaa]) && image.has(2, 1) && image.length === image.u8(2) * 512,
  },
  {
    what: 'a text file',
    reason: 'there is no program in it',
    remedy: 'Give the program that is built from it, or run the bytes all the same with --kind real',
    is: isText,
  },
];

/** What the image is, if it is known not to run here. */
export function foreignImage(image: ImageReader, longMode = false): ForeignImage | undefined {
  return foreignElf(image, longMode) ?? FORMATS.find((format) => format.is(image));
}

/** Whether `signature` (Latin-1) is at `offset`. */
function has(image: ImageReader, offset: number, signature: string | readonly number[]): boolean {
  const bytes = typeof signature === 'string' ? Array.from(signature, (text) => text.charCodeAt(0)) : signature;
  return image.has(offset, bytes.length) && bytes.every((byte, index) => image.u8(offset + index) === byte);
}

/** In the first 32 KiB, 8-byte aligned; its first four words add up to 0 (Multiboot 2, 3.1.1). */
function hasMultiboot2Header(image: ImageReader): boolean {
  const last = Math.min(image.length, 32768) - 16;
  for (let at = 0; at <= last; at += 8) {
    if (image.u32(at) !== 0xe852_50d6) continue;
    const sum = [0, 4, 8, 12].reduce((total, field) => total + image.u32(at + field), 0);
    if (sum % 2 ** 32 === 0) return true;
  }
  return false;
}

/**
 * Whether it begins with a magic number of a.out (OMAGIC, NMAGIC, ZMAGIC or QMAGIC), with the
 * machine i386 or none, and with sizes of text and data that the file has.
 */
function isAout(image: ImageReader): boolean {
  if (!image.has(0, 32)) return false;
  const magics: readonly number[] = [0o407, 0o410, 0o413, 0o314];
  const machine = image.u8(2);
  const contents = image.u32(4) + image.u32(8);
  return (
    magics.includes(image.u16(0)) && (machine === 0 || machine === 100) && contents > 0 && contents <= image.length
  );
}

/**
 * A master boot record with sectors behind it: at least one entry is used, and all are plausible.
 */
function hasPartitions(image: ImageReader): boolean {
  if (image.length <= 512 || !has(image, 510, [0x55, 0xaa])) return false;
  const entries = [446, 462, 478, 494].map((at) => ({
    status: image.u8(at),
    type: image.u8(at + 4),
    first: image.u32(at + 8),
    sectors: image.u32(at + 12),
  }));
  const used = entries.filter(({ type }) => type !== 0);
  return (
    used.length > 0 &&
    entries.every(({ status }) => (status & 0x7f) === 0) &&
    used.every(({ first, sectors }) => first > 0 && sectors > 0)
  );
}

/** The superblock at 1024: its magic number, and a block size that exists. */
function isExt(image: ImageReader): boolean {
  return has(image, 0x438, [0x53, 0xef]) && image.u32(0x418) <= 6;
}
