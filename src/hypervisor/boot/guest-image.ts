/**
 * GuestImage: a guest program of any kind, ready to be loaded into a User VM's memory at each
 * start.
 *
 * Called by: vm/image-file.ts, which prepares the image once (recognises the kind, unpacks a Linux
 * kernel). VmLifeCycle calls `load` before each start and gives the registers to the hypervisor.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import type { GuestMemory } from '../guest-memory.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { acpiTables } from './acpi-tables.js';
import { biosDataAreas } from './bios-data-area.js';
import { MAX_UNPACKED_BYTES, packedFormat, unpack } from './compression.js';
import { isElf } from './elf32.js';
import { isFirmware, planFirmware } from './firmware-image.js';
import { planFlat32Image, planRealModeImage } from './flat-image.js';
import { isElf64ForX86 } from './elf64.js';
import { foreignElf } from './foreign-elf.js';
import { foreignImage } from './foreign-image.js';
import { ImageReader } from './image-reader.js';
import { unpackKernel } from './kernel-payload.js';
import { planBzImage, planVmlinux } from './linux-boot.js';
import { checkPlan, loadPlan, overlap, type LoadPlan } from './load-plan.js';
import { mpTable } from './mp-table.js';
import { findMultibootHeader, planMultiboot, type BootModule } from './multiboot.js';
import { isPvh, planPvh } from './pvh.js';
import { isBzImage, readSetupHeader, type SetupHeader } from './setup-header.js';
import { unsupported } from './unsupported-image.js';

/**
 * - `real`: flat, real mode
 * - `flat-32`: flat, 32-bit protected mode
 * - `multiboot`: Multiboot 1
 * - `linux`: a bzImage
 * - `elf`: a bare ELF, entered in its mode with Linux' zero page in ESI: also an unpacked Linux
 *   kernel
 * - `pvh`: a 64-bit ELF with a PVH entry, as Linux and Xen's guests have it
 * - `bios`: firmware, started at its reset vector
 */
export const IMAGE_KINDS = ['real', 'flat-32', 'multiboot', 'linux', 'elf', 'pvh', 'bios'] as const;
export type ImageKind = (typeof IMAGE_KINDS)[number];

export interface GuestImageOptions {
  readonly image: Uint8Array;
  /** Default: recognised by the image's content. Bytes of no other kind are `real`. */
  readonly kind?: ImageKind;
  /** For a flat image: where it is loaded and entered. */
  readonly address?: number;
  /** For `linux`: the kernel in `image`, unpacked before; otherwise it is unpacked now. */
  readonly vmlinux?: Uint8Array;
  /** For `linux`, `multiboot`, `elf` and `pvh`. */
  readonly cmdline?: string;
  /**
   * Linux' initial RAM disk. For a multiboot or PVH kernel its first module, with the string
   * "initrd".
   */
  readonly initrd?: Uint8Array;
  /** For a multiboot or PVH kernel: behind `initrd`, and at most 128 together with it. */
  readonly modules?: readonly BootModule[];
  /**
   * Compiled DSDT: gives the guest ACPI tables. All kinds but `bios` get them: a guest finds them
   * below 1 MiB without a pointer to them.
   */
  readonly dsdt?: Uint8Array;
  /**
   * Whether the VM has 64-bit mode: without it, images for x86-64 are refused. Default: false, in
   * `createUserVm` as the hypervisor says.
   */
  readonly longMode?: boolean;
  /** Processors that the tables list, 1…16. Default: 1, in `createUserVm` the VM's vCPUs. */
  readonly processors?: number;
  /**
   * The BIOS data areas and the MP table of a VM with the devices of standardPc. One that would
   * overlap the image is left out. Default: true with a DSDT, and for several processors, which the
   * guest would not find otherwise.
   */
  readonly biosTables?: boolean;
}

export interface GuestImage {
  readonly kind: ImageKind;
  /**
   * Throws UpcallError if the image cannot be loaded into `memoryBytes` of RAM: it does not fit, it
   * is malformed or unsupported, or its command line or modules are too long or too many.
   */
  check(memoryBytes: number): void;
  /**
   * Writes the image and all that it starts with, and returns the registers to start with. Throws
   * as `check` does. Repeatable. Memory outside of the pieces is left alone.
   */
  load(memory: GuestMemory): VcpuRegisters;
}

/** Throws IMAGE_UNSUPPORTED for a file that is known not to run here. */
export function detectKind(image: Uint8Array, longMode = false): ImageKind {
  const reader = new ImageReader('image', image);
  if (isBzImage(reader)) return 'linux';
  const elf = foreignElf(reader, longMode);
  if (elf !== undefined) throw unsupported(elf);
  if (findMultibootHeader(reader) !== undefined) return 'multiboot';
  if (isFirmware(reader)) return 'bios';
  const foreign = foreignImage(reader, longMode);
  if (foreign !== undefined) throw unsupported(foreign);
  if (isElf64ForX86(reader) && isPvh(reader)) return 'pvh';
  return isElf(image) ? 'elf' : 'real';
}

/**
 * Rejects with OPTION_INVALID for parts that a guest of the kind would never see and for a kind
 * that does not exist, with IMAGE_UNSUPPORTED for an image that is known not to run here, and with
 * IMAGE_MALFORMED or IMAGE_TOO_LARGE for ACPI tables, a bzImage or a packed image that are damaged
 * or too large. `check` finds the rest.
 */
export async function prepareGuestImage(options: GuestImageOptions): Promise<GuestImage> {
  const image = isFlat(options.kind) ? options.image : await unpackImage(options.image);
  const kind = options.kind ?? detectKind(image, options.longMode);
  checkParts(kind, options);
  const { tables, optional } = kind === 'bios' ? { tables: [], optional: [] } : firmwareTables(options);
  const planImage = await planner(kind, { ...options, image });
  const plan = (memoryBytes: number): LoadPlan => {
    const { pieces, registers } = planImage(memoryBytes);
    const free = optional.filter((table) => !pieces.some((piece) => overlap(piece, table)));
    return { pieces: [...pieces, ...tables, ...free], registers };
  };
  return {
    kind,
    check: (memoryBytes) => checkPlan(plan(memoryBytes), memoryBytes),
    load: (memory) => loadPlan(plan(memory.size), memory),
  };
}

/** What firmware leaves in memory for the guest. The optional tables give way to the image. */
function firmwareTables({
  dsdt,
  processors = 1,
  biosTables = dsdt !== undefined || processors > 1,
}: GuestImageOptions) {
  return {
    tables: dsdt === undefined ? [] : [acpiTables(dsdt, processors)],
    optional: biosTables ? [...biosDataAreas(), mpTable(processors)] : [],
  };
}

function isFlat(kind: ImageKind | undefined): boolean {
  return kind === 'real' || kind === 'flat-32';
}

/** A file that is packed as a whole, unpacked; others as they are. */
async function unpackImage(image: Uint8Array): Promise<Uint8Array> {
  const packed = new ImageReader('image', image);
  const format = packedFormat(packed);
  if (format === undefined) return image;
  const unpacked = await unpack(
    packed,
    format,
    MAX_UNPACKED_BYTES,
    () =>
      new UpcallError('IMAGE_TOO_LARGE', `image: it unpacks to more than ${MAX_UNPACKED_BYTES} bytes`, {
        remedy: 'Give a kernel, not a disk image',
      }),
  );
  if (unpacked !== undefined) return unpacked;
  throw unsupported({
    what: `a file packed with ${format.name} in several blocks or with filters`,
    reason: 'only one block, with LZMA2 and x86 filters, is unpacked here',
    remedy: 'Unpack it with unxz',
  });
}

/** Throws OPTION_INVALID for parts that a guest of this kind would never see. */
function checkParts(kind: ImageKind, { initrd, modules = [], cmdline = '' }: GuestImageOptions): void {
  if (kind === 'multiboot' || kind === 'pvh') return;
  if (cmdline !== '' && (isFlat(kind) || kind === 'bios'))
    throw new UpcallError('OPTION_INVALID', `an image of kind ${kind} takes no command line`, {
      remedy: 'Leave out --cmdline, or give a Linux or multiboot kernel',
    });
  if (modules.length > 0)
    throw new UpcallError('OPTION_INVALID', `modules are for multiboot kernels, and the image is of kind ${kind}`, {
      remedy: kind === 'linux' || kind === 'elf' ? 'Give Linux its RAM disk with --initrd' : 'Leave out --module',
    });
  if (initrd !== undefined && (isFlat(kind) || kind === 'bios'))
    throw new UpcallError('OPTION_INVALID', `an image of kind ${kind} takes no initial RAM disk`, {
      remedy: 'Leave out --initrd, or give a Linux or multiboot kernel',
    });
}

const KERNEL_64 = {
  what: 'a 64-bit Linux kernel',
  reason: 'the VM has a 32-bit x86 processor',
  remedy:
    "Use --hypervisor kvm, or a 32-bit kernel, for example Debian's linux-image-686, which upcall run debian fetches",
};

/** Prepares and loads at once, for tests. */
export async function loadGuestImage(memory: GuestMemory, options: GuestImageOptions): Promise<VcpuRegisters> {
  return (await prepareGuestImage(options)).load(memory);
}

/** The loader of this kind, as a function of the bytes of RAM. It has unpacked what it has to. */
async function planner(kind: ImageKind, options: GuestImageOptions): Promise<(memoryBytes: number) => LoadPlan> {
  const { image, address, initrd, cmdline = '', dsdt, longMode = false } = options;
  const linuxOptions = (memoryBytes: number) => ({
    memoryBytes,
    commandLine: cmdline,
    initrd,
    acpi: dsdt !== undefined,
  });
  const linux = (kernel: ImageReader, header: SetupHeader | undefined) => (memoryBytes: number) =>
    planVmlinux(kernel, header, linuxOptions(memoryBytes));
  const modules = [...(initrd === undefined ? [] : [{ bytes: initrd, text: 'initrd' }]), ...(options.modules ?? [])];
  switch (kind) {
    case 'real':
      return () => planRealModeImage(image, address);
    case 'flat-32':
      return (memoryBytes) => planFlat32Image(image, memoryBytes, address);
    case 'bios': {
      const reader = new ImageReader('firmware', image);
      return () => planFirmware(reader);
    }
    case 'multiboot': {
      const reader = new ImageReader('multiboot image', image);
      return (memoryBytes) => planMultiboot(reader, { memoryBytes, commandLine: cmdline, modules });
    }
    case 'linux': {
      const reader = new ImageReader('bzImage', image);
      const header = readSetupHeader(reader);
      if (header.is64Bit && !longMode) throw unsupported(KERNEL_64);
      const vmlinux =
        options.vmlinux === undefined
          ? await unpackKernel(reader, longMode)
          : new ImageReader('vmlinux', options.vmlinux);
      if (vmlinux !== undefined) return linux(vmlinux, header);
      return (memoryBytes) => planBzImage(reader, linuxOptions(memoryBytes));
    }
    case 'elf': {
      const reader = new ImageReader('ELF image', image);
      const foreign = foreignElf(reader, longMode);
      if (foreign !== undefined) throw unsupported(foreign);
      return linux(reader, undefined);
    }
    case 'pvh': {
      const reader = new ImageReader('PVH image', image);
      const foreign = foreignElf(reader, longMode);
      if (foreign !== undefined) throw unsupported(foreign);
      const acpi = dsdt !== undefined;
      return (memoryBytes) => planPvh(reader, { memoryBytes, commandLine: cmdline, modules, acpi });
    }
    default:
      throw new UpcallError('OPTION_INVALID', `image kind ${String(kind)}`, {
        remedy: `Give one of ${IMAGE_KINDS.join(', ')}`,
      });
  }
}
