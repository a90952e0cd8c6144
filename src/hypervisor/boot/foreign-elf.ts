/**
 * ELF files that this machine cannot start: those for another processor, object files, core dumps,
 * shared libraries without an entry, and dynamically linked programs of an operating system (a
 * static one looks like a kernel). Facts: System V ABI, "ELF header" and "program header".
 *
 * Called by: foreign-image.ts, kernel-payload.ts, elf32.ts and guest-image.ts.
 */

import type { ImageReader } from './image-reader.js';
import type { ForeignImage } from './unsupported-image.js';

/** "\x7fELF", as a little-endian word. */
const MAGIC = 0x464c_457f;
const ELF_HEADER_BYTES = 52;
const CLASS_32 = 1;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const BIG_ENDIAN = 2;
const MACHINE_386 = 3;
const MACHINE_X86_64 = 62;
/** `e_machine` of those that people have kernels for. */
const MACHINES: Readonly<Record<number, string>> = {
  2: 'SPARC',
  8: 'MIPS',
  20: 'PowerPC',
  21: '64-bit PowerPC',
  22: 's390',
  40: 'ARM',
  43: '64-bit SPARC',
  50: 'Itanium',
  62: 'x86-64',
  183: '64-bit ARM',
  243: 'RISC-V',
  258: 'LoongArch',
};
/** `e_type`. */
const Type = { OBJECT: 1, SHARED: 3, CORE_DUMP: 4 } as const;
const PT_INTERP = 3;
const PROGRAM_HEADER_BYTES = 32;

/**
 * Undefined for an ELF that may run, and for a file that is not an ELF. `longMode`: whether the VM
 * has 64-bit processors. Then an ELF for x86-64 may run.
 */
export function foreignElf(image: ImageReader, longMode = false): ForeignImage | undefined {
  if (!image.has(0, ELF_HEADER_BYTES) || image.u32(0) !== MAGIC) return undefined;
  const elfClass = image.u8(4);
  const order = image.u8(5);
  const machine = order === BIG_ENDIAN ? (image.u8(18) << 8) | image.u8(19) : image.u16(18);
  const is64Bit = elfClass === CLASS_64 && order === LITTLE_ENDIAN && machine === MACHINE_X86_64;
  if (!(is64Bit && longMode) && (elfClass !== CLASS_32 || order !== LITTLE_ENDIAN || machine !== MACHINE_386)) {
    const bits = elfClass === CLASS_64 ? '64-bit' : '32-bit';
    return {
      what: `a ${bits} ELF for ${MACHINES[machine] ?? `machine ${machine}`}`,
      reason: longMode ? 'the VM has an x86 processor' : 'the VM has a 32-bit x86 processor',
      remedy: is64Bit
        ? 'Use --hypervisor kvm, build it for i386, or take the i386 kernel of its distribution'
        : 'Build it for i386, for example with gcc -m32, or take the i386 kernel of its distribution',
    };
  }
  switch (image.u16(16)) {
    case Type.OBJECT:
      return { what: 'an ELF object file', reason: 'it has no addresses yet', remedy: 'Link it: ld -m elf_i386 …' };
    case Type.CORE_DUMP:
      return { what: 'a core dump', reason: 'it is the memory of a process', remedy: 'Give a kernel' };
    case Type.SHARED:
      // A position-independent kernel is of this type too, and has an entry.
      if (image.u32(24) === 0 && (!is64Bit || image.u32(28) === 0))
        return { what: 'a shared library', reason: 'it has no entry', remedy: 'Give the program that uses it' };
      break;
  }
  return hasInterpreter(image, is64Bit)
    ? {
        what: 'a dynamically linked program',
        reason: 'there is no operating system in the VM',
        remedy: 'Put it into the RAM disk of a Linux guest (--initrd)',
      }
    : undefined;
}

/** Only types of program headers are read, whose place is the same for both classes. */
function hasInterpreter(image: ImageReader, is64Bit: boolean): boolean {
  if (is64Bit && (!image.has(0, 64) || image.u32(36) !== 0)) return false;
  const table = image.u32(is64Bit ? 32 : 28);
  const entryBytes = image.u16(is64Bit ? 54 : 42);
  const count = image.u16(is64Bit ? 56 : 44);
  if (entryBytes < PROGRAM_HEADER_BYTES) return false;
  for (let index = 0; index < count; index++) {
    const at = table + index * entryBytes;
    if (!image.has(at, 4)) return false;
    if (image.u32(at) === PT_INTERP) return true;
  }
  return false;
}
