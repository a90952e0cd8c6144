/**
 * KernelModule: a Linux module's file and what its section .modinfo says of it: strings
 * "tag=value", each ended by a zero. Source: System V ABI, chapter "Sections".
 *
 * Called by: readKernelPackage and PackageModules; ModuleChoice for files of the operator.
 */

import { isElf32ForI386 } from '../../hypervisor/boot/elf32.js';
import { isElf64ForX86 } from '../../hypervisor/boot/elf64.js';
import { ImageReader } from '../../hypervisor/boot/image-reader.js';

export interface KernelModule {
  /** The name in /proc/modules: underscores, no ".ko". */
  readonly name: string;
  /** Names of the modules that must be loaded before, in this order. */
  readonly depends: readonly string[];
  /** Kernel release and its options, e.g. "6.1.0-50-686 SMP preempt mod_unload modversions". */
  readonly vermagic: string;
  readonly bytes: Uint8Array;
}

/** Offsets of what `section` reads, in the header of the file and in that of a section. */
interface Layout {
  readonly table: number;
  readonly entrySize: number;
  readonly count: number;
  readonly names: number;
  readonly headerBytes: number;
  readonly offset: number;
  readonly length: number;
}

const ELF32: Layout = { table: 32, entrySize: 46, count: 48, names: 50, headerBytes: 40, offset: 16, length: 20 };
/** Values of 64 bits, whose low half is enough for a file in memory. */
const ELF64: Layout = { table: 40, entrySize: 58, count: 60, names: 62, headerBytes: 64, offset: 24, length: 32 };
/** Real modules have about forty. With `-ffunction-sections` each function has one. */
const MAX_SECTIONS = 0xff00;
/** Limit of .modinfo: real ones have a few kilobytes. */
const MAX_INFORMATION_BYTES = 1 << 20;

/** "virtio-rng" and "virtio_rng" are one name: file names have either, the kernel the second. */
export function moduleName(name: string): string {
  return name.replaceAll('-', '_');
}

/** Throws IMAGE_MALFORMED, with `file` in the message, if it is no module for i386 or x86-64. */
export function readKernelModule(file: string, bytes: Uint8Array): KernelModule {
  const image = new ImageReader(file, bytes);
  if (!isElf32ForI386(image) && !isElf64ForX86(image))
    throw image.malformed('not a kernel module for i386 or x86-64 (an ELF file)');
  const information = moduleInformation(image);
  const name = information.get('name');
  const vermagic = information.get('vermagic');
  if (name === undefined || vermagic === undefined)
    throw image.malformed('not a kernel module: .modinfo has no name or no vermagic');
  const depends = (information.get('depends') ?? '').split(',').filter((dependency) => dependency !== '');
  return { name: moduleName(name), depends: depends.map(moduleName), vermagic: vermagic.trim(), bytes };
}

/** Ends a signed module (include/linux/module_signature.h). */
const SIGNED = '~Module signature appended~\n';
/** The descriptor before it ends with the length of the signature before that, big-endian. */
const SIGNATURE_DESCRIPTOR_BYTES = 12;

/**
 * The module without the signature that its distribution appended. Debian's kernel loads it all the
 * same and marks itself as tainted. To verify one takes the emulated processor about a second.
 */
export function withoutSignature(bytes: Uint8Array): Uint8Array {
  const descriptorEnd = bytes.length - SIGNED.length;
  const signatureEnd = descriptorEnd - SIGNATURE_DESCRIPTOR_BYTES;
  if (signatureEnd < 0 || latin1(bytes.subarray(descriptorEnd)) !== SIGNED) return bytes;
  const length = Buffer.from(bytes.subarray(descriptorEnd - 4, descriptorEnd)).readUInt32BE(0);
  return length > signatureEnd ? bytes : bytes.subarray(0, signatureEnd - length);
}

/** The first value of each tag in the section .modinfo. */
function moduleInformation(image: ImageReader): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const text of latin1(section(image, '.modinfo')).split('\0')) {
    const equals = text.indexOf('=');
    if (equals > 0 && !values.has(text.slice(0, equals))) values.set(text.slice(0, equals), text.slice(equals + 1));
  }
  return values;
}

/** The content of a section. */
function section(image: ImageReader, name: string): Uint8Array {
  const layout = isElf64ForX86(image) ? ELF64 : ELF32;
  const table = image.u32(layout.table);
  const entrySize = image.u16(layout.entrySize);
  const count = image.u16(layout.count);
  if (entrySize < layout.headerBytes || count > MAX_SECTIONS)
    throw image.malformed(`${count} section headers of ${entrySize} bytes`);
  // The table ends the file: without all of it, the file is cut off.
  image.slice(table, count * entrySize);
  const header = (index: number): number => table + index * entrySize;
  const names = image.u32(header(image.u16(layout.names)) + layout.offset);
  const wanted = `${name}\0`;
  for (let index = 0; index < count; index++) {
    const at = names + image.u32(header(index));
    if (!image.has(at, wanted.length) || latin1(image.slice(at, wanted.length)) !== wanted) continue;
    const length = image.u32(header(index) + layout.length);
    if (length > MAX_INFORMATION_BYTES) throw image.malformed(`${name} has ${length} bytes`);
    return image.slice(image.u32(header(index) + layout.offset), length);
  }
  throw image.malformed(`not a kernel module: it has no section ${name}`);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
