import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IO_APIC_PINS, IoApic } from './io-apic.js';

const SELECT = 0x00;
const WINDOW = 0x10;
const VECTOR = 0x40;
const ACTIVE_LOW = 1 << 13;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const ALL_ONES = 0xffff_ffff;

class Machine {
  readonly sent: string[] = [];
  accepts = true;
  readonly ioApic = new IoApic((message, destination) => {
    this.sent.push(`${(message & 0xff).toString(16)} to ${destination.toString(16)}`);
    return this.accepts;
  });

  read(register: number): number {
    this.ioApic.write(SELECT, register);
    return this.ioApic.read(WINDOW);
  }

  write(register: number, value: number): void {
    this.ioApic.write(SELECT, register);
    this.ioApic.write(WINDOW, value);
  }

  program(pin: number, entry: number): void {
    this.write(0x10 + 2 * pin, entry);
  }

  entry(pin: number): number {
    return this.read(0x10 + 2 * pin);
  }
}

describe('the registers of the I/O APIC', () => {
  test('identification and arbitration: four bits, zero at reset; the arbitration register is read-only', () => {
    const machine = new Machine();
    assert.deepEqual([machine.read(0), machine.read(2)], [0, 0]);
    machine.write(0, ALL_ONES);
    machine.write(2, 0);
    assert.deepEqual([machine.read(0), machine.read(2)], [0x0f00_0000, 0x0f00_0000]);
  });

  test('version: 0x11, 48 pins, read-only', () => {
    const machine = new Machine();
    machine.write(1, 0);
    assert.equal(machine.read(1), 0x2f_0011);
  });

  test('the register select has eight bits and reads back', () => {
    const machine = new Machine();
    machine.ioApic.write(SELECT, 0x1234_5611);
    assert.equal(machine.ioApic.read(SELECT), 0x11);
  });

  test('each entry is masked at reset, and the destination is 0', () => {
    const machine = new Machine();
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      assert.equal(machine.entry(pin), MASKED);
      assert.equal(machine.read(0x11 + 2 * pin), 0);
    }
  });

  test('reserved bits, delivery status and Remote IRR cannot be written', () => {
    const machine = new Machine();
    machine.program(47, ALL_ONES);
    machine.write(0x11 + 2 * 47, ALL_ONES);
    assert.equal(machine.entry(47), 0x1_afff);
    assert.equal(machine.read(0x11 + 2 * 47), 0xff00_0000);
  });

  test('registers that do not exist read 0, other addresses all ones, and writes to them do nothing', () => {
    const machine = new Machine();
    for (const register of [3, 0x0f, 0x70, 0xff]) {
      machine.write(register, 0);
      assert.equal(machine.read(register), 0);
    }
    for (const offset of [4, 8, 0x14, 0x20, 0x40]) {
      machine.ioApic.write(offset, 0);
      assert.equal(machine.ioApic.read(offset), ALL_ONES);
    }
    assert.deepEqual(machine.sent, []);
  });
});

describe('an edge-triggered pin of the I/O APIC', () => {
  for (const pin of [0, 23, 24, 47])
    test(`pin ${pin} sends one message for each edge`, () => {
      const machine = new Machine();
      machine.program(pin, VECTOR);
      machine.write(0x11 + 2 * pin, 0x0300_0000);
      machine.ioApic.setPin(pin, true);
      machine.ioApic.setPin(pin, true);
      assert.deepEqual(machine.sent, ['40 to 3']);
      machine.ioApic.setPin(pin, false);
      machine.ioApic.setPin(pin, true);
      assert.equal(machine.sent.length, 2);
      assert.equal(machine.entry(pin), VECTOR, 'an edge leaves Remote IRR alone');
    });

  test('an edge on a masked pin is lost', () => {
    const machine = new Machine();
    machine.program(20, MASKED | VECTOR);
    machine.ioApic.setPin(20, true);
    machine.program(20, VECTOR);
    assert.deepEqual(machine.sent, []);
  });

  test('bit 13 makes the falling edge the one that counts', () => {
    const machine = new Machine();
    machine.program(20, ACTIVE_LOW | VECTOR);
    machine.ioApic.setPin(20, true);
    assert.deepEqual(machine.sent, []);
    machine.ioApic.setPin(20, false);
    assert.equal(machine.sent.length, 1);
  });

  test('a change of the polarity bit is no edge', () => {
    const machine = new Machine();
    machine.program(20, VECTOR);
    machine.program(20, ACTIVE_LOW | VECTOR);
    assert.deepEqual(machine.sent, []);
  });
});

describe('a level-triggered pin of the I/O APIC', () => {
  test('sets Remote IRR when it is accepted, and sends nothing more until the end of interrupt', () => {
    const machine = new Machine();
    machine.program(20, LEVEL | VECTOR);
    machine.ioApic.setPin(20, true);
    assert.equal(machine.entry(20), REMOTE_IRR | LEVEL | VECTOR);
    machine.ioApic.setPin(20, false);
    machine.ioApic.setPin(20, true);
    machine.program(20, LEVEL | VECTOR);
    assert.equal(machine.sent.length, 1);
  });

  test('sends again at the end of interrupt while it is asserted', () => {
    const machine = new Machine();
    machine.program(20, LEVEL | VECTOR);
    machine.ioApic.setPin(20, true);
    machine.ioApic.endOfInterrupt(VECTOR);
    assert.equal(machine.sent.length, 2);
    assert.equal(machine.entry(20), REMOTE_IRR | LEVEL | VECTOR);
    machine.ioApic.setPin(20, false);
    machine.ioApic.endOfInterrupt(VECTOR);
    assert.equal(machine.sent.length, 2);
    assert.equal(machine.entry(20), LEVEL | VECTOR);
  });

  test('an end of interrupt concerns all pins with that vector, and no others', () => {
    const machine = new Machine();
    for (const [pin, vector] of [
      [20, VECTOR],
      [21, VECTOR],
      [22, VECTOR + 1],
    ] as const) {
      machine.program(pin, LEVEL | vector);
      machine.ioApic.setPin(pin, true);
      machine.ioApic.setPin(pin, false);
    }
    machine.ioApic.endOfInterrupt(VECTOR);
    const waits = [20, 21, 22].map((pin) => (machine.entry(pin) & REMOTE_IRR) !== 0);
    assert.deepEqual(waits, [false, false, true]);
  });

  test('that is asserted already sends as soon as its entry lets it', () => {
    const machine = new Machine();
    machine.ioApic.setPin(20, true);
    machine.program(20, MASKED | LEVEL | VECTOR);
    assert.deepEqual(machine.sent, []);
    machine.program(20, LEVEL | VECTOR);
    assert.equal(machine.sent.length, 1);
  });

  test('an edge-triggered entry that becomes level-triggered sends at once while the pin is asserted', () => {
    const machine = new Machine();
    machine.program(20, VECTOR);
    machine.ioApic.setPin(20, true);
    machine.program(20, LEVEL | VECTOR);
    assert.equal(machine.sent.length, 2);
  });

  test('a masked level that ends is forgotten', () => {
    const machine = new Machine();
    machine.program(20, MASKED | LEVEL | VECTOR);
    machine.ioApic.setPin(20, true);
    machine.ioApic.setPin(20, false);
    machine.program(20, LEVEL | VECTOR);
    assert.deepEqual(machine.sent, []);
  });

  test('bit 13 makes the low level the asserted one', () => {
    const machine = new Machine();
    machine.ioApic.setPin(20, true);
    machine.program(20, ACTIVE_LOW | LEVEL | VECTOR);
    assert.deepEqual(machine.sent, []);
    machine.ioApic.setPin(20, false);
    assert.equal(machine.sent.length, 1);
    machine.ioApic.setPin(20, true);
    machine.ioApic.endOfInterrupt(VECTOR);
    assert.equal(machine.sent.length, 1);
  });

  test('that no local APIC accepts keeps Remote IRR clear, and is tried again when one is enabled', () => {
    const machine = new Machine();
    machine.accepts = false;
    machine.program(20, LEVEL | VECTOR);
    machine.ioApic.setPin(20, true);
    assert.equal(machine.entry(20), LEVEL | VECTOR);
    machine.accepts = true;
    machine.ioApic.retry();
    assert.equal(machine.entry(20), REMOTE_IRR | LEVEL | VECTOR);
  });

  test('that no local APIC accepts is tried again when its destination is written', () => {
    const machine = new Machine();
    machine.accepts = false;
    machine.write(0x11 + 2 * 20, 5 << 24);
    machine.ioApic.setPin(20, true);
    machine.program(20, LEVEL | VECTOR);
    machine.accepts = true;
    machine.write(0x11 + 2 * 20, 3 << 24);
    assert.deepEqual(machine.sent, ['40 to 5', '40 to 3']);
    assert.equal(machine.entry(20), LEVEL | REMOTE_IRR | VECTOR);
    machine.write(0x11 + 2 * 20, 4 << 24);
    assert.equal(machine.sent.length, 2, 'it has been accepted');
  });

  test('loses Remote IRR when its entry becomes edge-triggered', () => {
    const machine = new Machine();
    machine.program(20, LEVEL | VECTOR);
    machine.ioApic.setPin(20, true);
    machine.program(20, MASKED | VECTOR);
    machine.program(20, LEVEL | VECTOR);
    assert.equal(machine.sent.length, 2);
  });

  test('keeps Remote IRR when it is masked, and sends nothing at the end of interrupt then', () => {
    const machine = new Machine();
    machine.program(20, LEVEL | VECTOR);
    machine.ioApic.setPin(20, true);
    machine.program(20, MASKED | LEVEL | VECTOR);
    assert.equal(machine.entry(20), MASKED | REMOTE_IRR | LEVEL | VECTOR);
    machine.ioApic.endOfInterrupt(VECTOR);
    assert.equal(machine.sent.length, 1);
    machine.program(20, LEVEL | VECTOR);
    assert.equal(machine.sent.length, 2);
  });

  test('NMI and the other deliveries without a vector are edges even if programmed as levels', () => {
    const machine = new Machine();
    machine.accepts = false;
    machine.program(20, LEVEL | 0x400);
    machine.ioApic.setPin(20, true);
    machine.program(20, LEVEL | 0x400);
    machine.ioApic.retry();
    assert.equal(machine.sent.length, 1);
  });
});
