/**
 * GuestImage: a guest program of any kind, ready to be loaded into a User VM's memory at each
 * start.
 *
 * Called by: UserVm, which prepares its image once (recognises the kind, unpacks a Linux kernel),
 * then calls `load` with the memory and gives the registers to the hypervisor.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import type { GuestMemory } from '../guest-memory.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { acpiTables } from './acpi-tables.js';
import { isElf } from './elf32.js';
import { planFlat32Image, planRealModeImage } from './flat-image.js';
import { ImageReader } from './image-reader.js';
import { unpackKernel } from './kernel-payload.js';
import { planBzImage, planVmlinux } from './linux-boot.js';
import { checkPlan, loadPlan, type LoadPlan } from './load-plan.js';
import { findMultibootHeader, planMultiboot } from './multiboot.js';
import { isBzImage, readSetupHeader, type SetupHeader } from './setup-header.js';

/**
 * `real`: flat, real mode. `flat-32`: flat, 32-bit protected mode. `multiboot`: Multiboot 1.
 * `linux`: a bzImage. `elf`: a bare 32-bit ELF, entered with Linux' zero page in ESI, so that an
 * unpacked Linux kernel runs as well.
 */
export const IMAGE_KINDS = ['real', 'flat-32', 'multiboot', 'linux', 'elf'] as const;
export type ImageKind = (typeof IMAGE_KINDS)[number];

export interface GuestImageOptions {
  readonly image: Uint8Array;
  /** Default: recognised by the image's content. Bytes of no other kind are `real`. */
  readonly kind?: ImageKind;
  /** For a flat image: where it is loaded and entered. */
  readonly address?: number;
  /** For `linux`: the kernel in `image`, unpacked before; otherwise it is unpacked now. */
  readonly vmlinux?: Uint8Array;
  readonly cmdline?: string;
  /** Linux' initial RAM disk, or the module of a multiboot kernel. */
  readonly initrd?: Uint8Array;
  /** Compiled DSDT: gives the guest ACPI tables. Flat images get them too: they lie below 1 MiB. */
  readonly dsdt?: Uint8Array;
}

export interface GuestImage {
  readonly kind: ImageKind;
  /** Throws UpcallError if the image does not fit into `memoryBytes` of RAM. */
  check(memoryBytes: number): void;
  /**
   * Writes the image and all that it starts with. Repeatable. Memory outside of the pieces is left
   * alone.
   */
  load(memory: GuestMemory): VcpuRegisters;
}

export function detectKind(image: Uint8Array): ImageKind {
  const reader = new ImageReader('image', image);
  if (isBzImage(reader)) return 'linux';
  if (findMultibootHeader(reader) !== undefined) return 'multiboot';
  if (isElf(image)) return 'elf';
  return 'real';
}

export async function prepareGuestImage(options: GuestImageOptions): Promise<GuestImage> {
  const kind = options.kind ?? detectKind(options.image);
  const tables = options.dsdt === undefined ? [] : [acpiTables(options.dsdt)];
  const planImage = await planner(kind, options);
  const plan = (memoryBytes: number): LoadPlan => {
    const { pieces, registers } = planImage(memoryBytes);
    return { pieces: [...pieces, ...tables], registers };
  };
  return {
    kind,
    check: (memoryBytes) => checkPlan(plan(memoryBytes), memoryBytes),
    load: (memory) => loadPlan(plan(memory.size), memory),
  };
}

/** Prepares and loads in one go. */
export async function loadGuestImage(memory: GuestMemory, options: GuestImageOptions): Promise<VcpuRegisters> {
  return (await prepareGuestImage(options)).load(memory);
}

async function planner(kind: ImageKind, options: GuestImageOptions): Promise<(memoryBytes: number) => LoadPlan> {
  const { image, address, initrd, cmdline = '', dsdt } = options;
  const linuxOptions = (memoryBytes: number) => ({
    memoryBytes,
    commandLine: cmdline,
    initrd,
    acpi: dsdt !== undefined,
  });
  const linux = (kernel: ImageReader, header: SetupHeader | undefined) => (memoryBytes: number) =>
    planVmlinux(kernel, header, linuxOptions(memoryBytes));
  switch (kind) {
    case 'real':
      return () => planRealModeImage(image, address);
    case 'flat-32':
      return (memoryBytes) => planFlat32Image(image, memoryBytes, address);
    case 'multiboot': {
      const reader = new ImageReader('multiboot image', image);
      return (memoryBytes) => planMultiboot(reader, { memoryBytes, commandLine: cmdline, module: initrd });
    }
    case 'linux': {
      const reader = new ImageReader('bzImage', image);
      const header = readSetupHeader(reader);
      const vmlinux =
        options.vmlinux === undefined ? await unpackKernel(reader) : new ImageReader('vmlinux', options.vmlinux);
      if (vmlinux !== undefined) return linux(vmlinux, header);
      return (memoryBytes) => planBzImage(reader, linuxOptions(memoryBytes));
    }
    case 'elf':
      return linux(new ImageReader('ELF image', image), undefined);
    default:
      throw new UpcallError('OPTION_INVALID', `image kind ${String(kind)}`, {
        remedy: `Give one of ${IMAGE_KINDS.join(', ')}`,
      });
  }
}
