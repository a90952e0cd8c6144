import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Delivery } from './apic-message.js';
import { InterruptControllers, NO_VECTOR } from './interrupt-controllers.js';

const SVR = 0xf0;
const EOI = 0xb0;
const LINT0 = 0x350;
const LEVEL = 1 << 15;
const VECTOR = 0x51;

function make({ isEnabled = true } = {}): InterruptControllers {
  const controllers = new InterruptControllers(() => 0);
  if (isEnabled) controllers.localApic.write(SVR, 0x1ff);
  return controllers;
}

/** Both 8259s: vectors from 0x20, nothing masked. */
function initializePics(controllers: InterruptControllers): void {
  const { pics } = controllers;
  for (const [chip, base] of [
    [pics.first, 0x20],
    [pics.second, 0x28],
  ] as const) {
    pics.write(chip, false, 0x11);
    for (const value of [base, 0x04, 0x01, 0]) pics.write(chip, true, value);
  }
  controllers.followPics();
}

function program(controllers: InterruptControllers, pin: number, entry: number): void {
  controllers.ioApic.write(0, 0x10 + 2 * pin);
  controllers.ioApic.write(0x10, entry);
}

describe('the interrupt controllers together', () => {
  test('the end of an interrupt is that of its line: at either 8259, of an edge and of a level at the I/O APIC', () => {
    const ends: number[] = [];
    const controllers = new InterruptControllers(
      () => 0,
      (line) => ends.push(line),
    );
    const { pics, localApic } = controllers;
    localApic.write(SVR, 0x1ff);
    initializePics(controllers);
    localApic.write(LINT0, 0x700);
    for (const line of [2, 4, 12]) controllers.raise(line);
    for (let interrupt = 0; interrupt < 3; interrupt++) {
      controllers.acknowledge();
      // Both chips, as for an interrupt of the second one. Without an interrupt it ends nothing.
      pics.write(pics.second, false, 0x20);
      pics.write(pics.first, false, 0x20);
      controllers.followPics();
    }
    assert.deepEqual(ends.splice(0), [2, 12, 4]);
    program(controllers, 20, VECTOR);
    program(controllers, 21, (VECTOR + 1) | LEVEL);
    program(controllers, 22, VECTOR);
    for (const line of [20, 21]) controllers.raise(line);
    controllers.lower(21);
    for (let interrupt = 0; interrupt < 3; interrupt++) {
      controllers.acknowledge();
      localApic.write(EOI, 0);
    }
    // A message has the vector of a pin that waits for no end.
    controllers.message(Delivery.FIXED, VECTOR);
    controllers.acknowledge();
    localApic.write(EOI, 0);
    assert.deepEqual(ends, [21, 20]);
  });

  test('a line below 16 reaches the 8259s and the I/O APIC, a higher one only the I/O APIC', () => {
    const controllers = make();
    initializePics(controllers);
    controllers.localApic.write(LINT0, 0x700);
    program(controllers, 4, VECTOR);
    program(controllers, 16, VECTOR + 16);
    controllers.raise(4);
    assert.deepEqual([controllers.acknowledge(), controllers.acknowledge()], [0x24, VECTOR]);
    controllers.raise(16);
    assert.deepEqual([controllers.acknowledge(), controllers.acknowledge()], [VECTOR + 16, NO_VECTOR]);
  });

  test("an interrupt of the 8259s reaches the CPU at once while the APIC is disabled, and then as LINT0's entry says", () => {
    const controllers = make({ isEnabled: false });
    initializePics(controllers);
    controllers.raise(4);
    assert.equal(controllers.isRequesting, true);
    controllers.localApic.write(SVR, 0x1ff);
    assert.equal(controllers.isRequesting, false);
    assert.equal(controllers.acknowledge(), NO_VECTOR);
    controllers.localApic.write(LINT0, 0x700);
    assert.equal(controllers.acknowledge(), 0x24);
  });

  test('the 8259s interrupt by pin 0 of the I/O APIC if its entry says ExtINT, and only then', () => {
    const controllers = make();
    initializePics(controllers);
    controllers.raise(4);
    program(controllers, 0, (1 << 16) | 0x700);
    assert.equal(controllers.isRequesting, false);
    program(controllers, 0, VECTOR);
    assert.equal(controllers.isRequesting, false);
    program(controllers, 0, 0x700);
    assert.equal(controllers.acknowledge(), 0x24);
  });

  test('the 8259s drive LINT0 as a pin: a fixed entry gives its own vector', () => {
    const controllers = make();
    initializePics(controllers);
    controllers.localApic.write(LINT0, VECTOR);
    controllers.raise(4);
    assert.equal(controllers.acknowledge(), VECTOR);
  });

  test('an end of interrupt reaches the I/O APIC, which sends a level again', () => {
    const controllers = make();
    program(controllers, 40, LEVEL | VECTOR);
    controllers.raise(40);
    assert.equal(controllers.acknowledge(), VECTOR);
    assert.equal(controllers.isRequesting, false);
    controllers.localApic.write(EOI, 0);
    assert.equal(controllers.acknowledge(), VECTOR);
    controllers.lower(40);
    controllers.localApic.write(EOI, 0);
    assert.equal(controllers.isRequesting, false);
  });

  test('a level that came while the local APIC was disabled by software is delivered when it is enabled', () => {
    const controllers = make({ isEnabled: false });
    program(controllers, 20, LEVEL | VECTOR);
    controllers.raise(20);
    assert.equal(controllers.isRequesting, false);
    controllers.localApic.write(SVR, 0x1ff);
    assert.equal(controllers.acknowledge(), VECTOR);
  });

  test('a level waits for a destination that is right, whichever register makes it so', () => {
    const LDR = 0xd0;
    const DFR = 0xe0;
    const LOGICAL = 1 << 11;
    const destine = (controllers: InterruptControllers, destination: number): void => {
      controllers.ioApic.write(0, 0x11 + 2 * 20);
      controllers.ioApic.write(0x10, destination << 24);
    };
    for (const [what, wrong, entry, right] of [
      ['high half', 5, 0, (controllers: InterruptControllers) => destine(controllers, 0)],
      ['LDR', 1, LOGICAL, ({ localApic }: InterruptControllers) => localApic.write(LDR, 1 << 24)],
      ['DFR', 0x20, LOGICAL, ({ localApic }: InterruptControllers) => localApic.write(DFR, 0xffff_ffff)],
    ] as const) {
      const controllers = make();
      if (what === 'DFR') {
        controllers.localApic.write(DFR, 0);
        controllers.localApic.write(LDR, 0x3000_0000);
      }
      destine(controllers, wrong);
      controllers.raise(20);
      program(controllers, 20, LEVEL | entry | VECTOR);
      assert.equal(controllers.isRequesting, false, what);
      right(controllers);
      assert.equal(controllers.acknowledge(), VECTOR, what);
    }
  });

  test('an edge that came while the local APIC was disabled by software is lost', () => {
    const controllers = make({ isEnabled: false });
    program(controllers, 20, VECTOR);
    controllers.raise(20);
    controllers.localApic.write(SVR, 0x1ff);
    assert.equal(controllers.isRequesting, false);
  });

  test('an NMI comes from a pin of the I/O APIC, from a message and from a command; several are one', () => {
    const controllers = make();
    for (const send of [
      () => {
        program(controllers, 20, 0x400);
        controllers.raise(20);
      },
      () => controllers.message(Delivery.NMI, 0),
      () => controllers.localApic.write(0x300, 0x4_4400),
    ]) {
      send();
      send();
      assert.equal(controllers.hasNmi, true);
      controllers.takeNmi();
      assert.equal(controllers.hasNmi, false);
    }
    assert.equal(controllers.isRequesting, false);
  });

  test('a message is an edge at the local APIC, and one of another kind does nothing', () => {
    const controllers = make();
    for (const delivery of [Delivery.SMI, Delivery.INIT, Delivery.EXT_INT]) controllers.message(delivery, VECTOR);
    assert.equal(controllers.isRequesting, false);
    controllers.message(Delivery.LOWEST_PRIORITY, VECTOR);
    assert.equal(controllers.acknowledge(), VECTOR);
  });

  test('a local APIC that comes back is as at power-on', () => {
    const controllers = make();
    initializePics(controllers);
    controllers.localApic.write(0x80, 0x20);
    controllers.message(Delivery.FIXED, VECTOR);
    controllers.raise(4);
    controllers.setLocalApicExists(false);
    assert.equal(controllers.acknowledge(), 0x24, 'the 8259s go directly to the CPU');
    assert.equal(controllers.isRequesting, false);
    controllers.setLocalApicExists(true);
    assert.equal(controllers.localApic.read(SVR), 0xff);
    assert.equal(controllers.localApic.read(0x80), 0);
    controllers.localApic.write(SVR, 0x1ff);
    assert.equal(controllers.isRequesting, false);
  });

  test('a reset is a power-on of all of them', () => {
    const controllers = make();
    initializePics(controllers);
    program(controllers, 20, LEVEL | VECTOR);
    controllers.raise(20);
    controllers.raise(4);
    controllers.message(Delivery.NMI, 0);
    controllers.reset();
    assert.equal(controllers.isRequesting, false);
    assert.equal(controllers.hasNmi, false);
    assert.equal(controllers.pics.read(controllers.pics.first, true), 0xff);
    controllers.ioApic.write(0, 0x10 + 40);
    assert.equal(controllers.ioApic.read(0x10), 0x1_0000);
  });
});
