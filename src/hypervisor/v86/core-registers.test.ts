import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { GeneralRegister } from './core-layout.js';
import { FLAT, imm32, TestMachine } from './fixtures/test-machine.js';

const CODE_AT = 0x3_0000;
const MARK = 0x5aa5_c33c;

interface Halted {
  readonly machine: TestMachine;
  readonly register: (name: keyof typeof GeneralRegister) => number;
}

/** Puts code at CODE_AT, starts in `registers`, and runs until the guest halts. */
async function run(
  registers: Partial<VcpuRegisters>,
  code: readonly number[],
  words: Readonly<Record<number, number>> = {},
): Promise<Halted> {
  const machine = await TestMachine.create({ memoryBytes: 8 << 20 });
  machine.memory.write(CODE_AT, Uint8Array.from(code));
  for (const [address, value] of Object.entries(words)) machine.memory.writeU32(Number(address), value);
  machine.core.start({ ...FLAT, ip: CODE_AT, ...registers });
  assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
  return { machine, register: (name) => machine.core.generalRegister(GeneralRegister[name]) };
}

/** mov eax, [address]; mov ebx, [0xd0000004], a device; hlt */
function read(address: number): number[] {
  return [0xa1, ...imm32(address), 0x8b, 0x1d, ...imm32(0xd000_0004), 0xf4];
}

describe('a guest starts with paging', () => {
  const PRESENT = 3;
  const LARGE = 0x83;

  for (const [what, control, code, words] of [
    [
      'of 4 KiB',
      { cr0: 0x8000_0011, cr3: 0x1000 },
      0xc000_0000,
      {
        ...{ [0x1000 + 4 * 0x300]: 0x2000 | PRESENT, [0x1000 + 4 * 0x340]: 0x3000 | PRESENT },
        ...{ 0x2000: CODE_AT | PRESENT, 0x3000: 0xd000_0000 | PRESENT },
      },
    ],
    [
      'of 4 MiB',
      { cr0: 0x8000_0011, cr3: 0x1000, cr4: 0x10 },
      0xc000_0000 + CODE_AT,
      { [0x1000 + 4 * 0x300]: LARGE, [0x1000 + 4 * 0x340]: (0xd000_0000 | LARGE) >>> 0 },
    ],
    [
      'of 2 MiB, with PAE',
      { cr0: 0x8000_0011, cr3: 0x1020, cr4: 0x20 | 0x10 },
      0xc000_0000 + CODE_AT,
      { 0x1038: 0x2001, 0x2000: LARGE, [0x2000 + 8 * 0x80]: (0xd000_0000 | LARGE) >>> 0 },
    ],
    [
      'of 4 KiB, with PAE and large pages off',
      { cr0: 0x8000_0011, cr3: 0x1020, cr4: 0x20 },
      0xc000_0000,
      {
        ...{ 0x1038: 0x2001, 0x2000: 0x3000 | PRESENT, [0x2000 + 8 * 0x80]: 0x4000 | PRESENT },
        ...{ 0x3000: CODE_AT | PRESENT, 0x4000: 0xd000_0000 | PRESENT },
      },
    ],
  ] as const) {
    test(what, async () => {
      const mark = [0, ...imm32(MARK)];
      const { machine, register } = await run({ ...control, ip: code }, [...read(code + 13), ...mark], words);
      assert.equal(register('EAX'), MARK);
      assert.deepEqual(machine.accesses, ['load d0000004/4']);
    });
  }

  test('again, after another start without', async () => {
    const { machine, register } = await run({ cr0: 0x8000_0011, cr3: 0x1000, cr4: 0x10, ip: CODE_AT }, [0x40, 0xf4], {
      0x1000: LARGE,
    });
    for (const control of [{}, { cr0: 0x8000_0011, cr3: 0x1000, cr4: 0x10 }]) {
      // mov eax, cr0; mov ebx, cr3; mov ecx, cr4; hlt
      machine.memory.write(CODE_AT, Uint8Array.of(0x0f, 0x20, 0xc0, 0x0f, 0x20, 0xdb, 0x0f, 0x20, 0xe1, 0xf4));
      machine.core.start({ ...FLAT, ip: CODE_AT, ...control });
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      const { cr0 = 0x11, cr3 = 0, cr4 = 0 } = control as Partial<VcpuRegisters>;
      assert.deepEqual([register('EAX'), register('EBX'), register('ECX')], [cr0, cr3, cr4]);
    }
  });
});

describe('a guest starts with segments', () => {
  test('each at its base', async () => {
    const at = (index: number): number => 0x1_0000 + 0x1000 * index;
    const segment = (index: number) => ({ selector: 8 * index, base: at(index) });
    const { register } = await run(
      {
        ...{ cs: { selector: 8, base: CODE_AT }, ip: 0, ebp: 0x10 },
        ...{ ds: segment(2), es: segment(3), fs: segment(4), gs: segment(5), ss: segment(6) },
      },
      // prettier-ignore
      [
        0xa1, ...imm32(0x10),                   // mov eax, [0x10]
        0x26, 0x8b, 0x1d, ...imm32(0x10),       // mov ebx, es:[0x10]
        0x64, 0x8b, 0x0d, ...imm32(0x10),       // mov ecx, fs:[0x10]
        0x65, 0x8b, 0x15, ...imm32(0x10),       // mov edx, gs:[0x10]
        0x8b, 0x75, 0x00,                       // mov esi, [ebp]
        0x8c, 0xe7, 0xf4,                       // mov edi, fs; hlt
      ],
      Object.fromEntries([2, 3, 4, 5, 6].map((index) => [at(index) + 0x10, index])),
    );
    const names = ['EAX', 'EBX', 'ECX', 'EDX', 'ESI', 'EDI'] as const;
    assert.deepEqual(names.map(register), [2, 3, 4, 5, 6, 8 * 4]);
  });

  test('of 16 bits in protected mode', async () => {
    const { machine, register } = await run(
      {
        cs: { selector: 8, base: CODE_AT, limit: 0xffff, attributes: 0x9b },
        ip: 0,
        edx: 0x500,
        eax: MARK,
        esp: 0x7000,
      },
      // out dx, ax, and with the prefix out dx, eax; mov ebx, cr0; push ax; hlt
      [0xef, 0x66, 0xef, 0x0f, 0x20, 0xc3, 0x50, 0xf4],
    );
    assert.deepEqual(machine.accesses, ['out 500/2 c33c', 'out 500/4 5aa5c33c']);
    assert.equal(register('EBX'), 0x11);
    assert.equal(register('ESP'), 0x6ffe);
  });

  test('of a 16-bit stack under 32-bit code', async () => {
    const stack = { selector: 16, base: 0x1_0000, limit: 0xffff, attributes: 0x93 };
    const { machine, register } = await run({ ss: stack, esp: 0x1234_0000, eax: MARK }, [0x50, 0xf4]); // push eax; hlt
    assert.equal(register('ESP'), 0x1234_fffc);
    assert.equal(machine.memory.readU32(0x1_fffc), MARK);
  });

  test('in real mode with bases that are not 16 times their selectors', async () => {
    const { machine } = await run(
      {
        ...{ mode: 'real', cr0: 0x30, cs: { selector: 0xf000, base: CODE_AT }, ip: 0x10, eax: MARK },
        ds: { selector: 0x1234, base: 0x4_0000 },
      },
      // at 0x10: mov [0x20], eax; hlt
      [...Array.from({ length: 16 }, () => 0xf4), 0x66, 0xa3, 0x20, 0x00, 0xf4],
    );
    assert.equal(machine.memory.readU32(0x4_0020), MARK);
  });
});

describe('a guest starts with its tables', () => {
  const GDT = 0x4000;
  const IDT = 0x5000;
  const HANDLER = 0x6000;
  const tables = {
    ...{ [GDT + 8]: 0xffff, [GDT + 12]: 0x00cf_9a00, [GDT + 16]: 0xffff, [GDT + 20]: 0x00cf_9200 },
    ...{ [GDT + 24]: 0xffff, [GDT + 28]: 0x00cf_fa00, [GDT + 32]: 0xffff, [GDT + 36]: 0x00cf_f200 },
    // Vector 0x40 from privilege level 3: inc ebx; hlt
    ...{ [IDT + 8 * 0x40]: (8 << 16) | HANDLER, [IDT + 8 * 0x40 + 4]: 0xee00, [HANDLER]: 0xf443 },
  };
  const loaded = { gdt: { base: GDT, limit: 39 }, idt: { base: IDT, limit: 8 * 0x41 - 1 } };

  test('of interrupts', async () => {
    const { register } = await run({ ...loaded, esp: 0x7000 }, [0xcd, 0x40, 0xf4], tables); // int 0x40; hlt
    assert.deepEqual([register('EBX'), register('ESP')], [1, 0x7000 - 12]);
  });

  test('of local segments, and a task whose stack its handlers get', async () => {
    const LOCAL = 0x8000;
    const TASK = 0x9000;
    const { machine, register } = await run(
      {
        ...{ ...loaded, esp: 0x7000 },
        ...{ ldtr: { selector: 0x48, base: LOCAL, limit: 0xf }, tr: { selector: 0x50, base: TASK, limit: 0x67 } },
      },
      // prettier-ignore
      [
        0xb8, ...imm32(0x0c), 0x8e, 0xe0,          // mov eax, 0x0c; mov fs, eax: the local table's second segment
        0x64, 0x8b, 0x0d, ...imm32(0),             // mov ecx, fs:[0]
        0x0f, 0x00, 0xc2,                          // sldt edx
        0x0f, 0x00, 0xce,                          // str esi
        0x6a, 0x23, 0x68, ...imm32(0x6800),        // push 0x23; push 0x6800
        0x6a, 0x02, 0x6a, 0x1b,                    // push 2; push 0x1b
        0x68, ...imm32(CODE_AT + 0x40), 0xcf,      // push 0x30040; iret: to privilege level 3
        ...Array.from({ length: 0x40 - 37 }, () => 0x90),
        0xcd, 0x40, 0xf4,                          // int 0x40
      ],
      {
        ...tables,
        ...{ [LOCAL + 8]: 0xb000_ffff, [LOCAL + 12]: 0x00cf_9200, 0xb000: MARK },
        ...{ [TASK + 4]: 0x7800, [TASK + 8]: 0x10 },
      },
    );
    assert.deepEqual([register('ECX'), register('EBX')], [MARK, 1]);
    assert.deepEqual([register('EDX') & 0xffff, register('ESI') & 0xffff], [0x48, 0x50]);
    assert.equal(register('ESP'), 0x7800 - 20);
    assert.equal(machine.memory.readU32(0x7800 - 8), 0x6800, 'the stack of privilege level 3');
  });
});

test('a guest starts with the flags that it is given', async () => {
  const flags = 0x0024_3402; // ID, AC, IOPL 3, DF
  const { register } = await run({ flags, esp: 0x7000 }, [0x9c, 0x58, 0xf4]); // pushf; pop eax; hlt
  assert.equal(register('EAX'), flags);
});
