import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Delivery, MessageBit } from './apic-message.js';
import { LocalApic } from './local-apic.js';

const ID = 0x20;
const TPR = 0x80;
const PPR = 0xa0;
const EOI = 0xb0;
const LDR = 0xd0;
const DFR = 0xe0;
const SVR = 0xf0;
const ISR = 0x100;
const TMR = 0x180;
const IRR = 0x200;
const ESR = 0x280;
const ICR_LOW = 0x300;
const ICR_HIGH = 0x310;
const TIMER = 0x320;
const LINT0 = 0x350;
const LINT1 = 0x360;
const ERROR = 0x370;
const INITIAL_COUNT = 0x380;
const CURRENT_COUNT = 0x390;
const DIVIDE = 0x3e0;
const DIVIDE_BY_1 = 0xb;
const PERIODIC = 1 << 17;
const MASKED = 1 << 16;
const REMOTE_IRR = 1 << 14;
const LVT = [TIMER, 0x330, 0x340, LINT0, LINT1, ERROR];
const NONE = -1;

class Machine {
  timeMs = 0;
  nmis = 0;
  enabled = 0;
  readonly ended: number[] = [];
  readonly apic: LocalApic;

  constructor({ isEnabled = true, exists = true } = {}) {
    this.apic = new LocalApic(
      {
        nmi: () => {
          this.nmis++;
        },
        acceptsMore: () => {
          this.enabled++;
        },
        endOfInterrupt: (vector) => void this.ended.push(vector),
      },
      () => this.timeMs,
      exists,
    );
    if (isEnabled) this.apic.write(SVR, 0x1ff);
  }

  /** The word of a 256-bit register that has the vector's bit. */
  has(register: number, vector: number): boolean {
    return (this.apic.read(register + 16 * (vector >>> 5)) & (1 << (vector & 31))) !== 0;
  }

  expire(timeMs: number): number {
    this.timeMs = timeMs;
    return this.apic.expire(timeMs);
  }
}

function logical(vector: number): number {
  return MessageBit.IS_LOGICAL | vector;
}

describe('the registers of the local APIC', () => {
  test('at power-on', () => {
    const { apic } = new Machine({ isEnabled: false });
    assert.equal(apic.read(ID), 0);
    assert.equal(apic.read(0x30), 0x5_0014);
    assert.equal(apic.read(TPR), 0);
    assert.equal(apic.read(LDR), 0);
    assert.equal(apic.read(DFR), 0xffff_ffff);
    assert.equal(apic.read(SVR), 0xff);
    for (const entry of LVT) assert.equal(apic.read(entry), MASKED);
    for (const register of [ISR, TMR, IRR])
      for (let word = 0; word < 8; word++) assert.equal(apic.read(register + 16 * word), 0);
    for (const register of [ESR, ICR_LOW, ICR_HIGH, INITIAL_COUNT, CURRENT_COUNT, DIVIDE])
      assert.equal(apic.read(register), 0);
  });

  test('have only the bits that the SDM gives them', () => {
    const { apic } = new Machine();
    for (const [register, value] of [
      [ID, 0],
      [0x30, 0x5_0014],
      [TPR, 0xff],
      [0x90, 0],
      [PPR, 0xff],
      [0xc0, 0],
      [LDR, 0xff00_0000],
      [DFR, 0xffff_ffff],
      [SVR, 0x3ff],
      [ISR, 0],
      [TMR + 16, 0],
      [IRR + 0x70, 0],
      [ICR_HIGH, 0xff00_0000],
      [TIMER, 0x3_00ff],
      [0x330, 0x1_07ff],
      [0x340, 0x1_07ff],
      [LINT0, 0x1_a7ff],
      [LINT1, 0x1_a7ff],
      [ERROR, 0x1_00ff],
      [INITIAL_COUNT, 0xffff_ffff],
      [DIVIDE, 0xb],
    ] as const) {
      apic.write(register, 0xffff_ffff);
      assert.equal(apic.read(register), value, register.toString(16));
    }
    apic.write(DFR, 0);
    assert.equal(apic.read(DFR), 0x0fff_ffff);
    apic.write(ICR_LOW, 0xffff_ffff);
    assert.equal(apic.read(ICR_LOW), 0xc_cfff);
  });

  test('that do not exist read 0 and set the error: illegal register address', () => {
    for (const access of [
      (apic: LocalApic): void => assert.equal(apic.read(0x10), 0),
      (apic: LocalApic): void => apic.write(0x3f0, 1),
      (apic: LocalApic): void => assert.equal(apic.read(0x24), 0),
      (apic: LocalApic): void => apic.write(0x324, 0),
      (apic: LocalApic): void => apic.write(0x104, 0),
    ]) {
      const { apic } = new Machine();
      access(apic);
      assert.equal(apic.read(ESR), 0, 'before the write that updates it');
      apic.write(ESR, 0);
      assert.equal(apic.read(ESR), 0x80);
      apic.write(ESR, 0);
      assert.equal(apic.read(ESR), 0);
    }
  });
});

describe('a fixed interrupt at the local APIC', () => {
  test('goes from request to service, and its end clears it', () => {
    const machine = new Machine();
    const { apic } = machine;
    assert.equal(apic.receive(0x51, 0), true);
    assert.equal(apic.receive(0x51, 0), true);
    assert.ok(machine.has(IRR, 0x51));
    assert.equal(apic.acknowledge(), 0x51);
    assert.ok(machine.has(ISR, 0x51) && !machine.has(IRR, 0x51));
    assert.equal(apic.pending, NONE);
    apic.write(EOI, 0);
    assert.ok(!machine.has(ISR, 0x51));
    assert.deepEqual(machine.ended, []);
    apic.write(EOI, 0);
    assert.equal(apic.acknowledge(), NONE);
  });

  test('is one of several vectors, the highest first', () => {
    const { apic } = new Machine();
    for (const vector of [0x31, 0xff, 0x80, 0x10]) apic.receive(vector, 0);
    const taken = Array.from({ length: 4 }, () => {
      const vector = apic.acknowledge();
      apic.write(EOI, 0);
      return vector;
    });
    assert.deepEqual(taken, [0xff, 0x80, 0x31, 0x10]);
  });

  test('waits while its class is not above that of the vector in service', () => {
    const { apic } = new Machine();
    apic.receive(0x52, 0);
    apic.acknowledge();
    apic.receive(0x5f, 0);
    assert.equal(apic.pending, NONE);
    assert.equal(apic.read(PPR), 0x50);
    apic.receive(0x60, 0);
    assert.equal(apic.acknowledge(), 0x60);
    assert.equal(apic.read(PPR), 0x60);
    apic.write(EOI, 0);
    assert.equal(apic.pending, NONE);
    apic.write(EOI, 0);
    assert.equal(apic.pending, 0x5f);
  });

  test('waits while its class is not above the task priority', () => {
    const { apic } = new Machine();
    apic.receive(0x4f, 0);
    apic.write(TPR, 0x4a);
    assert.equal(apic.read(PPR), 0x4a);
    assert.equal(apic.pending, NONE);
    apic.write(TPR, 0x3f);
    assert.equal(apic.acknowledge(), 0x4f);
    assert.equal(apic.read(PPR), 0x40);
    apic.write(TPR, 0x41);
    assert.equal(apic.read(PPR), 0x41, 'of equal classes the task priority is the value');
  });

  test('that is level-triggered sets its bit in TMR and sends its end to the I/O APICs', () => {
    const machine = new Machine();
    const { apic } = machine;
    apic.receive(MessageBit.LEVEL | 0x51, 0);
    assert.ok(machine.has(TMR, 0x51));
    apic.acknowledge();
    apic.write(EOI, 0);
    assert.deepEqual(machine.ended, [0x51]);
    apic.receive(0x51, 0);
    assert.ok(!machine.has(TMR, 0x51));
    apic.acknowledge();
    apic.write(EOI, 0);
    assert.deepEqual(machine.ended, [0x51]);
  });

  test('with a vector below 16 sets the error: received illegal vector, and is not accepted', () => {
    const { apic } = new Machine();
    assert.equal(apic.receive(0x0f, 0), false);
    apic.write(ESR, 0);
    assert.equal(apic.read(ESR), 0x40);
    assert.equal(apic.pending, NONE);
  });

  test('of lowest priority is accepted as a fixed one', () => {
    const { apic } = new Machine();
    assert.equal(apic.receive((Delivery.LOWEST_PRIORITY << 8) | 0x51, 0), true);
    assert.equal(apic.pending, 0x51);
  });
});

describe('the destination of a message', () => {
  test('physical: APIC ID 0 and the broadcast', () => {
    for (const [destination, accepted] of [
      [0, true],
      [1, false],
      [0xfe, false],
      [0xff, true],
    ] as const)
      assert.equal(new Machine().apic.receive(0x51, destination), accepted, `${destination}`);
  });

  test('logical, flat: a common bit with the logical destination register, or the broadcast', () => {
    const { apic } = new Machine();
    assert.equal(apic.receive(logical(0x51), 1), false, 'the register is 0 at power-on');
    apic.write(LDR, 0x0200_0000);
    assert.equal(apic.receive(logical(0x51), 1), false);
    assert.equal(apic.receive(logical(0x51), 0x03), true);
    assert.equal(apic.receive(logical(0x52), 0xff), true);
  });

  test('logical, cluster: the same cluster and a common bit', () => {
    const { apic } = new Machine();
    apic.write(DFR, 0);
    apic.write(LDR, 0x3200_0000);
    assert.equal(apic.receive(logical(0x51), 0x23), false);
    assert.equal(apic.receive(logical(0x51), 0x31), false);
    assert.equal(apic.receive(logical(0x51), 0x33), true);
    assert.equal(apic.receive(logical(0x51), 0xff), true);
  });

  test('logical, another model: only the broadcast', () => {
    const { apic } = new Machine();
    apic.write(DFR, 0x4000_0000);
    apic.write(LDR, 0x3200_0000);
    assert.equal(apic.receive(logical(0x51), 0x32), false);
    assert.equal(apic.receive(logical(0x51), 0xff), true);
  });
});

describe('a local APIC that software disabled', () => {
  test('accepts no vector, and an NMI', () => {
    const machine = new Machine({ isEnabled: false });
    assert.equal(machine.apic.receive(0x51, 0), false);
    assert.ok(!machine.has(IRR, 0x51));
    machine.apic.receive(Delivery.NMI << 8, 0);
    assert.equal(machine.nmis, 1);
  });

  test('keeps what it has, and delivers it when it is enabled again', () => {
    const { apic } = new Machine();
    apic.receive(0x51, 0);
    apic.write(SVR, 0xff);
    assert.equal(apic.pending, NONE);
    apic.write(SVR, 0x1ff);
    assert.equal(apic.pending, 0x51);
  });

  test('has a masked local vector table, whatever is written to it', () => {
    const { apic } = new Machine();
    for (const entry of LVT) apic.write(entry, 0x40);
    apic.write(SVR, 0xff);
    for (const entry of LVT) assert.equal(apic.read(entry), MASKED | 0x40);
    for (const entry of LVT) apic.write(entry, 0x41);
    for (const entry of LVT) assert.equal(apic.read(entry), MASKED | 0x41);
    apic.write(SVR, 0x1ff);
    for (const entry of LVT) assert.equal(apic.read(entry), MASKED | 0x41);
  });

  test('says so when it becomes enabled, once', () => {
    const machine = new Machine({ isEnabled: false });
    machine.apic.write(SVR, 0x1ff);
    machine.apic.write(SVR, 0x1fe);
    assert.equal(machine.enabled, 1);
  });

  test('says so too when its logical destination or the model of it changes', () => {
    const machine = new Machine();
    machine.apic.write(LDR, 0x0100_0000);
    assert.equal(machine.enabled, 2);
    machine.apic.write(DFR, 0);
    assert.equal(machine.enabled, 3);
  });

  test('lets the 8259s through at LINT0, as one does that does not exist for the guest', () => {
    assert.equal(new Machine({ isEnabled: false }).apic.passesLint0, true);
    assert.equal(new Machine({ isEnabled: false, exists: false }).apic.passesLint0, true);
  });
});

describe('a local APIC that IA32_APIC_BASE disabled', () => {
  test('accepts nothing', () => {
    const machine = new Machine({ exists: false });
    assert.equal(machine.apic.receive(0x51, 0xff), false);
    machine.apic.receive(Delivery.NMI << 8, 0);
    assert.equal(machine.nmis, 0);
    assert.equal(machine.apic.pending, NONE);
  });
});

describe('LINT0 of an enabled local APIC', () => {
  test('passes the 8259s only while its entry is an unmasked ExtINT', () => {
    const { apic } = new Machine();
    assert.equal(apic.passesLint0, false);
    apic.write(LINT0, 0x700);
    assert.equal(apic.passesLint0, true);
    apic.write(LINT0, MASKED | 0x700);
    assert.equal(apic.passesLint0, false);
    apic.write(LINT0, 0x40);
    assert.equal(apic.passesLint0, false);
  });

  test('programmed as a fixed edge requests its vector once for each rise', () => {
    const { apic } = new Machine();
    apic.write(LINT0, 0x40);
    apic.setLint0(true);
    apic.setLint0(true);
    assert.equal(apic.acknowledge(), 0x40);
    apic.write(EOI, 0);
    assert.equal(apic.pending, NONE);
    apic.setLint0(false);
    apic.setLint0(true);
    assert.equal(apic.pending, 0x40);
  });

  test('programmed as a fixed level sets Remote IRR and requests again after each end', () => {
    const { apic } = new Machine();
    apic.setLint0(true);
    apic.write(LINT0, MessageBit.LEVEL | 0x40);
    assert.equal(apic.read(LINT0), MessageBit.LEVEL | REMOTE_IRR | 0x40);
    apic.setLint0(false);
    apic.setLint0(true);
    assert.equal(apic.acknowledge(), 0x40);
    assert.equal(apic.pending, NONE);
    apic.write(EOI, 0);
    assert.equal(apic.acknowledge(), 0x40);
    apic.setLint0(false);
    apic.write(EOI, 0);
    assert.equal(apic.pending, NONE);
    assert.equal(apic.read(LINT0), MessageBit.LEVEL | 0x40);
  });

  test('programmed as NMI makes one of each rise, unless it is masked', () => {
    const machine = new Machine();
    machine.apic.write(LINT0, 0x400);
    machine.apic.setLint0(true);
    machine.apic.setLint0(false);
    machine.apic.write(LINT0, MASKED | 0x400);
    machine.apic.setLint0(true);
    assert.equal(machine.nmis, 1);
  });
});

describe('LINT0 with an active-low entry', () => {
  const ACTIVE_LOW = 1 << 13;

  test('takes the falling edge as the one that counts', () => {
    const { apic } = new Machine();
    apic.write(LINT0, ACTIVE_LOW | 0x40);
    assert.equal(apic.pending, NONE, 'a write of the entry is no edge');
    apic.setLint0(true);
    assert.equal(apic.pending, NONE);
    apic.setLint0(false);
    assert.equal(apic.acknowledge(), 0x40);
  });

  test('takes the low level as the asserted one', () => {
    const { apic } = new Machine();
    apic.write(LINT0, ACTIVE_LOW | MessageBit.LEVEL | 0x40);
    assert.equal(apic.acknowledge(), 0x40);
    apic.write(EOI, 0);
    assert.equal(apic.acknowledge(), 0x40, 'it is still low');
    apic.setLint0(true);
    apic.write(EOI, 0);
    assert.equal(apic.pending, NONE);
    apic.setLint0(false);
    assert.equal(apic.pending, 0x40);
  });

  test('makes an NMI of the falling edge alone', () => {
    const machine = new Machine();
    machine.apic.write(LINT0, ACTIVE_LOW | MessageBit.LEVEL | 0x400);
    machine.apic.write(LINT0, ACTIVE_LOW | MessageBit.LEVEL | 0x400);
    machine.apic.setLint0(true);
    assert.equal(machine.nmis, 0);
    machine.apic.setLint0(false);
    assert.equal(machine.nmis, 1);
  });

  test('passes the 8259s if it is an ExtINT', () => {
    const { apic } = new Machine();
    apic.write(LINT0, ACTIVE_LOW | 0x700);
    assert.equal(apic.passesLint0, true);
  });
});

describe('an interrupt command', () => {
  test('without a shorthand goes to its destination', () => {
    const { apic } = new Machine();
    apic.write(ICR_HIGH, 0x0100_0000);
    apic.write(ICR_LOW, 0x51);
    assert.equal(apic.pending, NONE);
    apic.write(ICR_HIGH, 0);
    apic.write(ICR_LOW, 0x51);
    assert.equal(apic.pending, 0x51);
    apic.write(LDR, 0x0400_0000);
    apic.write(ICR_HIGH, 0x0400_0000);
    apic.write(ICR_LOW, logical(0x61));
    assert.equal(apic.pending, 0x61);
  });

  test('to self and to all arrives, to all others does not', () => {
    for (const [shorthand, arrives] of [
      [1, true],
      [2, true],
      [3, false],
    ] as const) {
      const { apic } = new Machine();
      apic.write(ICR_HIGH, 0x0500_0000);
      apic.write(ICR_LOW, (shorthand << 18) | 0x51);
      assert.equal(apic.pending, arrives ? 0x51 : NONE);
    }
  });

  test('of NMI arrives by destination and by shorthand, whatever its vector', () => {
    const machine = new Machine();
    for (const shorthand of [0, 1, 2, 3]) machine.apic.write(ICR_LOW, (shorthand << 18) | 0x4400);
    assert.equal(machine.nmis, 3);
    machine.apic.write(ESR, 0);
    assert.equal(machine.apic.read(ESR), 0);
  });

  test('is an edge, whatever its trigger mode bit says', () => {
    const machine = new Machine();
    machine.apic.write(ICR_LOW, (1 << 18) | MessageBit.LEVEL | 0x51);
    assert.ok(!machine.has(TMR, 0x51));
  });

  test('with a vector below 16 sets the error: send illegal vector', () => {
    const { apic } = new Machine();
    apic.write(ICR_LOW, (1 << 18) | 0x0f);
    apic.write(ESR, 0);
    assert.equal(apic.read(ESR), 0x20);
  });

  test('of INIT, STARTUP or SMI does nothing', () => {
    const machine = new Machine();
    for (const delivery of [Delivery.SMI, Delivery.INIT, Delivery.STARTUP])
      machine.apic.write(ICR_LOW, (delivery << 8) | 0x40);
    assert.equal(machine.apic.pending, NONE);
    assert.equal(machine.nmis, 0);
  });
});

describe('an error of the local APIC', () => {
  test('fires the error entry once, until the error status register is written', () => {
    const { apic } = new Machine();
    apic.write(ERROR, 0x45);
    apic.read(0x10);
    assert.equal(apic.acknowledge(), 0x45);
    apic.write(EOI, 0);
    apic.receive(0x0f, 0);
    assert.equal(apic.pending, NONE);
    apic.write(ESR, 0);
    assert.equal(apic.read(ESR), 0xc0);
    apic.read(0x10);
    assert.equal(apic.pending, 0x45);
  });

  test('with an illegal vector in the error entry is only noted', () => {
    const { apic } = new Machine();
    apic.write(ERROR, 0x05);
    apic.read(0x10);
    apic.write(ESR, 0);
    assert.equal(apic.read(ESR), 0xc0);
    assert.equal(apic.pending, NONE);
  });
});

describe('the timer of the local APIC', () => {
  test('one-shot: counts down to 0 and interrupts once', () => {
    const machine = new Machine();
    const { apic } = machine;
    apic.write(DIVIDE, DIVIDE_BY_1);
    apic.write(TIMER, 0x40);
    apic.write(INITIAL_COUNT, 2_000_000);
    machine.timeMs = 0.5;
    assert.equal(apic.read(CURRENT_COUNT), 1_500_000);
    assert.equal(machine.expire(1.9), 2 - 1.9);
    assert.equal(apic.pending, NONE);
    assert.equal(machine.expire(2), Infinity);
    assert.equal(apic.acknowledge(), 0x40);
    apic.write(EOI, 0);
    assert.equal(apic.read(CURRENT_COUNT), 0);
    assert.equal(machine.expire(10), Infinity);
    assert.equal(apic.pending, NONE);
  });

  test('periodic: keeps its phase, and makes one interrupt of several missed ones', () => {
    const machine = new Machine();
    const { apic } = machine;
    apic.write(DIVIDE, DIVIDE_BY_1);
    apic.write(TIMER, PERIODIC | 0x40);
    apic.write(INITIAL_COUNT, 1_000_000);
    assert.equal(machine.expire(1.25), 0.75);
    assert.equal(apic.acknowledge(), 0x40);
    apic.write(EOI, 0);
    assert.equal(machine.expire(4.5), 0.5);
    assert.equal(apic.acknowledge(), 0x40);
    apic.write(EOI, 0);
    assert.equal(apic.pending, NONE);
    machine.timeMs = 4.75;
    assert.equal(apic.read(CURRENT_COUNT), 250_000);
  });

  test('divides by 1 to 128', () => {
    for (const [value, divisor] of [
      [0x0, 2],
      [0x1, 4],
      [0x2, 8],
      [0x3, 16],
      [0x8, 32],
      [0x9, 64],
      [0xa, 128],
      [0xb, 1],
    ] as const) {
      const machine = new Machine();
      machine.apic.write(DIVIDE, value);
      machine.apic.write(INITIAL_COUNT, 1_000_000);
      machine.timeMs = 1;
      assert.equal(machine.apic.read(CURRENT_COUNT), 1_000_000 - Math.floor(1_000_000 / divisor), `${value}`);
    }
  });

  test('goes on from its count when the divisor changes', () => {
    const machine = new Machine();
    const { apic } = machine;
    apic.write(DIVIDE, DIVIDE_BY_1);
    apic.write(INITIAL_COUNT, 1_000_000);
    machine.timeMs = 0.5;
    apic.write(DIVIDE, 0x0);
    assert.equal(apic.read(CURRENT_COUNT), 500_000);
    machine.timeMs = 1;
    assert.equal(apic.read(CURRENT_COUNT), 250_000);
  });

  test('stops when the initial count becomes 0, and starts again with each other count', () => {
    const machine = new Machine();
    const { apic } = machine;
    apic.write(DIVIDE, DIVIDE_BY_1);
    apic.write(TIMER, 0x40);
    apic.write(INITIAL_COUNT, 1_000_000);
    apic.write(INITIAL_COUNT, 0);
    assert.equal(apic.read(INITIAL_COUNT), 0);
    assert.equal(machine.expire(5), Infinity);
    apic.write(INITIAL_COUNT, 1_000_000);
    assert.equal(machine.expire(5.5), 0.5);
    apic.write(INITIAL_COUNT, 1_000_000);
    assert.equal(machine.expire(6), 0.5);
    assert.equal(apic.pending, NONE);
  });

  test('a masked expiry is lost, and wakes no one', () => {
    const machine = new Machine();
    const { apic } = machine;
    apic.write(DIVIDE, DIVIDE_BY_1);
    apic.write(TIMER, MASKED | 0x40);
    apic.write(INITIAL_COUNT, 1_000_000);
    assert.equal(machine.expire(0.5), Infinity);
    machine.expire(1);
    apic.write(TIMER, 0x40);
    machine.expire(2);
    assert.equal(apic.pending, NONE);
  });

  test('its entry may become periodic while it counts', () => {
    const machine = new Machine();
    const { apic } = machine;
    apic.write(DIVIDE, DIVIDE_BY_1);
    apic.write(TIMER, 0x40);
    apic.write(INITIAL_COUNT, 1_000_000);
    apic.write(TIMER, PERIODIC | 0x40);
    assert.equal(machine.expire(1), 1);
  });
});
