import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GeneralProtection } from '../io-handler.js';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { ENTRY, FLAT, imm32, TestMachine } from './fixtures/test-machine.js';

/**
 * The #GP of a refused access where it changes the privilege level: the guest's kernel is a handler
 * and nothing else, and what traps is a loop at privilege level 3, or in virtual-8086 mode.
 */

const GDT = 0x4000;
const IDT = 0x5000;
const FAULTS = 0x6000;
/** Deviations from what the handler should find, ORed: error code, EIP, CS, EFLAGS, ESP, SS. */
const WRONG = 0x6004;
const FOUND = 6;
/** Rounds in which EAX was the same after the access as before it. */
const SAME_EAX = 0x6020;
const USER_STACK = 0x6e00;
const KERNEL_STACK = 0x7800;
const KERNEL = 0xa000;
const HANDLER = 0xa100;
const END = 0xa200;
const TASK = 0xb000;
const TASK_BYTES = 0x68;
/** Ports that the task's bitmap speaks of; one byte of ones ends it. */
const BITMAP_BYTES = 0xc0;
const INVALID_OPCODE = 6;
const GENERAL_PROTECTION = 13;

const MARK = 0x1122_3344;
const PORT = 0x500;
const EVERY = 7;
const ROUNDS = 5000;
/** Rounds of a loop until its code is surely translated, and many more. */
const HOT = 100_000;
const EFLAGS_VM = 1 << 17;
const CHECKED_FLAGS = EFLAGS_VM | 0x3200; // VM, IOPL, IF
const refusal = new GeneralProtection('refused');

interface Mode {
  readonly name: string;
  /** EFLAGS of the loop. */
  readonly flags: number;
  readonly cs: number;
  readonly ss: number;
  /** What iret takes from above SS in virtual-8086 mode. */
  readonly segments: readonly number[];
  /** Where the loop begins, as an offset in CS. */
  readonly ip: number;
  /** Prefix of instructions with 32-bit operands. */
  readonly wide: readonly number[];
  /** ModRM with displacement of an address in RAM. */
  readonly ram: (address: number) => number[];
  /** Prefix of the segment, and ModRM with displacement, of a device. */
  readonly segment: readonly number[];
  readonly device: readonly number[];
}

const user = (iopl: number): Mode => ({
  name: `at privilege level 3 with IOPL ${iopl}`,
  flags: 2 | (iopl << 12),
  cs: 0x1b,
  ss: 0x23,
  segments: [],
  ip: ENTRY,
  wide: [],
  ram: (address) => [0x05, ...imm32(address)],
  segment: [],
  device: [0x05, 0, 0, 0, 0xd0],
});

const virtual8086 = (iopl: number): Mode => ({
  name: `in virtual-8086 mode with IOPL ${iopl}`,
  flags: 2 | EFLAGS_VM | (iopl << 12),
  cs: ENTRY >> 4,
  ss: 0,
  // GS, FS, DS, and ES, which shows a device.
  segments: [0, 0, 0, 0xb000],
  ip: 0,
  wide: [0x66],
  ram: (address) => [0x06, address & 0xff, address >>> 8],
  segment: [0x26],
  device: [0x06, 0, 0],
});

/**
 * Counts, compares what it was entered with, and skips an instruction of `length` bytes. Only SS is
 * sure to be flat.
 */
function handler(mode: Mode, ip: number, length: number): number[] {
  const expected = [0, ip, mode.cs, mode.flags & CHECKED_FLAGS, USER_STACK, mode.ss];
  // prettier-ignore
  return [
    0x50,                                                 // push eax
    ...expected.flatMap((value, i) => [
      0x8b, 0x44, 0x24, 4 + 4 * i,                        // mov eax, [esp + …], the first with no prefix left over
      ...(i === 3 ? [0x25, ...imm32(CHECKED_FLAGS)] : []), // and eax, CHECKED_FLAGS
      0x35, ...imm32(value),                              // xor eax, value
      0x36, 0x09, 0x05, ...imm32(WRONG + 4 * i),          // or ss:[WRONG + …], eax
    ]),
    0x36, 0xff, 0x05, ...imm32(FAULTS),                   // inc dword ss:[FAULTS]
    0x58,                                                 // pop eax
    0x83, 0xc4, 0x04,                                     // add esp, 4
    0x83, 0x04, 0x24, length,                             // add dword [esp], length
    0xcf,                                                 // iret
  ];
}

/** At privilege level 0: goes to the loop. */
function kernel(mode: Mode): number[] {
  const pushed = [...mode.segments, mode.ss, USER_STACK, mode.flags, mode.cs, mode.ip];
  // mov eax, 0x23; mov ds, eax; mov es, eax
  return [0xb8, ...imm32(0x23), 0x8e, 0xd8, 0x8e, 0xc0, ...pushed.flatMap((value) => [0x68, ...imm32(value)]), 0xcf];
}

/**
 * As the loop of main-loop.test.ts: the instruction once in each round, EAX = MARK and DX = PORT;
 * #UD at its end.
 */
function loop(mode: Mode, rounds: number, instruction: readonly number[]): { readonly code: number[]; ip: number } {
  const { wide } = mode;
  // prettier-ignore
  const before = [
    ...wide, 0x31, 0xdb, ...wide, 0x31, 0xff,          // xor ebx, ebx; xor edi, edi
    ...wide, 0xba, ...imm32(PORT),                     // mov edx, PORT
    ...wide, 0xb9, ...imm32(rounds),                   // mov ecx, rounds
  ];
  const head = [...wide, 0xb8, ...imm32(MARK), ...wide, 0x43]; // mov eax, MARK; inc ebx
  const count = [...wide, 0xff, ...mode.ram(SAME_EAX)]; // inc dword [SAME_EAX]
  // prettier-ignore
  const round = [
    ...head,
    ...instruction,
    ...wide, 0x83, 0xc7, 0x05,                         // add edi, 5
    ...wide, 0x3d, ...imm32(MARK),                     // cmp eax, MARK
    0x75, count.length, ...count,                      // jne over it
    ...wide, 0x49,                                     // dec ecx
  ];
  const isWide = wide.length === 0;
  const back = imm32(-(round.length + (isWide ? 6 : 4)));
  const jump = [0x0f, 0x85, ...(isWide ? back : back.slice(0, 2))]; // jnz round
  return { code: [...before, ...round, ...jump, 0x0f, 0x0b], ip: mode.ip + before.length + head.length };
}

function prepare(
  mode: Mode,
  machine: TestMachine,
  code: readonly number[],
  gate: readonly number[],
  bitmap: Uint8Array = new Uint8Array(BITMAP_BYTES),
): void {
  const { memory } = machine;
  const flat = [0, 0, 0xffff, 0x00cf_9a00, 0xffff, 0x00cf_9200, 0xffff, 0x00cf_fa00, 0xffff, 0x00cf_f200];
  flat.forEach((word, index) => memory.writeU32(GDT + 4 * index, word));
  for (const [vector, address] of [
    [INVALID_OPCODE, END],
    [GENERAL_PROTECTION, HANDLER],
  ] as const) {
    memory.writeU32(IDT + 8 * vector, (8 << 16) | address);
    memory.writeU32(IDT + 8 * vector + 4, 0x8e00);
  }
  memory.writeU32(TASK + 4, KERNEL_STACK);
  memory.writeU32(TASK + 8, 0x10);
  memory.writeU32(TASK + 0x64, TASK_BYTES << 16);
  memory.write(TASK + TASK_BYTES, bitmap);
  memory.write(TASK + TASK_BYTES + BITMAP_BYTES, Uint8Array.of(0xff));
  memory.write(ENTRY, Uint8Array.from(code));
  memory.write(KERNEL, Uint8Array.from(kernel(mode)));
  memory.write(HANDLER, Uint8Array.from(gate));
  memory.write(END, Uint8Array.of(0xf4));
  machine.core.start({
    ...FLAT,
    ...{
      ip: KERNEL,
      esp: KERNEL_STACK,
      gdt: { base: GDT, limit: 4 * flat.length - 1 },
      idt: { base: IDT, limit: 0x7f },
    },
    tr: { selector: 0x28, base: TASK, limit: TASK_BYTES + BITMAP_BYTES },
  });
}

/** Instructions, and whether one that was carried out has changed EAX. */
const instructions = ({ wide, segment, device }: Mode): readonly (readonly [string, readonly number[], boolean])[] => {
  const narrow = wide.length === 0 ? [0x66] : [];
  return [
    ['IN of 8 bits', [0xec], true],
    ['IN of 16 bits', [...narrow, 0xed], true],
    ['IN of 32 bits', [...wide, 0xed], true],
    ['OUT of 8 bits', [0xee], false],
    ['OUT of 32 bits', [...wide, 0xef], false],
    ['an 8-bit load', [...segment, 0x8a, ...device], true],
    ['a 32-bit load', [...segment, ...wide, 0x8b, ...device], true],
    ['a 16-bit store', [...segment, ...narrow, 0x89, ...device], false],
    ['a 32-bit store', [...segment, ...wide, 0x89, ...device], false],
    ['an exchange', [...segment, ...wide, 0x87, ...device], true],
    ['an addition', [...segment, ...wide, 0x01, ...device], false],
  ];
};

for (const mode of [user(0), user(3), virtual8086(0), virtual8086(3)])
  for (const translate of [true, false])
    describe(`an access ${mode.name} that is refused${translate ? ' in translated code' : ''}`, () => {
      const rounds = translate ? HOT : ROUNDS;

      for (const [name, instruction, changesEax] of instructions(mode))
        test(`by ${name} is a #GP(0) for the kernel, on the task's stack`, async () => {
          let refused = 0;
          let accesses = 0;
          const machine = await TestMachine.create({
            translate,
            onAccess: () => {
              machine.accesses.length = 0;
              if (++accesses % EVERY !== 0) return;
              refused++;
              throw refusal;
            },
          });
          const { code, ip } = loop(mode, rounds, instruction);
          prepare(mode, machine, code, handler(mode, ip, instruction.length));
          assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
          const { memory, core } = machine;
          assert.ok(refused > 0 && accesses >= rounds);
          assert.equal(memory.readU32(FAULTS), refused);
          const wrong = Array.from({ length: FOUND }, (_, i) => memory.readU32(WRONG + 4 * i));
          assert.deepEqual(wrong, [0, 0, 0, 0, 0, 0]);
          assert.equal(memory.readU32(SAME_EAX), changesEax ? refused : rounds);
          assert.equal(core.translationCount > 0, translate);
          const { ECX, EDX, EBX, EDI, ESP } = GeneralRegister;
          assert.deepEqual(
            [ECX, EDX, EBX, EDI, ESP].map((register) => core.generalRegister(register)),
            [0, PORT, rounds, 5 * rounds, KERNEL_STACK - 20 - 4 * mode.segments.length],
          );
        });
    });

for (const mode of [user(0), virtual8086(0), virtual8086(3)])
  test(`a port that the task's bitmap forbids ${mode.name} is a #GP(0) of the core, and no access`, async () => {
    const machine = await TestMachine.create();
    const { code, ip } = loop(mode, 3, [0xec]);
    const bitmap = new Uint8Array(BITMAP_BYTES);
    bitmap[PORT >> 3] = 1;
    prepare(mode, machine, code, handler(mode, ip, 1), bitmap);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.deepEqual(machine.accesses, []);
    assert.equal(machine.memory.readU32(FAULTS), 3);
  });
