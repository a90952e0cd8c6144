import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MsiDelivery } from '../msi-queue.js';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { imm32, LOAD_IDT, TestMachine } from './fixtures/test-machine.js';

const HANDLER = 0x9000;
const COUNT = 0x6000;
const VECTOR = 0x50;

/** Both 8259s: vectors from 0x20 and 0x28, 8086 mode, nothing masked. */
// prettier-ignore
const INIT_8259 = [
  0xb0, 0x11, 0xe6, 0x20, 0xe6, 0xa0, // mov al, 0x11; out 0x20, al; out 0xa0, al
  0xb0, 0x20, 0xe6, 0x21,             // mov al, 0x20; out 0x21, al
  0xb0, 0x28, 0xe6, 0xa1,             // mov al, 0x28; out 0xa1, al
  0xb0, 0x04, 0xe6, 0x21,             // mov al, 4; out 0x21, al
  0xb0, 0x02, 0xe6, 0xa1,             // mov al, 2; out 0xa1, al
  0xb0, 0x01, 0xe6, 0x21, 0xe6, 0xa1, // mov al, 1; out 0x21, al; out 0xa1, al
  0xb0, 0x00, 0xe6, 0x21, 0xe6, 0xa1, // mov al, 0; out 0x21, al; out 0xa1, al
];
/** inc dword [0x6000] */
const COUNT_ONE = [0xff, 0x05, ...imm32(COUNT)];
/** mov al, 0x20; out 0xa0, al; out 0x20, al; iret */
const END_8259 = [0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0xcf];
/** mov dword [0xfee000b0], 0; iret */
const END_APIC = [0xc7, 0x05, ...imm32(0xfee0_00b0), ...imm32(0), 0xcf];
/** sti; again: hlt; jmp again */
const WAIT = [0xfb, 0xf4, 0xeb, 0xfd];

/** mov dword [address], value */
function store(address: number, value: number): number[] {
  return [0xc7, 0x05, ...imm32(address), ...imm32(value)];
}

function ioApicEntry(pin: number, entry: number): number[] {
  return [...store(0xfec0_0000, 0x10 + 2 * pin), ...store(0xfec0_0010, entry)];
}

describe('a halted guest', () => {
  test('with interrupts off is halted forever', async () => {
    const machine = await TestMachine.create();
    machine.load([0xf4]);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.core.run(), HALTED_FOREVER);
  });

  test('with interrupts on asks to be woken', async () => {
    const machine = await TestMachine.create();
    machine.load(WAIT);
    assert.ok(machine.runUntilHalted() > 0);
    assert.ok(machine.core.run() > 0);
  });
});

describe('the 8259s', () => {
  for (const [line, vector] of [
    [4, 0x24],
    [10, 0x2a],
    [0, 0x20],
    [2, 0x20],
  ] as const)
    test(`line ${line} wakes the guest with vector 0x${vector.toString(16)}, once for each edge`, async () => {
      const machine = await TestMachine.create();
      machine.setGate(vector, HANDLER, [...COUNT_ONE, ...END_8259]);
      machine.load([...LOAD_IDT, ...INIT_8259, ...WAIT]);
      machine.runUntilHalted();
      for (let edges = 1; edges <= 3; edges++) {
        machine.lines.set(line, true);
        machine.runUntilHalted();
        assert.equal(machine.memory.readU32(COUNT), edges);
        machine.runUntilHalted();
        assert.equal(machine.memory.readU32(COUNT), edges);
        machine.lines.set(line, false);
        machine.runUntilHalted();
      }
    });

  test('a level-triggered line interrupts until it is low', async () => {
    const machine = await TestMachine.create({
      onAccess: () => {
        if (machine.accesses.length === 3) machine.lines.set(10, false);
      },
    });
    machine.setGate(0x2a, HANDLER, [...COUNT_ONE, 0xe6, 0x80, ...END_8259]); // out 0x80, al
    // ELCR: mov dx, 0x4d1; mov al, 4; out dx, al
    machine.load([...LOAD_IDT, 0x66, 0xba, 0xd1, 0x04, 0xb0, 0x04, 0xee, ...INIT_8259, ...WAIT]);
    machine.runUntilHalted();
    machine.lines.set(10, true);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 3);
  });

  test('a line that is high when the VM is reset counts as just raised', async () => {
    const machine = await TestMachine.create();
    machine.setGate(0x24, HANDLER, [...COUNT_ONE, ...END_8259]);
    machine.load([0xf4]);
    machine.lines.set(4, true);
    machine.runUntilHalted();
    machine.load([...LOAD_IDT, ...INIT_8259, ...WAIT]);
    machine.runUntilHalted();
    // The guest's ICW1 cleared the request, as it does in an 8259: only the next edge counts.
    assert.equal(machine.memory.readU32(COUNT), 0);
    machine.lines.set(4, false);
    machine.lines.set(4, true);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 1);
  });
});

describe('the IO-APIC', () => {
  for (const line of [0, 2, 4, 15, 16, 23])
    test(`line ${line} is pin ${line}, edge-triggered`, async () => {
      const machine = await TestMachine.create();
      machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
      // The 8259s as they are at power-on: masked.
      machine.load([...LOAD_IDT, 0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, ...ioApicEntry(line, VECTOR), ...WAIT]);
      machine.runUntilHalted();
      for (let edges = 1; edges <= 3; edges++) {
        machine.lines.pulse(line);
        machine.runUntilHalted();
        assert.equal(machine.memory.readU32(COUNT), edges);
      }
    });

  test('a masked edge is lost, a masked level is delivered when the guest unmasks it', async () => {
    for (const [entry, count] of [
      [0x1_0000 | VECTOR, 0],
      [0x1_8000 | VECTOR, 1],
    ] as const) {
      const machine = await TestMachine.create({
        onAccess: (access) => {
          if (access.startsWith('out 81')) machine.lines.set(20, true);
          if (access.startsWith('out 80')) machine.lines.set(20, false);
        },
      });
      machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, 0xe6, 0x80, ...END_APIC]);
      machine.load([
        ...LOAD_IDT,
        ...ioApicEntry(20, entry),
        0xe6, // out 0x81, al: the line is raised
        0x81,
        ...ioApicEntry(20, entry & ~0x1_0000),
        ...WAIT,
      ]);
      machine.runUntilHalted();
      machine.runUntilHalted();
      assert.equal(machine.memory.readU32(COUNT), count);
    }
  });

  test('a level interrupts again after its end of interrupt while the line is high', async () => {
    const machine = await TestMachine.create({
      onAccess: () => {
        if (machine.accesses.length === 3) machine.lines.set(20, false);
      },
    });
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, 0xe6, 0x80, ...END_APIC]);
    machine.load([...LOAD_IDT, ...ioApicEntry(20, 0x8000 | VECTOR), ...WAIT]);
    machine.runUntilHalted();
    machine.lines.set(20, true);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 3);
  });

  test('lines that it has no pin for are ignored', async () => {
    const machine = await TestMachine.create();
    machine.load([...LOAD_IDT, ...INIT_8259, ...WAIT]);
    machine.runUntilHalted();
    for (let line = 24; line < 48; line++) machine.lines.pulse(line);
    assert.ok(machine.runUntilHalted() > 0);
  });
});

describe('the local APIC', () => {
  test('its timer wakes a halted guest when it is due, again and again', async () => {
    const machine = await TestMachine.create();
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
    machine.load([
      ...LOAD_IDT,
      ...store(0xfee0_03e0, 0xb), // divide by 1
      ...store(0xfee0_0320, 0x2_0000 | VECTOR), // periodic
      ...store(0xfee0_0380, 10_000_000), // 10 ms of the 1-GHz bus clock
      ...WAIT,
    ]);
    let haltedMs = machine.runUntilHalted(0);
    assert.ok(haltedMs > 9 && haltedMs <= 10, `${haltedMs} ms`);
    for (let ticks = 1; ticks <= 5; ticks++) {
      machine.timeMs += haltedMs + 0.001;
      haltedMs = machine.runUntilHalted(0);
      assert.equal(machine.memory.readU32(COUNT), ticks);
      assert.ok(haltedMs > 9 && haltedMs <= 10, `${haltedMs} ms`);
    }
  });

  test('its timer interrupts a translated loop', async () => {
    const machine = await TestMachine.create();
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
    // prettier-ignore
    machine.load([
      ...LOAD_IDT,
      ...store(0xfee0_03e0, 0xb),
      ...store(0xfee0_0320, 0x2_0000 | VECTOR),
      ...store(0xfee0_0380, 1_000_000),
      0xfb,                                                 // sti
      0x41, 0x81, 0x3d, ...imm32(COUNT), ...imm32(40), 0x72, 0xf3, // inc ecx; cmp dword [0x6000], 40; jb
      0xfa, 0xf4,                                           // cli; hlt
    ]);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.memory.readU32(COUNT), 40);
    assert.ok(machine.core.translationCount > 0);
  });

  test('an interrupt that an access raises is taken after that access, in interpreted and in translated code', async () => {
    for (const translate of [false, true]) {
      let waiting = 0;
      let longest = 0;
      const machine = await TestMachine.create({
        translate,
        onAccess: (access) => {
          if (access.startsWith('out')) {
            waiting = 0;
            machine.lines.set(20, false);
          } else if (machine.lines.level(20)) longest = Math.max(longest, ++waiting);
          else machine.lines.set(20, true);
          machine.accesses.length = 0;
        },
      });
      machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, 0xe6, 0x80, ...END_APIC]);
      // prettier-ignore
      machine.load([
        ...LOAD_IDT, ...ioApicEntry(20, VECTOR), 0xfb,
        0xb9, ...imm32(100_000),             // mov ecx, 100000
        0xa1, 0, 0, 0, 0xd0,                 // again: mov eax, [0xd0000000]
        0x01, 0xc2, 0x49, 0x75, 0xf6,        // add edx, eax; dec ecx; jnz again
        0xfa, 0xf4,
      ]);
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      assert.equal(machine.core.translationCount > 0, translate);
      assert.ok(machine.memory.readU32(COUNT) > 1000);
      assert.ok(longest <= 2, `${longest} accesses while an interrupt waited`);
    }
  });

  test('interrupts that a guest sends itself all arrive, in interpreted and in translated code', async () => {
    for (const translate of [false, true]) {
      const rounds = 50_000;
      const machine = await TestMachine.create({ translate });
      machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
      // prettier-ignore
      machine.load([
        ...LOAD_IDT, 0xfb,
        0xb9, ...imm32(rounds), 0x31, 0xd2,           // mov ecx, rounds; xor edx, edx
        0x52, ...store(0xfee0_0300, 0x4_0000 | VECTOR), // again: push edx; self IPI
        0x5a, 0x42, 0x49, 0x75, 0xf0,                 // pop edx; inc edx; dec ecx; jnz again
        0xe4, 0x80, 0xfa, 0xf4, // in al, 0x80, after which the core has looked; cli; hlt
      ]);
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      assert.equal(machine.core.translationCount > 0, translate);
      assert.equal(machine.core.generalRegister(GeneralRegister.EDX), rounds);
      assert.equal(machine.memory.readU32(COUNT), rounds);
    }
  });
});

describe('a message-signalled interrupt', () => {
  test('reaches the guest by its vector, once for each message that it has taken', async () => {
    const machine = await TestMachine.create();
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
    machine.load([...LOAD_IDT, 0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, ...WAIT]);
    machine.runUntilHalted();
    for (const kind of [MsiDelivery.FIXED, MsiDelivery.LOWEST_PRIORITY]) {
      const before = machine.memory.readU32(COUNT);
      machine.core.message(kind, VECTOR);
      machine.core.message(kind, VECTOR);
      machine.runUntilHalted();
      assert.equal(machine.memory.readU32(COUNT), before + 1);
    }
  });

  test('of a kind that the core has no pin for, or with a vector of the processor itself, does nothing', async () => {
    const machine = await TestMachine.create();
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
    machine.load([...LOAD_IDT, 0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, ...WAIT]);
    machine.runUntilHalted();
    for (const kind of [MsiDelivery.SMI, MsiDelivery.NMI, MsiDelivery.INIT]) machine.core.message(kind, VECTOR);
    machine.core.message(MsiDelivery.FIXED, 8);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 0);
  });
});
