import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GeneralProtection } from '../io-handler.js';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { imm32, LOAD_IDT, TestMachine } from './fixtures/test-machine.js';
import {
  BYSTANDERS,
  call,
  CALL_UNTIL_HOT,
  CALLED,
  CODE,
  DATA,
  fillData,
  GUESTS,
  hot,
  HOT,
  MEMORY_BYTES,
  tick,
  type Guest,
} from './fixtures/trapped-guests.js';

async function outcomeOf(guest: Guest, translate: boolean, bystander?: number): Promise<Record<string, unknown>> {
  const machine = await TestMachine.create({
    memoryBytes: MEMORY_BYTES,
    translate,
    onAccess: (access) => tick(machine, access),
  });
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
        assert.equal(expected['end'], HALTED_FOREVER);
        for (const bystander of BYSTANDERS)
          assert.deepEqual(await outcomeOf(guest, translate, bystander), expected, `above ${bystander.toString(16)}`);
      });

    test('can be protected and freed while hot code stores to it', async () => {
      const machine = await TestMachine.create({
        memoryBytes: MEMORY_BYTES,
        translate,
        onAccess: (access) => {
          tick(machine, access);
          if (access.startsWith('out 80/')) machine.pages.set(DATA, access.endsWith(' 1'));
        },
      });
      // add [DATA], ecx; dec ecx; jnz; ret
      machine.memory.write(CODE, Uint8Array.from([0x01, 0x0d, ...imm32(DATA), 0x49, 0x75, 0xf7, 0xc3]));
      const out = (value: number): number[] => [0xb0, value, 0xe6, 0x80];
      const alone = [...out(1), ...call(3), ...out(0)];
      machine.load([0xbe, ...imm32(CODE), ...CALL_UNTIL_HOT, ...alone, ...CALL_UNTIL_HOT, ...alone, 0xf4]);
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      const sum = (CALLED * (CALLED + 1)) / 2;
      const expected = [3 * sum, 6 * sum].flatMap((before) => [
        'out 80/1 1',
        ...[3, 2, 1].map((added) => `protected ${DATA.toString(16)}/4 ${((before + added) >>> 0).toString(16)}`),
        'out 80/1 0',
      ]);
      assert.deepEqual(
        machine.accesses.filter((access) => !access.startsWith('out 81/')),
        expected,
      );
      assert.equal(machine.memory.readU32(DATA), (6 * sum) >>> 0);
      if (translate) assert.ok(machine.core.translationCount > 0);
    });
  });

describe('a store to a protected page', () => {
  test('has its exact size and value up to 64 bits, and leaves the RAM as it is', async () => {
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
      // movups xmm0, []; movups [], xmm0
      0x0f, 0x10, 0x05, ...imm32(DATA), 0x0f, 0x11, 0x05, ...imm32(DATA + 0x20),
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

  test('becomes a request after a reset, too, and a write by the Service VM arrives', async () => {
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
    let stores = 0;
    const machine = await TestMachine.create({
      memoryBytes: MEMORY_BYTES,
      onAccess: (access) => {
        tick(machine, access);
        if (access.startsWith('protected') && ++stores % 7 === 0) throw new GeneralProtection('refused');
      },
    });
    machine.pages.set(DATA, true);
    // inc ebx; add esp, 4; add dword [esp], 5; iret
    machine.setGate(13, 0x9000, [0x43, 0x83, 0xc4, 4, 0x83, 0x04, 0x24, 5, 0xcf]);
    machine.load([...LOAD_IDT, ...hot([0xa3, ...imm32(DATA)])]); // mov [], eax
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.core.generalRegister(GeneralRegister.EBX), Math.floor((3 * HOT) / 7));
    assert.equal(stores, 3 * HOT);
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
