import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MsiDelivery } from '../msi-queue.js';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { imm32, LOAD_IDT, TestMachine } from './fixtures/test-machine.js';

const HANDLER = 0x9000;
const COUNT = 0x6000;
const DEPTH = 0x6008;
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
/** mov dword [0xfee000f0], 0x1ff: the local APIC accepts interrupts */
const ENABLE_APIC = [0xc7, 0x05, ...imm32(0xfee0_00f0), ...imm32(0x1ff)];
/** sti; again: hlt; jmp again */
const WAIT = [0xfb, 0xf4, 0xeb, 0xfd];
/** mov ecx, 100; again: dec ecx; jnz again. Lines that are high from the start arrive meanwhile. */
const WAIT_FIRST = [0xb9, ...imm32(100), 0x49, 0x75, 0xfd];

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
  for (const line of [0, 2, 4, 15, 16, 23, 24, 47])
    test(`line ${line} is pin ${line}, edge-triggered`, async () => {
      const machine = await TestMachine.create();
      machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
      // The 8259s as they are at power-on: masked.
      machine.load([
        ...LOAD_IDT,
        ...ENABLE_APIC,
        0xb0,
        0xff,
        0xe6,
        0x21,
        0xe6,
        0xa1,
        ...ioApicEntry(line, VECTOR),
        ...WAIT,
      ]);
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
        ...ENABLE_APIC,
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
    machine.load([...LOAD_IDT, ...ENABLE_APIC, ...ioApicEntry(20, 0x8000 | VECTOR), ...WAIT]);
    machine.runUntilHalted();
    machine.lines.set(20, true);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 3);
  });

  test('an active-low level interrupts while the line is low', async () => {
    const machine = await TestMachine.create({
      onAccess: () => {
        if (machine.accesses.length === 3) machine.lines.set(40, true);
      },
    });
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, 0xe6, 0x80, ...END_APIC]);
    machine.load([...LOAD_IDT, ...ENABLE_APIC, ...WAIT_FIRST, ...ioApicEntry(40, 0xa000 | VECTOR), ...WAIT]);
    machine.lines.set(40, true);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 0);
    machine.lines.set(40, false);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 3);
  });

  test('a level that was there before its entry is delivered by the write of the entry', async () => {
    const machine = await TestMachine.create({ onAccess: () => machine.lines.set(20, false) });
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, 0xe6, 0x80, ...END_APIC]);
    machine.load([...LOAD_IDT, ...ENABLE_APIC, ...WAIT_FIRST, ...ioApicEntry(20, 0x8000 | VECTOR), ...WAIT]);
    machine.lines.set(20, true);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 1);
  });
});

describe('the local APIC', () => {
  test('its timer wakes a halted guest when it is due, again and again', async () => {
    const machine = await TestMachine.create();
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
    machine.load([
      ...LOAD_IDT,
      ...ENABLE_APIC,
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
      ...LOAD_IDT, ...ENABLE_APIC,
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
        ...LOAD_IDT, ...ENABLE_APIC, ...ioApicEntry(20, VECTOR), 0xfb,
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
        ...LOAD_IDT, ...ENABLE_APIC, 0xfb,
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
    machine.load([...LOAD_IDT, ...ENABLE_APIC, 0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, ...WAIT]);
    machine.runUntilHalted();
    for (const kind of [MsiDelivery.FIXED, MsiDelivery.LOWEST_PRIORITY]) {
      const before = machine.memory.readU32(COUNT);
      machine.core.message(kind, VECTOR);
      machine.core.message(kind, VECTOR);
      machine.runUntilHalted();
      assert.equal(machine.memory.readU32(COUNT), before + 1);
    }
  });

  test('of a kind without an effect, or with a vector of the processor itself, does nothing', async () => {
    const machine = await TestMachine.create();
    machine.setGate(VECTOR, HANDLER, [...COUNT_ONE, ...END_APIC]);
    machine.load([...LOAD_IDT, ...ENABLE_APIC, 0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, ...WAIT]);
    machine.runUntilHalted();
    for (const kind of [MsiDelivery.SMI, MsiDelivery.INIT, MsiDelivery.EXT_INT]) machine.core.message(kind, VECTOR);
    machine.core.message(MsiDelivery.FIXED, 8);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(COUNT), 0);
  });
});

describe('an NMI', () => {
  const NMI = 2;
  /** mov dword [0xfee00300], 0x44400: to self */
  const NMI_TO_SELF = store(0xfee0_0300, 0x4_4400);
  const IRET = 0xcf;

  for (const translate of [false, true])
    test(`that a guest sends itself runs its handler with interrupts off, ${translate ? 'translated' : 'interpreted'}`, async () => {
      const rounds = 20_000;
      const machine = await TestMachine.create({ translate });
      machine.setGate(NMI, HANDLER, [...COUNT_ONE, IRET]);
      // prettier-ignore
      machine.load([
        ...LOAD_IDT,
        0xb9, ...imm32(rounds),       // mov ecx, rounds
        ...NMI_TO_SELF,               // again
        0xe4, 0x80,                   // in al, 0x80, after which it has arrived
        0x49, 0x75, 0xf1,             // dec ecx; jnz again
        0xf4,
      ]);
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      assert.equal(machine.core.translationCount > 0, translate);
      assert.equal(machine.memory.readU32(COUNT), rounds);
    });

  test('by message wakes a halted guest, as often as one is taken', async () => {
    const machine = await TestMachine.create();
    machine.setGate(NMI, HANDLER, [...COUNT_ONE, IRET]);
    machine.load([...LOAD_IDT, ...WAIT]);
    for (let taken = 0; taken < 3; taken++) {
      machine.runUntilHalted();
      assert.equal(machine.memory.readU32(COUNT), taken);
      machine.core.message(MsiDelivery.NMI, 0);
      machine.core.message(MsiDelivery.NMI, 0);
    }
  });

  test('wakes a core that halted with interrupts off', async () => {
    const machine = await TestMachine.create();
    machine.setGate(NMI, HANDLER, [...COUNT_ONE, IRET]);
    machine.load([...LOAD_IDT, 0xf4, ...COUNT_ONE, 0xf4]);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    machine.core.message(MsiDelivery.NMI, 0);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.memory.readU32(COUNT), 2);
  });

  test('that arrives while another one is handled waits for IRET, and is taken right after it', async () => {
    const machine = await TestMachine.create();
    // prettier-ignore
    machine.setGate(NMI, HANDLER, [
      ...COUNT_ONE,
      0xff, 0x05, ...imm32(DEPTH),                   // inc dword [depth]
      0x83, 0x3d, ...imm32(COUNT), 0x03, 0x73, 0x0a, // cmp dword [count], 3; jae past the command
      ...NMI_TO_SELF,
      0xe4, 0x80,                                    // in al, 0x80: nothing is taken here
      0xa1, ...imm32(DEPTH), 0xe7, 0x82,             // mov eax, [depth]; out 0x82, eax
      0xff, 0x0d, ...imm32(DEPTH),                   // dec dword [depth]
      IRET,
    ]);
    // out 0x83, al; hlt
    machine.load([...LOAD_IDT, ...NMI_TO_SELF, 0xe4, 0x80, 0xe6, 0x83, 0xf4]);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.memory.readU32(COUNT), 3);
    const outs = machine.accesses.filter((access) => access.startsWith('out'));
    assert.deepEqual(
      outs.map((access) => access.replace(/\/1 .*/, '')),
      ['out 82/4 1', 'out 82/4 1', 'out 82/4 1', 'out 83'],
    );
  });
});

describe('IA32_APIC_BASE', () => {
  const MSR = 0x1b;
  const SAVED = 0x6100;
  /** mov ecx, 0x1b; rdmsr; mov [saved], eax */
  const READ_TO = (at: number): number[] => [0xb9, ...imm32(MSR), 0x0f, 0x32, 0xa3, ...imm32(at)];
  /** mov ecx, 0x1b; mov eax, low; mov edx, high; wrmsr */
  function writeBase(low: number, high = 0): number[] {
    return [0xb9, ...imm32(MSR), 0xb8, ...imm32(low), 0xba, ...imm32(high), 0x0f, 0x30];
  }
  /** mov eax, 1; cpuid; mov [at], edx */
  const FEATURES_TO = (at: number): number[] => [0xb8, ...imm32(1), 0x0f, 0xa2, 0x89, 0x15, ...imm32(at)];
  /** mov eax, [0xfee000f0]; mov [at], eax */
  const SPURIOUS_TO = (at: number): number[] => [0xa1, ...imm32(0xfee0_00f0), 0xa3, ...imm32(at)];
  const APIC_FEATURE = 1 << 9;

  test('says that the APIC is enabled and the CPU the bootstrap processor', async () => {
    const machine = await TestMachine.create();
    machine.load([...READ_TO(SAVED), 0x89, 0x15, ...imm32(SAVED + 4), 0xf4]); // mov [saved + 4], edx
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(SAVED), 0xfee0_0900);
    assert.equal(machine.memory.readU32(SAVED + 4), 0);
  });

  test('clearing bit 11 takes the APIC and its feature bit away, and setting it brings back one at power-on', async () => {
    const machine = await TestMachine.create({ value: 0x1234_5678 });
    // prettier-ignore
    machine.load([
      ...ENABLE_APIC,
      ...FEATURES_TO(SAVED),
      ...writeBase(0xfee0_0000), ...READ_TO(SAVED + 4), ...FEATURES_TO(SAVED + 8), ...SPURIOUS_TO(SAVED + 12),
      ...writeBase(0xfee0_0900), ...READ_TO(SAVED + 16), ...FEATURES_TO(SAVED + 20), ...SPURIOUS_TO(SAVED + 24),
      0xf4,
    ]);
    machine.runUntilHalted();
    const saved = Array.from({ length: 7 }, (_, index) => machine.memory.readU32(SAVED + 4 * index));
    assert.equal((saved[0] as number) & APIC_FEATURE, APIC_FEATURE);
    assert.equal(saved[1], 0xfee0_0100);
    assert.equal((saved[2] as number) & APIC_FEATURE, 0);
    assert.equal(saved[3], 0x1234_5678, 'its page is ordinary space, which traps');
    assert.deepEqual(machine.accesses, ['load fee000f0/4']);
    assert.equal(saved[4], 0xfee0_0900);
    assert.equal((saved[5] as number) & APIC_FEATURE, APIC_FEATURE);
    assert.equal(saved[6], 0xff);
  });

  test('a reset of the VM enables the APIC again', async () => {
    const machine = await TestMachine.create();
    machine.load([...writeBase(0xfee0_0000), 0xf4]);
    machine.runUntilHalted();
    machine.load([...READ_TO(SAVED), ...FEATURES_TO(SAVED + 4), ...SPURIOUS_TO(SAVED + 8), 0xf4]);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(SAVED), 0xfee0_0900);
    assert.equal(machine.memory.readU32(SAVED + 4) & APIC_FEATURE, APIC_FEATURE);
    assert.equal(machine.memory.readU32(SAVED + 8), 0xff);
  });

  for (const [what, low, high] of [
    ['x2APIC mode, which there is not', 0xfee0_0c00, 0],
    ['a reserved bit', 0xfee0_0901, 0],
    ['an address above 32 bits', 0xfee0_0900, 1],
  ] as const)
    test(`a write with ${what} is a #GP and changes nothing`, async () => {
      const machine = await TestMachine.create();
      // add esp, 4: the error code; inc; add dword [esp], 2: behind WRMSR; iret
      machine.setGate(13, HANDLER, [0x83, 0xc4, 0x04, ...COUNT_ONE, 0x83, 0x04, 0x24, 0x02, 0xcf]);
      machine.load([...LOAD_IDT, ...writeBase(low, high), ...READ_TO(SAVED), 0xf4]);
      machine.runUntilHalted();
      assert.equal(machine.memory.readU32(COUNT), 1);
      assert.equal(machine.memory.readU32(SAVED), 0xfee0_0900);
    });
});

describe('accesses to the controllers of other sizes', () => {
  test('loads of one and two bytes get their part of a register of the APICs', async () => {
    const machine = await TestMachine.create();
    // mov al, [0xfee00032]; mov [0x6000], al; mov ax, [0xfee00030]; mov [0x6004], ax; hlt
    machine.load([
      0xa0,
      ...imm32(0xfee0_0032),
      0xa2,
      ...imm32(0x6000),
      0x66,
      0xa1,
      ...imm32(0xfee0_0030),
      0x66,
      0xa3,
      ...imm32(0x6004),
      0xf4,
    ]);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU8(0x6000), 0x05);
    assert.equal(machine.memory.readU16(0x6004), 0x14);
    assert.deepEqual(machine.accesses, []);
  });

  test('stores of one byte to the APICs are dropped, and words at the 8259s read all ones', async () => {
    const machine = await TestMachine.create();
    // prettier-ignore
    machine.load([
      0xc6, 0x05, ...imm32(0xfee0_0080), 0x20,               // mov byte [0xfee00080], 0x20
      0xa1, ...imm32(0xfee0_0080), 0xa3, ...imm32(0x6000),   // mov eax, [0xfee00080]; mov [0x6000], eax
      0x66, 0xb8, 0x00, 0x00, 0x66, 0xe7, 0x21,              // mov ax, 0; out 0x21, ax
      0xe4, 0x21, 0xa2, ...imm32(0x6004),                    // in al, 0x21; mov [0x6004], al
      0x66, 0xe5, 0x21, 0x66, 0xa3, ...imm32(0x6008), 0xf4,  // in ax, 0x21; mov [0x6008], ax; hlt
    ]);
    machine.runUntilHalted();
    assert.equal(machine.memory.readU32(0x6000), 0);
    assert.equal(machine.memory.readU8(0x6004), 0xff);
    assert.equal(machine.memory.readU16(0x6008), 0xffff);
    assert.deepEqual(machine.accesses, []);
  });
});
