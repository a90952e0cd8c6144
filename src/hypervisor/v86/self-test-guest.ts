/**
 * The guest of the core's self-test: flat 32-bit code for address 0x1000, its interrupt and
 * descriptor tables.
 *
 * Called by: self-test.ts, which knows the accesses that it makes.
 */

import type { GuestMemory } from '../guest-memory.js';
import type { VcpuRegisters } from '../vcpu-registers.js';

export const TEST_PORT = 0x7700;
/** Where the eight general registers are stored first, in the order of their numbers. */
export const REGISTERS_ADDRESS = 0xf000_0000;
export const TEST_ADDRESS = 0xf000_0020;
export const LOOP_ROUNDS = 300;
/** Read once. The load gets a #GP. */
export const REFUSED_ADDRESS = 0xf000_0034;
export const PIC_LINE = 4;
export const IO_APIC_LINE = 20;
/** Written to the test port by the guest's handlers. */
export const PIC_MARK = 1;
export const IO_APIC_MARK = 2;
export const REFUSED_MARK = 3;

// Addresses of the guest's parts.
const ENTRY = 0x1000;
const GDT = 0x800;
const IDT = 0x2000;
/** Line 4 of an 8259 whose vectors start at 0x20. */
const PIC_VECTOR = 0x24;
const IO_APIC_VECTOR = 0x30;
const GENERAL_PROTECTION = 13;
const GATES = 0x31;

/** One line of bytes for each instruction or pair of them. */
// prettier-ignore
const CODE: readonly number[] = [
  0xa3, 0x00, 0x00, 0x00, 0xf0,             // mov [0xf0000000], eax
  0x89, 0x0d, 0x04, 0x00, 0x00, 0xf0,       // mov [0xf0000004], ecx
  0x89, 0x15, 0x08, 0x00, 0x00, 0xf0,       // mov [0xf0000008], edx
  0x89, 0x1d, 0x0c, 0x00, 0x00, 0xf0,       // mov [0xf000000c], ebx
  0x89, 0x25, 0x10, 0x00, 0x00, 0xf0,       // mov [0xf0000010], esp
  0x89, 0x2d, 0x14, 0x00, 0x00, 0xf0,       // mov [0xf0000014], ebp
  0x89, 0x35, 0x18, 0x00, 0x00, 0xf0,       // mov [0xf0000018], esi
  0x89, 0x3d, 0x1c, 0x00, 0x00, 0xf0,       // mov [0xf000001c], edi
  0x66, 0xba, 0x00, 0x77,                   // mov dx, 0x7700
  0xec, 0x66, 0xed, 0xed,                   // in al, dx; in ax, dx; in eax, dx
  0xee, 0x66, 0xef, 0xef,                   // out dx, al; out dx, ax; out dx, eax
  0xa0, 0x20, 0x00, 0x00, 0xf0,             // mov al, [0xf0000020]
  0x66, 0xa1, 0x20, 0x00, 0x00, 0xf0,       // mov ax, [0xf0000020]
  0xa1, 0x20, 0x00, 0x00, 0xf0,             // mov eax, [0xf0000020]
  0xa2, 0x20, 0x00, 0x00, 0xf0,             // mov [0xf0000020], al
  0x66, 0xa3, 0x20, 0x00, 0x00, 0xf0,       // mov [0xf0000020], ax
  0xa3, 0x20, 0x00, 0x00, 0xf0,             // mov [0xf0000020], eax
  0x0f, 0x6e, 0xc0,                         // movd mm0, eax
  0x0f, 0x7f, 0x05, 0x20, 0x00, 0x00, 0xf0, // movq [0xf0000020], mm0
  0xa1, 0x30, 0x00, 0xe0, 0xfe,             // mov eax, [0xfee00030], the local APIC's version
  0xef,                                     // out dx, eax
  0xbf, 0x2c, 0x01, 0x00, 0x00,             // mov edi, 300
  0xa1, 0x30, 0x00, 0x00, 0xf0,             // round: mov eax, [0xf0000030]
  0xb9, 0x64, 0x00, 0x00, 0x00,             // mov ecx, 100
  0x49, 0x75, 0xfd,                         // dec ecx; jnz -3
  0x4f, 0x75, 0xf0,                         // dec edi; jnz round
  0x66, 0xa1, 0x34, 0x00, 0x00, 0xf0,       // mov ax, [0xf0000034]
  0xb0, 0x11, 0xe6, 0x20,                   // mov al, 0x11; out 0x20, al: initialise the first 8259
  0xb0, 0x20, 0xe6, 0x21,                   // its vectors from 0x20
  0xb0, 0x04, 0xe6, 0x21,                   // its cascade
  0xb0, 0x01, 0xe6, 0x21,                   // 8086 mode
  0xb0, 0xef, 0xe6, 0x21,                   // all masked but line 4
  0xc7, 0x05, 0xf0, 0x00, 0xe0, 0xfe, 0xff, 0x01, 0x00, 0x00, // mov [0xfee000f0], 0x1ff: enable the local APIC
  0xc7, 0x05, 0x50, 0x03, 0xe0, 0xfe, 0x00, 0x07, 0x00, 0x00, // mov [0xfee00350], 0x700: the 8259s at LINT0
  0xc7, 0x05, 0x00, 0x00, 0xc0, 0xfe, 0x38, 0x00, 0x00, 0x00, // mov [0xfec00000], 0x10 + 2 * 20
  0xc7, 0x05, 0x10, 0x00, 0xc0, 0xfe, 0x30, 0x00, 0x00, 0x00, // mov [0xfec00010], 0x30: edge, vector 0x30
  0xfb, 0xf4, 0xf4, 0xfa, 0xf4,             // sti; hlt; hlt; cli; hlt
];
// prettier-ignore
const PIC_HANDLER: readonly number[] = [
  0xb0, 0x20, 0xe6, 0x20, // mov al, 0x20; out 0x20, al: end of interrupt
  0xb0, 0x01, 0xee, 0xcf, // mov al, 1; out dx, al; iret
];
// prettier-ignore
const IO_APIC_HANDLER: readonly number[] = [
  0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0x00, 0x00, 0x00, 0x00, // mov [0xfee000b0], 0: end of interrupt
  0xb0, 0x02, 0xee, 0xcf, // mov al, 2; out dx, al; iret
];
// prettier-ignore
const REFUSED_HANDLER: readonly number[] = [
  0x58, 0x0c, 0x03, 0xee, // pop eax: the error code; or al, 3; out dx, al
  0x83, 0x04, 0x24, 0x06, // add dword [esp], 6: behind the instruction
  0xcf,                   // iret
];
/** Null, flat 32-bit code, flat data. */
const DESCRIPTORS: readonly number[] = [0, 0, 0x0000_ffff, 0x00cf_9a00, 0x0000_ffff, 0x00cf_9200];

const PIC_HANDLER_ADDRESS = 0x1800;
const IO_APIC_HANDLER_ADDRESS = 0x1900;
const REFUSED_HANDLER_ADDRESS = 0x1980;
/**
 * `lidt [LIDT + 16]`, then a jump to the code proper. The six bytes of the operand are at LIDT +
 * 16.
 */
const LIDT = 0x1a00;

export const TEST_REGISTERS: VcpuRegisters = {
  mode: 'flat-32',
  ip: LIDT,
  eax: 0x1111_1111,
  ecx: 0x2222_2222,
  edx: 0x3333_3333,
  ebx: 0x4444_4444,
  esp: 0x7000,
  ebp: 0x5555_5555,
  esi: 0x6666_6666,
  edi: 0x7777_7777,
  cs: { selector: 8 },
  ds: { selector: 16 },
  gdt: { base: GDT, limit: 4 * DESCRIPTORS.length - 1 },
};

export function loadTestGuest(memory: GuestMemory): void {
  memory.write(ENTRY, Uint8Array.from(CODE));
  memory.write(PIC_HANDLER_ADDRESS, Uint8Array.from(PIC_HANDLER));
  memory.write(IO_APIC_HANDLER_ADDRESS, Uint8Array.from(IO_APIC_HANDLER));
  memory.write(REFUSED_HANDLER_ADDRESS, Uint8Array.from(REFUSED_HANDLER));
  DESCRIPTORS.forEach((word, index) => memory.writeU32(GDT + 4 * index, word));
  for (const [vector, handler] of [
    [PIC_VECTOR, PIC_HANDLER_ADDRESS],
    [IO_APIC_VECTOR, IO_APIC_HANDLER_ADDRESS],
    [GENERAL_PROTECTION, REFUSED_HANDLER_ADDRESS],
  ] as const) {
    memory.writeU32(IDT + 8 * vector, (8 << 16) | handler);
    // A present 32-bit interrupt gate.
    memory.writeU32(IDT + 8 * vector + 4, 0x8e00);
  }
  // lidt [0x1a10]
  memory.write(LIDT, Uint8Array.of(0x0f, 0x01, 0x1d, 0x10, 0x1a, 0x00, 0x00));
  // jmp ENTRY
  memory.writeU8(LIDT + 7, 0xe9);
  memory.writeU32(LIDT + 8, (ENTRY - (LIDT + 12)) >>> 0);
  memory.writeU16(LIDT + 16, 8 * GATES - 1);
  memory.writeU32(LIDT + 18, IDT);
}
