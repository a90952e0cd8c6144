/**
 * Linux by its 32-bit or 64-bit boot protocol (Documentation/arch/x86/boot.rst and zero-page.rst),
 * without a BIOS. The kernel is a bzImage, which unpacks itself in the guest, or the unpacked
 * vmlinux, which starts seconds sooner.
 *
 * At the entry: flat 32-bit mode, or for a kernel for x86-64 64-bit mode with the first 4 GiB
 * mapped to their own addresses; __BOOT_CS 0x10 and __BOOT_DS 0x18 in a loaded GDT, interrupts off,
 * ESI = zero page.
 *
 * Called by: guest-image.ts. Both plans throw IMAGE_MALFORMED, IMAGE_TOO_LARGE if the RAM is too
 * small, and OPTION_INVALID if the command line is too long. `planVmlinux` also throws
 * IMAGE_UNSUPPORTED.
 */

import { readElf32 } from './elf32.js';
import { isElf64ForX86, readElf64 } from './elf64.js';
import { FreeMemory } from './free-memory.js';
import type { ImageReader } from './image-reader.js';
import { longModeStart } from './long-mode-start.js';
import { endOf, HIGHEST_RAM, tooLarge, type LoadPlan, type Piece } from './load-plan.js';
import {
  ACPI_TABLES,
  cString,
  FLAT_GDT_BYTES,
  flatGdt,
  flatRegisters,
  HIGH_MEMORY,
  MAX_COMMAND_LINE,
  memoryMap,
} from './low-memory.js';
import { readSetupHeader, SETUP_HEADER, ZERO_PAGE_HEADER_END, type SetupHeader } from './setup-header.js';

/** Offsets in the zero page (`boot_params`, which Linux reads at its start). */
const ZeroPage = {
  acpiRsdp: 0x070,
  e820Entries: 0x1e8,
  videoMode: 0x1fa,
  bootFlag: 0x1fe,
  magic: 0x202,
  version: 0x206,
  loaderType: 0x210,
  loadFlags: 0x211,
  ramdiskImage: 0x218,
  ramdiskSize: 0x21c,
  commandLine: 0x228,
  e820Table: 0x2d0,
} as const;
const E820_ENTRY_BYTES = 20;
const PAGE = 4096;
/** In the protected-mode part of a bzImage. */
const ENTRY_64 = 0x200;

/** Of loadFlags: the protected-mode part is at 1 MiB. */
const LOADED_HIGH = 1 << 0;
/** "Undefined": a loader without an assigned number. */
const LOADER_UNDEFINED = 0xff;
const NORMAL_VIDEO_MODE = 0xffff;
/** For a bare ELF, which has no setup header: a version with all fields that are set here. */
const PROTOCOL_2_12 = 0x020c;
/**
 * The default of initrd_addr_max in protocols before 2.03, and the top of what i386 maps at its
 * start.
 */
const INITRD_ADDRESS_MAX = 0x37ff_ffff;

export interface LinuxOptions {
  readonly memoryBytes: number;
  readonly commandLine: string;
  readonly initrd?: Uint8Array | undefined;
  /** Whether tables lie at ACPI_TABLES. */
  readonly acpi: boolean;
}

/** A bzImage as it is: its protected-mode part goes to 1 MiB and unpacks itself. */
export function planBzImage(image: ImageReader, options: LinuxOptions): LoadPlan {
  const header = readSetupHeader(image);
  if (!header.loadedHigh) throw image.malformed('a zImage of the time before Linux 2.0 is not supported');
  const kernel = {
    what: 'kernel',
    address: HIGH_MEMORY,
    bytes: image.bytes.subarray(header.protectedModeOffset),
  };
  const entry = header.is64Bit ? HIGH_MEMORY + ENTRY_64 : HIGH_MEMORY;
  return planKernel({ segments: [kernel], entry, is64Bit: header.is64Bit }, header, options);
}

/** The unpacked kernel. `header` is its bzImage's setup header, if there is one. */
export function planVmlinux(vmlinux: ImageReader, header: SetupHeader | undefined, options: LinuxOptions): LoadPlan {
  if (!isElf64ForX86(vmlinux)) return planKernel({ ...readElf32(vmlinux), is64Bit: false }, header, options);
  const { segments, entry } = readElf64(vmlinux);
  if (entry === undefined) throw vmlinux.malformed('the entry is in no segment');
  return planKernel({ segments, entry, is64Bit: true }, header, options);
}

interface PlacedKernel {
  readonly segments: readonly Piece[];
  readonly entry: number;
  /** Of the entry. */
  readonly is64Bit: boolean;
}

function planKernel(
  { segments, entry, is64Bit }: PlacedKernel,
  header: SetupHeader | undefined,
  options: LinuxOptions,
): LoadPlan {
  const { memoryBytes, initrd } = options;
  const segmentsEnd = segments.reduce((end, segment) => Math.max(end, endOf(segment)), HIGH_MEMORY);
  // Unpacking needs `initSize` bytes at the preferred address, whatever the size of the packed
  // kernel.
  const kernelEnd = Math.max(segmentsEnd, (header?.preferredAddress ?? 0) + (header?.initSize ?? 0));
  if (kernelEnd > memoryBytes) throw tooLarge('the Linux kernel', kernelEnd + (initrd?.length ?? 0), memoryBytes);
  const ramdisk = initrd === undefined ? undefined : placeInitrd(initrd, kernelEnd, header, memoryBytes);

  const limit = Math.min(header?.commandLineSize ?? MAX_COMMAND_LINE, MAX_COMMAND_LINE);
  const commandLine = cString(options.commandLine, 'the command line', limit);
  const kernel = ramdisk === undefined ? segments : [...segments, ramdisk];
  const free = new FreeMemory(memoryBytes, kernel);
  const start = is64Bit ? longModeStart(free) : flatStart(free);
  const zeroPageAt = free.take(PAGE);
  const commandLineAt = free.take(commandLine.length);
  return {
    pieces: [
      ...start.pieces,
      { what: 'zero page', address: zeroPageAt, bytes: zeroPage(header, { ramdisk, commandLineAt }, options) },
      { what: 'command line', address: commandLineAt, bytes: commandLine },
      ...kernel,
    ],
    registers: { ...start.registers, ip: entry, esi: zeroPageAt },
  };
}

function flatStart(free: FreeMemory) {
  const gdt = free.take(FLAT_GDT_BYTES);
  return { pieces: [flatGdt(gdt)], registers: flatRegisters(gdt) };
}

/** As high as the kernel allows it, above the kernel's early allocations. */
function placeInitrd(
  initrd: Uint8Array,
  kernelEnd: number,
  header: SetupHeader | undefined,
  memoryBytes: number,
): Piece {
  const top = Math.min(memoryBytes, HIGHEST_RAM, (header?.initrdAddressMax ?? INITRD_ADDRESS_MAX) + 1);
  const address = Math.floor((top - initrd.length) / PAGE) * PAGE;
  if (address < kernelEnd)
    throw tooLarge('the Linux kernel with its initrd', kernelEnd + initrd.length + PAGE, memoryBytes);
  return { what: 'initrd', address, bytes: initrd };
}

function zeroPage(
  header: SetupHeader | undefined,
  { ramdisk, commandLineAt }: { readonly ramdisk: Piece | undefined; readonly commandLineAt: number },
  options: LinuxOptions,
): Uint8Array {
  const bytes = new Uint8Array(PAGE);
  const view = new DataView(bytes.buffer);
  if (header === undefined) {
    view.setUint16(ZeroPage.bootFlag, 0xaa55, true);
    view.setUint32(ZeroPage.magic, 0x5372_6448, true);
    view.setUint16(ZeroPage.version, PROTOCOL_2_12, true);
  } else {
    bytes.set(header.bytes.subarray(0, ZERO_PAGE_HEADER_END - SETUP_HEADER), SETUP_HEADER);
  }
  view.setUint16(ZeroPage.videoMode, NORMAL_VIDEO_MODE, true);
  view.setUint8(ZeroPage.loaderType, LOADER_UNDEFINED);
  view.setUint8(ZeroPage.loadFlags, LOADED_HIGH);
  view.setUint32(ZeroPage.commandLine, commandLineAt, true);
  if (ramdisk !== undefined) {
    view.setUint32(ZeroPage.ramdiskImage, ramdisk.address, true);
    view.setUint32(ZeroPage.ramdiskSize, ramdisk.bytes.length, true);
  }
  if (options.acpi) view.setUint32(ZeroPage.acpiRsdp, ACPI_TABLES, true);
  const map = memoryMap(options.memoryBytes);
  view.setUint8(ZeroPage.e820Entries, map.length);
  map.forEach((range, index) => {
    const at = ZeroPage.e820Table + index * E820_ENTRY_BYTES;
    view.setUint32(at, range.address, true);
    view.setUint32(at + 8, range.length, true);
    view.setUint32(at + 16, range.type, true);
  });
  return bytes;
}
