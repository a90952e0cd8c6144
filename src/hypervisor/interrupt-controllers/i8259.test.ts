import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { I8259, NO_REQUEST } from './i8259.js';
import { I8259Pair } from './i8259-pair.js';

const NON_SPECIFIC_END = 0x20;
const READ_REQUESTS = 0x0a;
const READ_IN_SERVICE = 0x0b;
const POLL = 0x0c;
const SPECIAL_MASK_ON = 0x68;
const SPECIAL_MASK_OFF = 0x48;

/** Initializes a chip: vectors from `base`, ICW4, nothing masked. */
function initialize(chip: I8259, base = 0x20, icw4 = 0x01): void {
  chip.write(false, 0x11);
  chip.write(true, base);
  chip.write(true, 0x04);
  chip.write(true, icw4);
  chip.write(true, 0);
}

function make(icw4 = 0x01): I8259 {
  const chip = new I8259({ cascadePin: 2, levelPins: 0xf8 });
  initialize(chip, 0x20, icw4);
  return chip;
}

function pulse(chip: I8259, pin: number): void {
  chip.setPin(pin, true);
  chip.setPin(pin, false);
}

function register(chip: I8259, command: number): number {
  chip.write(false, command);
  return chip.read(false);
}

describe('an 8259', () => {
  test('masks everything at power-on', () => {
    const chip = new I8259({ levelPins: 0 });
    assert.equal(chip.read(true), 0xff);
    chip.setPin(3, true);
    assert.equal(chip.pending, NO_REQUEST);
  });

  test('keeps an edge as a request until it is acknowledged, though the pin is low', () => {
    const chip = make();
    pulse(chip, 4);
    assert.equal(register(chip, READ_REQUESTS), 0x10);
    assert.equal(chip.acknowledge(), 4);
    assert.equal(chip.vectorOf(4), 0x24);
    assert.equal(register(chip, READ_REQUESTS), 0);
    assert.equal(register(chip, READ_IN_SERVICE), 0x10);
  });

  test('makes one request of an edge, however long the pin is high', () => {
    const chip = make();
    chip.setPin(4, true);
    assert.equal(chip.acknowledge(), 4);
    chip.write(false, NON_SPECIFIC_END);
    chip.setPin(4, true);
    assert.equal(chip.pending, NO_REQUEST);
    chip.setPin(4, false);
    chip.setPin(4, true);
    assert.equal(chip.pending, 4);
  });

  test('makes requests of a level while the pin is high', () => {
    const chip = make();
    chip.levelControl = 0x20;
    chip.setPin(5, true);
    for (let round = 0; round < 3; round++) {
      assert.equal(chip.acknowledge(), 5);
      assert.equal(chip.pending, NO_REQUEST);
      chip.write(false, NON_SPECIFIC_END);
    }
    chip.setPin(5, false);
    assert.equal(chip.pending, NO_REQUEST);
  });

  test('withdraws the request of a level that ends, even if the pin becomes an edge', () => {
    const chip = make();
    chip.levelControl = 0x20;
    chip.setPin(5, true);
    chip.setPin(5, false);
    chip.levelControl = 0;
    assert.equal(register(chip, READ_REQUESTS), 0);
  });

  test('lets only some pins be levels', () => {
    const chip = make();
    chip.levelControl = 0xff;
    assert.equal(chip.levelControl, 0xf8);
    const { second } = new I8259Pair();
    second.levelControl = 0xff;
    assert.equal(second.levelControl, 0xde);
  });

  test('OCW1 is the mask, which hides a request and does not lose it', () => {
    const chip = make();
    chip.write(true, 0x10);
    assert.equal(chip.read(true), 0x10);
    pulse(chip, 4);
    assert.equal(chip.pending, NO_REQUEST);
    assert.equal(register(chip, READ_REQUESTS), 0x10);
    chip.write(true, 0);
    assert.equal(chip.pending, 4);
  });

  test('a pin in service blocks itself and lower priorities, not higher ones', () => {
    const chip = make();
    pulse(chip, 4);
    chip.acknowledge();
    pulse(chip, 4);
    pulse(chip, 6);
    assert.equal(chip.pending, NO_REQUEST);
    pulse(chip, 1);
    assert.equal(chip.acknowledge(), 1);
    chip.write(false, NON_SPECIFIC_END);
    assert.equal(register(chip, READ_IN_SERVICE), 0x10);
    chip.write(false, NON_SPECIFIC_END);
    assert.equal(chip.pending, 4);
  });

  test('a specific end of interrupt ends the pin that it names', () => {
    const chip = make();
    pulse(chip, 4);
    chip.acknowledge();
    pulse(chip, 1);
    chip.acknowledge();
    chip.write(false, 0x60 | 4);
    assert.equal(register(chip, READ_IN_SERVICE), 0x02);
  });

  test('an end of interrupt with nothing in service changes nothing', () => {
    const chip = make();
    chip.write(false, NON_SPECIFIC_END);
    chip.write(false, 0xa0);
    pulse(chip, 0);
    pulse(chip, 7);
    assert.equal(chip.acknowledge(), 0);
  });

  test('OCW2 rotates priorities on either end, and sets them', () => {
    const chip = make();
    pulse(chip, 3);
    chip.acknowledge();
    chip.write(false, 0xa0);
    pulse(chip, 3);
    pulse(chip, 4);
    assert.equal(chip.acknowledge(), 4, 'after the non-specific end 3 is the lowest');
    chip.write(false, 0xe0 | 4);
    pulse(chip, 0);
    pulse(chip, 5);
    assert.equal(chip.acknowledge(), 5, 'after the specific end 4 is the lowest');
    chip.write(false, NON_SPECIFIC_END);
    chip.write(false, 0xc0 | 6);
    pulse(chip, 7);
    assert.equal(chip.acknowledge(), 7, 'after set priority 6 is the lowest');
    chip.write(false, 0x40 | 7);
    assert.equal(register(chip, READ_IN_SERVICE), 0x80, 'a no-operation ends nothing');
  });

  test('with automatic end nothing is in service, and rotation follows each interrupt', () => {
    const chip = make(0x03);
    pulse(chip, 3);
    assert.equal(chip.acknowledge(), 3);
    assert.equal(register(chip, READ_IN_SERVICE), 0);
    pulse(chip, 3);
    pulse(chip, 4);
    assert.equal(chip.acknowledge(), 3);
    chip.write(false, 0x80);
    pulse(chip, 3);
    assert.equal(chip.acknowledge(), 3);
    pulse(chip, 3);
    assert.equal(chip.acknowledge(), 4, 'rotation is on: 3 is the lowest');
    chip.write(false, 0x00);
    assert.equal(chip.acknowledge(), 3);
    pulse(chip, 3);
    pulse(chip, 5);
    assert.equal(chip.acknowledge(), 5, 'rotation is off: 4 is still the lowest');
  });

  test('special mask mode lets a masked pin in service block nothing', () => {
    const chip = make();
    pulse(chip, 2);
    pulse(chip, 3);
    chip.acknowledge();
    pulse(chip, 6);
    assert.equal(chip.pending, NO_REQUEST);
    chip.write(true, 0x08);
    assert.equal(chip.pending, NO_REQUEST);
    chip.write(false, SPECIAL_MASK_ON);
    assert.equal(chip.pending, 6);
    chip.acknowledge();
    chip.write(false, NON_SPECIFIC_END);
    assert.equal(register(chip, READ_IN_SERVICE), 0x08, 'the masked one stays in service');
    chip.write(false, SPECIAL_MASK_OFF);
    chip.write(false, NON_SPECIFIC_END);
    assert.equal(register(chip, READ_IN_SERVICE), 0);
  });

  test('special mask mode changes nothing for a pin in service that is not masked', () => {
    const chip = make();
    chip.write(false, SPECIAL_MASK_ON);
    pulse(chip, 3);
    chip.acknowledge();
    pulse(chip, 6);
    assert.equal(chip.pending, NO_REQUEST);
  });

  test('special fully nested mode lets the second chip interrupt its own routine', () => {
    for (const [icw4, isNested] of [
      [0x01, false],
      [0x11, true],
    ] as const) {
      const pair = new I8259Pair();
      initialize(pair.first, 0x20, icw4);
      initialize(pair.second, 0x28);
      pair.setLine(12, true);
      assert.equal(pair.acknowledge(), 0x2c);
      pair.setLine(9, true);
      assert.equal(pair.output, isNested);
      pair.setLine(3, true);
      assert.equal(pair.acknowledge(), isNested ? 0x29 : NO_REQUEST);
    }
  });

  test('special fully nested mode leaves the lower pins of the first chip blocked', () => {
    const pair = new I8259Pair();
    initialize(pair.first, 0x20, 0x11);
    initialize(pair.second, 0x28);
    pair.setLine(12, true);
    assert.equal(pair.acknowledge(), 0x2c);
    for (const line of [3, 5, 7]) pair.setLine(line, true);
    assert.equal(pair.output, false);
    pair.setLine(9, true);
    assert.equal(pair.acknowledge(), 0x29);
    pair.setLine(1, true);
    assert.equal(pair.acknowledge(), 0x21, 'a higher one passes');
    pair.write(pair.first, false, NON_SPECIFIC_END);
    assert.equal(pair.output, false);
    pair.write(pair.first, false, NON_SPECIFIC_END);
    assert.equal(pair.acknowledge(), 0x23);
  });

  test('OCW3 polls: the next read is an acknowledge cycle', () => {
    const chip = make();
    chip.write(false, POLL);
    assert.equal(chip.read(false), 0);
    pulse(chip, 6);
    pulse(chip, 5);
    chip.write(false, POLL);
    assert.equal(chip.read(true), 0x85);
    assert.equal(register(chip, READ_IN_SERVICE), 0x20);
    assert.equal(register(chip, READ_REQUESTS), 0x40);
  });

  test('OCW3 selects the register that reads give, until the next one or ICW1', () => {
    const chip = make();
    pulse(chip, 1);
    chip.acknowledge();
    pulse(chip, 6);
    chip.write(false, READ_IN_SERVICE);
    assert.deepEqual([chip.read(false), chip.read(false)], [0x02, 0x02]);
    chip.write(false, SPECIAL_MASK_OFF);
    assert.equal(chip.read(false), 0x02);
    initialize(chip);
    pulse(chip, 6);
    assert.equal(chip.read(false), 0x40);
  });

  test('ICW1 clears mask, service, priorities, modes and edges, but no level', () => {
    const chip = make(0x03);
    chip.levelControl = 0x20;
    chip.setPin(5, true);
    chip.setPin(4, true);
    chip.write(true, 0xff);
    chip.write(false, 0xc0);
    chip.write(false, 0x80);
    chip.write(false, SPECIAL_MASK_ON);
    chip.write(false, POLL);
    chip.write(false, 0x11);
    assert.equal(chip.read(true), 0);
    assert.equal(chip.read(false), 0x20);
    chip.write(true, 0x70);
    chip.write(true, 0x04);
    chip.write(true, 0x01);
    assert.equal(chip.acknowledge(), 5);
    assert.equal(chip.vectorOf(5), 0x75);
    assert.equal(register(chip, READ_IN_SERVICE), 0x20, 'no automatic end');
    pulse(chip, 0);
    assert.equal(chip.pending, 0, 'pin 7 is the lowest again');
    chip.write(true, 0x20);
    pulse(chip, 6);
    chip.acknowledge();
    chip.write(false, NON_SPECIFIC_END);
    assert.equal(chip.pending, NO_REQUEST, 'no special mask mode');
  });

  test('ICW2 gives the upper five bits of the vectors', () => {
    const chip = make();
    initialize(chip, 0x37);
    assert.equal(chip.vectorOf(7), 0x37);
    assert.equal(chip.vectorOf(0), 0x30);
  });

  test('ICW1 decides whether ICW3 and ICW4 follow', () => {
    const chip = make();
    for (const [icw1, words] of [
      [0x11, 3],
      [0x10, 2],
      [0x13, 2],
      [0x12, 1],
    ] as const) {
      chip.write(false, icw1);
      for (let word = 0; word < words; word++) {
        chip.write(true, 0x01);
        assert.equal(chip.read(true), 0, `ICW1 ${icw1.toString(16)}`);
      }
      chip.write(true, 0x5a);
      assert.equal(chip.read(true), 0x5a, `ICW1 ${icw1.toString(16)}`);
    }
  });
});

describe('a pair of 8259s', () => {
  function pairOf(): I8259Pair {
    const pair = new I8259Pair();
    initialize(pair.first);
    initialize(pair.second, 0x28);
    return pair;
  }

  test('gives the vector of the second chip for a request at pin 2', () => {
    const pair = pairOf();
    pair.setLine(10, true);
    assert.equal(pair.output, true);
    assert.equal(pair.acknowledge(), 0x2a);
    assert.equal(pair.output, false);
    assert.equal(register(pair.first, READ_IN_SERVICE), 0x04);
    assert.equal(register(pair.second, READ_IN_SERVICE), 0x04);
  });

  test('withdraws the request at pin 2 with the level that made it', () => {
    const pair = pairOf();
    pair.writeLevelControl(pair.second, 0x04);
    pair.setLine(10, true);
    pair.setLine(10, false);
    assert.equal(pair.output, false);
    assert.equal(pair.acknowledge(), NO_REQUEST);
  });

  test('offers the next request of the second chip after both ends', () => {
    const pair = pairOf();
    pair.setLine(10, true);
    pair.setLine(11, true);
    assert.equal(pair.acknowledge(), 0x2a);
    pair.write(pair.second, false, NON_SPECIFIC_END);
    assert.equal(pair.output, false);
    pair.write(pair.first, false, NON_SPECIFIC_END);
    assert.equal(pair.acknowledge(), 0x2b);
  });

  test('global system interrupts 0 and 2 are wired-OR at pin 0', () => {
    const pair = pairOf();
    pair.setLine(2, true);
    assert.equal(pair.acknowledge(), 0x20);
    pair.write(pair.first, false, NON_SPECIFIC_END);
    pair.setLine(0, true);
    pair.setLine(2, false);
    pair.setLine(2, true);
    assert.equal(pair.output, false, 'the pin was high all the time');
    pair.setLine(0, false);
    pair.setLine(2, false);
    pair.setLine(0, true);
    assert.equal(pair.acknowledge(), 0x20);
  });

  test('a poll of the first chip may find the second one', () => {
    const pair = pairOf();
    pair.setLine(12, true);
    pair.write(pair.first, false, POLL);
    assert.equal(pair.read(pair.first, false), 0x82);
    pair.write(pair.second, false, POLL);
    assert.equal(pair.read(pair.second, false), 0x84);
    assert.equal(pair.output, false);
  });
});
