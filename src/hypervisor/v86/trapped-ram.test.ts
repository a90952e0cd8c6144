import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GeneralProtection } from '../io-handler.js';
import { HALTED_FOR_EVER } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { imm32, LOAD_IDT, TestMachine } from './fixtures/test-machine.js';

const MEMORY_BYTES = 2 << 20;
/** Where guests have their data, their code, their page tables and the top of their stack; all of it traps. */
const DATA = 0x1f_1000;
const CODE = 0x1f_8000;
const TABLES = 0x1f_a000;
const STACK = 0x1f_f000;
/** What is protected meanwhile, and no guest here stores to: nothing much traps below it, nearly everything above. */
const BYSTANDERS = [0x1e_0000, 0x3_0000, 0x1_0000];
/** Rounds of a loop until its code is surely translated. */
const HOT = 20_000;
const PAGE_FAULT = 14;
const INTERRUPT = 0x30;

interface Guest {
  readonly code: readonly number[];
  readonly setUp?: (machine: TestMachine) => void;
}

/** Machine code that is put anywhere: setGate takes addresses of 16 bits. */
function setHighGate(machine: TestMachine, vector: number, address: number, code: readonly number[]): void {
  machine.setGate(vector, 0xf000, [0xe9, ...imm32(address - 0xf005)]); // jmp address
  machine.memory.write(address, Uint8Array.from(code));
}

function fillData({ memory }: TestMachine): void {
  for (let offset = 0; offset < 256; offset += 4)
    memory.writeU32(DATA + offset, Math.imul(0x9e37_79b9, offset + 1) >>> 0);
}

/** mov cr4 with OSFXSR; mov ecx, HOT; round: body; dec ecx; jnz round; hlt */
function hot(body: readonly number[], last: readonly number[] = [0xf4]): number[] {
  const withSse = [0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x02, 0x00, 0x00, 0x0f, 0x22, 0xe0];
  return [...withSse, 0xb9, ...imm32(HOT), ...body, 0x49, 0x0f, 0x85, ...imm32(-(body.length + 7)), ...last];
}

/** mov eax, tables; mov cr3, eax; CR0.PG on */
const PAGING_ON = [0xb8, ...imm32(TABLES), 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0];
const PAE_ON = [0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0]; // mov eax, cr4; or eax, PAE; mov cr4, eax

/** 4 MiB as they are, and after them DATA once more. */
function fillTables(machine: TestMachine): void {
  fillData(machine);
  const { memory } = machine;
  memory.writeU32(TABLES, (TABLES + 0x1000) | 7);
  memory.writeU32(TABLES + 4, (TABLES + 0x2000) | 7);
  for (let page = 0; page < 1024; page++) memory.writeU32(TABLES + 0x1000 + 4 * page, (page << 12) | 7);
  memory.writeU32(TABLES + 0x2000, DATA | 7);
  memory.writeU32(TABLES + 0x2004, (DATA + 0x1000) | 7);
}

/** 2 MiB as they are; from 3 GiB DATA once more, then a device at 0xd0000000, whose entry has its sign bit set. */
function fillPaeTables(machine: TestMachine): void {
  fillData(machine);
  const { memory } = machine;
  const table = (index: number): number => TABLES + 0x1000 * index;
  memory.writeU32(TABLES, table(1) | 1);
  memory.writeU32(TABLES + 24, table(2) | 1);
  memory.writeU32(table(1), table(3) | 7);
  memory.writeU32(table(2), table(4) | 7);
  for (let page = 0; page < 512; page++) memory.writeU32(table(3) + 8 * page, (page << 12) | 7);
  memory.writeU32(table(4), DATA | 7);
  memory.writeU32(table(4) + 8, 0xd000_0007);
}

/** inc edx; inc byte [COUNT]; cmp byte [COUNT], 0; jne +7; xor byte [CODE], 1; dec ecx; jnz CODE; ret */
const ALTERS_ITSELF = (count: number): number[] => {
  const body = [0x42, 0xfe, 0x05, ...imm32(count), 0x80, 0x3d, ...imm32(count), 0, 0x75, 7];
  const rest = [0x80, 0x35, ...imm32(CODE), 1, 0x49, 0x75];
  return [...body, ...rest, 0x100 - (body.length + rest.length + 1), 0xc3];
};

// prettier-ignore
const GUESTS: Readonly<Record<string, Guest>> = {
  '8, 16 and 32 bits, read, written and both, across pages too': {
    setUp: fillData,
    code: hot([
      0x01, 0x0d, ...imm32(DATA), 0x66, 0x01, 0x0d, ...imm32(DATA + 5), 0x00, 0x0d, ...imm32(DATA + 11), // add [], ecx
      0x01, 0x0d, ...imm32(DATA + 0xffe), 0x66, 0x01, 0x0d, ...imm32(DATA + 0x1fff),
      0x66, 0x03, 0x05, ...imm32(DATA + 2), 0x66, 0xa3, ...imm32(DATA + 6),   // add ax, []; mov [], ax
      0x0f, 0xb7, 0x15, ...imm32(DATA + 4), 0x0f, 0xbf, 0x2d, ...imm32(DATA + 6), // movzx edx, word []; movsx ebp, word []
    ]),
  },
  '64 and 128 bits': {
    setUp: fillData,
    code: hot([
      0x0f, 0x6f, 0x05, ...imm32(DATA), 0x0f, 0xd4, 0x05, ...imm32(DATA + 8), // movq mm0, []; paddq mm0, []
      0x0f, 0x7f, 0x05, ...imm32(DATA + 16), 0x0f, 0x77,                      // movq [], mm0; emms
      0x0f, 0x10, 0x05, ...imm32(DATA + 32), 0x0f, 0x11, 0x05, ...imm32(DATA + 48), // movups xmm0, []; movups [], xmm0
      0xdd, 0x05, ...imm32(DATA), 0xdd, 0x1d, ...imm32(DATA + 72),            // fld qword []; fstp qword []
      0xdb, 0x2d, ...imm32(DATA + 40), 0xdb, 0x3d, ...imm32(DATA + 80),       // fld tbyte []; fstp tbyte []
    ]),
  },
  'string instructions, overlapping, backwards and over many pages': {
    setUp: fillData,
    code: [
      0xfd, 0xbe, ...imm32(DATA + 0x80), 0xbf, ...imm32(DATA + 0x2080), 0xb9, ...imm32(30), 0xf3, 0xa5, 0xfc, // std; rep movsd; cld
      0xbe, ...imm32(DATA), 0xbf, ...imm32(DATA + 3), 0xb9, ...imm32(300), 0xf3, 0xa4,   // rep movsb
      0xbf, ...imm32(DATA + 0x5000), 0xb9, ...imm32(2500), 0xf3, 0xab,                   // rep stosd
      0xbf, ...imm32(0x7_0000), 0xbe, ...imm32(DATA), 0xb9, ...imm32(3000), 0xf3, 0xa5,  // rep movsd
      0xf4,
    ],
  },
  'a stack': { code: [0xbc, ...imm32(STACK), ...hot([0x51, 0x5a, 0x9c, 0x9d, 0x60, 0x61])] }, // push ecx; pop edx; pushfd; popfd; pusha; popa
  'page tables': {
    setUp: fillTables,
    code: [...PAGING_ON, ...hot([0x01, 0x0d, ...imm32(0x40_0010), 0x01, 0x0d, ...imm32(0x40_0ffe)])],
  },
  'page tables with entries of 64 bits': {
    setUp: fillPaeTables,
    code: [
      ...PAE_ON, ...PAGING_ON,
      ...hot([0x01, 0x0d, ...imm32(0xc000_0010)], [0xa1, ...imm32(0xc000_1000), 0xf4]), // mov eax, [0xc0001000]; hlt
    ],
  },
  'page faults': {
    setUp: (machine) => {
      fillTables(machine);
      machine.memory.writeU32(TABLES + 0x1000 + 4 * 0x80, 0);
      setHighGate(machine, PAGE_FAULT, CODE, [0x43, 0x83, 0xc4, 4, 0x83, 0x04, 0x24, 6, 0xcf]); // inc ebx; add esp, 4; add dword [esp], 6; iret
    },
    code: [...LOAD_IDT, 0xbc, ...imm32(STACK), ...PAGING_ON, ...hot([0x89, 0x0d, ...imm32(0x8_0000)])],
  },
  interrupts: {
    setUp: (machine) => setHighGate(machine, INTERRUPT, CODE, [0x43, 0xcf]), // inc ebx; iret
    code: [...LOAD_IDT, 0xbc, ...imm32(STACK), ...hot([0xcd, INTERRUPT])],
  },
  'code that other code alters': {
    // inc edx; dec ecx; jnz -4; ret
    setUp: ({ memory }) => memory.write(CODE, Uint8Array.of(0x42, 0x49, 0x75, 0xfc, 0xc3)),
    code: [
      0xbe, ...imm32(CODE),                              // mov esi, CODE
      ...[0x43, 0x45, 0x42].flatMap((opcode) => [
        0xb9, ...imm32(HOT), 0xff, 0xd6, 0xb9, ...imm32(HOT), 0xff, 0xd6, // mov ecx, HOT; call esi; twice
        0xc6, 0x05, ...imm32(CODE), opcode,              // mov byte [CODE], opcode: inc ebx, ebp, edx
        0xb9, ...imm32(5), 0xff, 0xd6,
      ]),
      0xf4,
    ],
  },
  'code that alters itself': {
    setUp: ({ memory }) => memory.write(CODE, Uint8Array.from(ALTERS_ITSELF(CODE + 0x800))),
    code: [0xb9, ...imm32(HOT), 0xbe, ...imm32(CODE), 0xff, 0xd6, 0xf4],
  },
};

async function outcomeOf(guest: Guest, translate: boolean, bystander?: number): Promise<Record<string, unknown>> {
  const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES, translate });
  guest.setUp?.(machine);
  if (bystander !== undefined) machine.pages.set(bystander, true);
  machine.load(guest.code);
  const end = machine.runUntilHalted();
  const registers = Object.values(GeneralRegister).map((register) => machine.core.generalRegister(register));
  return { end, registers, accesses: machine.accesses, ram: Buffer.from(machine.memory.bytes.slice()) };
}

for (const translate of [true, false])
  describe(translate ? 'RAM that traps, in translated code' : 'RAM that traps', () => {
    for (const [name, guest] of Object.entries(GUESTS))
      test(`is as any other for ${name}`, async () => {
        const expected = await outcomeOf(guest, translate);
        assert.equal(expected['end'], HALTED_FOR_EVER);
        for (const bystander of BYSTANDERS)
          assert.deepEqual(await outcomeOf(guest, translate, bystander), expected, `above ${bystander.toString(16)}`);
      });

    test('can be protected and freed while hot code stores to it', async () => {
      const machine = await TestMachine.create({
        memoryBytes: MEMORY_BYTES,
        translate,
        onAccess: (access) => {
          if (access.startsWith('out 80/1')) machine.pages.set(DATA, access.endsWith(' 1'));
        },
      });
      // add [DATA], ecx; dec ecx; jnz; ret
      machine.memory.write(CODE, Uint8Array.from([0x01, 0x0d, ...imm32(DATA), 0x49, 0x75, 0xf7, 0xc3]));
      const call = (rounds: number): number[] => [0xb9, ...imm32(rounds), 0xff, 0xd6];
      const out = (value: number): number[] => [0xb0, value, 0xe6, 0x80];
      machine.load([
        0xbe,
        ...imm32(CODE),
        ...call(HOT),
        ...call(HOT),
        ...out(1),
        ...call(3),
        ...out(0),
        ...call(HOT),
        0xf4,
      ]);
      assert.equal(machine.runUntilHalted(), HALTED_FOR_EVER);
      const sum = (HOT * (HOT + 1)) / 2;
      const before = (2 * sum) >>> 0;
      assert.deepEqual(machine.accesses, [
        'out 80/1 1',
        ...[3, 2, 1].map((added) => `protected ${DATA.toString(16)}/4 ${(before + added).toString(16)}`),
        'out 80/1 0',
      ]);
      assert.equal(machine.memory.readU32(DATA), (3 * sum) >>> 0);
    });
  });

describe('a store to a protected page', () => {
  test('has its exact size and value up to 64 bits, is not done, and what is read stays', async () => {
    const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES });
    fillData(machine);
    machine.pages.set(DATA, true);
    const before = machine.memory.read(DATA, 0x1000);
    // prettier-ignore
    machine.load([
      0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x02, 0x00, 0x00, 0x0f, 0x22, 0xe0, // CR4.OSFXSR on
      0xb8, ...imm32(0x8182_8384),                                      // mov eax, 0x81828384
      0xa2, ...imm32(DATA), 0x66, 0xa3, ...imm32(DATA + 2), 0xa3, ...imm32(DATA + 4), // mov [], al; ax; eax
      0x0f, 0x6f, 0x05, ...imm32(DATA + 8), 0x0f, 0x7f, 0x05, ...imm32(DATA + 16),    // movq mm0, []; movq [], mm0
      0x0f, 0x10, 0x05, ...imm32(DATA), 0x0f, 0x11, 0x05, ...imm32(DATA + 0x20),      // movups xmm0, []; movups [], xmm0
      0xa3, ...imm32(DATA + 0xffe),                                     // mov [], eax: half of it in the next page
      0xfe, 0x05, ...imm32(DATA + 1),                                   // inc byte []
      0xf4,
    ]);
    machine.runUntilHalted();
    const word = (offset: number): string => new DataView(before.buffer).getUint32(offset, true).toString(16);
    const at = (offset: number): string => (DATA + offset).toString(16);
    assert.deepEqual(machine.accesses, [
      `protected ${at(0)}/1 84`,
      `protected ${at(2)}/2 8384`,
      `protected ${at(4)}/4 81828384`,
      `protected ${at(16)}/8 ${word(12)}:${word(8)}`,
      `protected ${at(0x20)}/8 ${word(4)}:${word(0)}`,
      `protected ${at(0x28)}/8 ${word(12)}:${word(8)}`,
      `protected ${at(0xffe)}/1 84`,
      `protected ${at(0xfff)}/1 83`,
      `protected ${at(1)}/1 ${(((before[1] ?? 0) + 1) & 0xff).toString(16)}`,
    ]);
    assert.deepEqual(machine.memory.read(DATA, 0x1000), before);
    assert.equal(machine.memory.readU16(DATA + 0x1000), 0x8182);
  });

  test('is one after a reset, too; what the Service VM writes there arrives', async () => {
    const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES });
    machine.pages.set(DATA, true);
    for (let start = 0; start < 3; start++) {
      machine.memory.writeU32(DATA, start);
      machine.load([0xa1, ...imm32(DATA), 0x48, 0xa3, ...imm32(DATA), 0xf4]); // mov eax, []; dec eax; mov [], eax
      machine.runUntilHalted();
      assert.equal(machine.memory.readU32(DATA), start);
    }
    assert.deepEqual(
      machine.accesses,
      ['ffffffff', '0', '1'].map((value) => `protected ${DATA.toString(16)}/4 ${value}`),
    );
  });

  test('that is refused is a #GP at its instruction', async () => {
    const machine = await TestMachine.create({
      memoryBytes: MEMORY_BYTES,
      onAccess: () => {
        throw new GeneralProtection('refused');
      },
    });
    machine.pages.set(DATA, true);
    machine.setGate(13, 0x9000, [0x43, 0x83, 0xc4, 4, 0x83, 0x04, 0x24, 5, 0xcf]); // inc ebx; add esp, 4; add dword [esp], 5; iret
    machine.load([...LOAD_IDT, ...hot([0xa3, ...imm32(DATA)])]); // mov [], eax
    assert.equal(machine.runUntilHalted(), HALTED_FOR_EVER);
    assert.equal(machine.core.generalRegister(GeneralRegister.EBX), HOT);
  });
});

test('beyond the RAM and in the window for graphics memory it is a device’s access, whatever is protected', async () => {
  const machine = await TestMachine.create({ memoryBytes: MEMORY_BYTES });
  machine.pages.set(0x1_0000, true);
  machine.pages.set(MEMORY_BYTES - 0x1000, true);
  // prettier-ignore
  machine.load([
    0xa3, ...imm32(0xa_0000), 0xa1, ...imm32(0xb_fffc), // mov [0xa0000], eax; mov eax, [0xbfffc]
    0xa3, ...imm32(MEMORY_BYTES - 4), 0xa3, ...imm32(MEMORY_BYTES), 0xa1, ...imm32(MEMORY_BYTES),
    0xf4,
  ]);
  machine.runUntilHalted();
  assert.deepEqual(machine.accesses, [
    'store a0000/4 0',
    'load bfffc/4',
    'protected 1ffffc/4 8192a3b4',
    'store 200000/4 8192a3b4',
    'load 200000/4',
  ]);
});
