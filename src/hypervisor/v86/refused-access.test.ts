import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GeneralProtection } from '../io-handler.js';
import { HALTED_FOREVER, TripleFault } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { ENTRY, imm32, LOAD_IDT, TestMachine } from './fixtures/test-machine.js';

const GENERAL_PROTECTION = 13;
const HANDLER = 0x9000;
/**
 * What the guest's handler finds: how many faults, all error codes and all deviations from the
 * expected EIP, ORed.
 */
const FAULTS = 0x6000;
const ERROR_CODES = 0x6004;
const WRONG_ADDRESSES = 0x6008;
/** Rounds in which EAX was the same after the access as before it. */
const SAME_EAX = 0x600c;
const MARK = 0x1122_3344;
const EVERY = 7;
/** Rounds of a loop until its code is surely translated, and many more. */
const HOT = 100_000;
const refusal = new GeneralProtection('refused');

/**
 * Counts, checks the error code and the pushed EIP, and skips an instruction of `length` bytes;
 * changes no register.
 */
// prettier-ignore
function handler(eip: number, length: number): number[] {
  return [
    0xff, 0x05, ...imm32(FAULTS),          // inc dword [FAULTS]
    0x50,                                  // push eax
    0x8b, 0x44, 0x24, 0x04,                // mov eax, [esp + 4]
    0x09, 0x05, ...imm32(ERROR_CODES),     // or [ERROR_CODES], eax
    0x8b, 0x44, 0x24, 0x08,                // mov eax, [esp + 8]
    0x35, ...imm32(eip),                   // xor eax, eip
    0x09, 0x05, ...imm32(WRONG_ADDRESSES), // or [WRONG_ADDRESSES], eax
    0x58,                                  // pop eax
    0x83, 0xc4, 0x04,                      // add esp, 4
    0x83, 0x04, 0x24, length,              // add dword [esp], length
    0xcf,                                  // iret
  ];
}

/**
 * Each round has the instruction once, with EAX = MARK and DX = 0x500, and changes EBX, EBP, ESI
 * and EDI around it.
 */
// prettier-ignore
function loop(rounds: number, instruction: readonly number[]): { readonly code: number[]; readonly eip: number } {
  const before = [
    ...LOAD_IDT,
    0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x02, 0x00, 0x00, 0x0f, 0x22, 0xe0, // mov eax, cr4; or eax, OSFXSR; mov cr4, eax
    0x31, 0xdb, 0x31, 0xed, 0x31, 0xf6, 0x31, 0xff,                   // xor ebx, ebx; and EBP, ESI, EDI
    0xba, ...imm32(0x500),                                            // mov edx, 0x500
    0xb9, ...imm32(rounds),                                           // mov ecx, rounds
  ];
  const round = [
    0xb8, ...imm32(MARK),                                             // mov eax, MARK
    0x43, 0x83, 0xc6, 0x03,                                           // inc ebx; add esi, 3
    ...instruction,
    0x45, 0x83, 0xc7, 0x05,                                           // inc ebp; add edi, 5
    0x3d, ...imm32(MARK), 0x75, 0x06,                                 // cmp eax, MARK; jne +6
    0xff, 0x05, ...imm32(SAME_EAX),                                   // inc dword [SAME_EAX]
    0x49, 0x0f, 0x85,                                                 // dec ecx; jnz round
  ];
  const code = [...before, ...round, ...imm32(-(round.length + 4)), 0xf4];
  return { code, eip: ENTRY + before.length + 9 };
}

const DEVICE = [0, 0, 0, 0xd0];
/** Instructions, and whether one that was carried out has changed EAX. */
// prettier-ignore
const INSTRUCTIONS: readonly (readonly [string, readonly number[], boolean])[] = [
  ['IN of 8 bits', [0xec], true],
  ['IN of 16 bits', [0x66, 0xed], true],
  ['IN of 32 bits', [0xed], true],
  ['IN with a prefix for 16-bit addresses', [0x67, 0xed], true],
  ['OUT of 8 bits', [0xee], false],
  ['OUT of 16 bits', [0x66, 0xef], false],
  ['OUT of 32 bits', [0xef], false],
  ['an 8-bit load', [0xa0, ...DEVICE], true],
  ['a 16-bit load', [0x66, 0xa1, ...DEVICE], true],
  ['a 32-bit load', [0xa1, ...DEVICE], true],
  ['a 64-bit load', [0x0f, 0x6f, 0x05, ...DEVICE], false],
  ['a 128-bit load', [0x0f, 0x28, 0x05, ...DEVICE], false],
  ['an 8-bit store', [0xa2, ...DEVICE], false],
  ['a 16-bit store', [0x66, 0xa3, ...DEVICE], false],
  ['a 32-bit store', [0xa3, ...DEVICE], false],
  ['a 64-bit store', [0x0f, 0x7f, 0x05, ...DEVICE], false],
  ['a 128-bit store', [0x0f, 0x29, 0x05, ...DEVICE], false],
  ['a comparison', [0x39, 0x05, ...DEVICE], false],
  ['an exchange', [0x87, 0x05, ...DEVICE], true],
  ['an 8-bit increment', [0xfe, 0x05, ...DEVICE], false],
  ['a 16-bit increment', [0x66, 0xff, 0x05, ...DEVICE], false],
  ['a 32-bit increment', [0xff, 0x05, ...DEVICE], false],
  ['a bit test that sets', [0x0f, 0xba, 0x2d, ...DEVICE, 3], false],
  ['a compare and exchange', [0x0f, 0xb1, 0x15, ...DEVICE], true],
  ['a shift', [0xc1, 0x25, ...DEVICE, 2], false],
  ['an integer load of the x87', [0xdb, 0x05, ...DEVICE], false],
];

interface Outcome {
  readonly machine: TestMachine;
  readonly refused: number;
  readonly accesses: number;
}

/**
 * Runs a loop of the instruction in which `refuses` decides by an access and its number whether it
 * gets a #GP.
 */
async function run(
  rounds: number,
  instruction: readonly number[],
  translate: boolean,
  refuses: (access: string, count: number) => boolean,
): Promise<Outcome> {
  let refused = 0;
  let accesses = 0;
  const machine = await TestMachine.create({
    translate,
    onAccess: (access) => {
      machine.accesses.length = 0;
      if (!refuses(access, ++accesses)) return;
      refused++;
      throw refusal;
    },
  });
  const { code, eip } = loop(rounds, instruction);
  machine.setGate(GENERAL_PROTECTION, HANDLER, handler(eip, instruction.length));
  machine.load(code);
  assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
  assert.equal(machine.memory.readU32(ERROR_CODES), 0);
  assert.equal(machine.memory.readU32(WRONG_ADDRESSES), 0);
  assert.equal(machine.core.translationCount > 0, translate);
  const { ECX, EDX, EBX, ESP, EBP, ESI, EDI } = GeneralRegister;
  assert.deepEqual(
    [ECX, EDX, EBX, ESP, EBP, ESI, EDI].map((register) => machine.core.generalRegister(register)),
    [0, 0x500, rounds, 0x7000, rounds, 3 * rounds, 5 * rounds],
  );
  return { machine, refused, accesses };
}

for (const translate of [true, false])
  describe(translate ? 'an access that is refused in translated code' : 'an access that is refused', () => {
    const rounds = translate ? HOT : 5000;

    for (const [name, instruction, changesEax] of INSTRUCTIONS)
      test(`by ${name} is a #GP(0) at its instruction and changes no register`, async () => {
        const outcome = await run(rounds, instruction, translate, (_, count) => count % EVERY === 0);
        const { machine, refused, accesses } = outcome;
        assert.ok(accesses >= rounds);
        assert.equal(refused, Math.floor(accesses / EVERY));
        assert.equal(machine.memory.readU32(FAULTS), refused);
        assert.equal(machine.memory.readU32(SAME_EAX), changesEax ? refused : rounds);
      });
  });

/** Runs flat code whose every access is refused, with a gate for #GP or without. */
async function refuseAll(code: readonly number[], gate?: readonly number[]): Promise<TestMachine> {
  const machine = await TestMachine.create({
    onAccess: () => {
      throw refusal;
    },
  });
  if (gate !== undefined) machine.setGate(GENERAL_PROTECTION, HANDLER, gate);
  machine.load([...LOAD_IDT, ...code]);
  return machine;
}

describe('a refused access of a guest', () => {
  test('in real mode is a #GP, too: vector 13 of its table, without an error code', async () => {
    const machine = await TestMachine.create({
      onAccess: () => {
        throw refusal;
      },
    });
    machine.memory.writeU32(4 * GENERAL_PROTECTION, 0x0800_0100); // 0800:0100
    // pop bx; inc bx; push bx; iret
    machine.memory.write(0x8100, Uint8Array.of(0x5b, 0x43, 0x53, 0xcf));
    // mov al, 0x5a; mov dx, 0x500; in al, dx; inc cx; hlt
    machine.memory.write(0x1_2340, Uint8Array.of(0xb0, 0x5a, 0xba, 0x00, 0x05, 0xec, 0x41, 0xf4));
    machine.core.start({ mode: 'real', ip: 0x340, esp: 0x7000, cs: { selector: 0x1200 }, ds: { selector: 0 } });
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    const { EAX, EBX, ECX, ESP } = GeneralRegister;
    const registers = [EAX, EBX, ECX, ESP].map((register) => machine.core.generalRegister(register));
    assert.deepEqual(registers, [0x5a, 0x346, 1, 0x7000]);
  });

  test('without a gate for #GP is a triple fault at the instruction, and the core starts again', async () => {
    const machine = await refuseAll([0xa1, ...DEVICE]);
    for (let start = 0; start < 3; start++) {
      assert.throws(
        () => machine.runUntilHalted(),
        (error) => error instanceof TripleFault && error.message.includes('0x00008007'),
      );
      machine.load([...LOAD_IDT, 0xa1, ...DEVICE]);
    }
  });

  test('whose stack is in device memory is a triple fault: nothing can be delivered there', async () => {
    const machine = await refuseAll([0xbc, 0, 1, 0, 0xd0, 0x50], [0xf4]); // mov esp, 0xd0000100; push eax
    assert.throws(() => machine.runUntilHalted(), TripleFault);
  });

  test('repeated by its handler is made again: a refusal need not last', async () => {
    let refusals = 3;
    const machine = await TestMachine.create({
      value: 0x77,
      onAccess: () => {
        if (refusals-- > 0) throw refusal;
      },
    });
    machine.setGate(GENERAL_PROTECTION, HANDLER, [0x83, 0xc4, 0x04, 0xcf]); // add esp, 4; iret
    machine.load([...LOAD_IDT, 0xa1, ...DEVICE, 0xf4]); // mov eax, [0xd0000000]; hlt
    machine.runUntilHalted();
    assert.deepEqual(
      machine.accesses,
      Array.from({ length: 4 }, () => 'load d0000000/4'),
    );
    assert.equal(machine.core.generalRegister(GeneralRegister.EAX), 0x77);
  });

  test('in the delivery of an exception is #GP instead of it, from the stack as it was', async () => {
    let refusals = 1;
    const machine = await TestMachine.create({
      onAccess: (access) => {
        if (access.startsWith('store d0000ff8') && refusals-- > 0) throw refusal;
      },
    });
    machine.setGate(GENERAL_PROTECTION, HANDLER, [0xf4]);
    machine.load([...LOAD_IDT, 0xbc, 0x00, 0x10, 0x00, 0xd0, 0x0f, 0x0b]); // mov esp, 0xd0001000; ud2
    machine.setGate(6, HANDLER + 16, [0xf4]);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.core.generalRegister(GeneralRegister.ESP), 0xd000_0ff0);
    assert.equal(machine.accesses.at(-1), 'store d0000ff0/4 1');
  });
});
