import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ManualClock } from '../clock.js';
import { msOfTick, tickAt } from './pit8254-registers.js';
import { Pit8254 } from './pit8254.js';
import { SystemControlPort } from './system-control-port.js';

const CONTROL = 3;

/** A timer whose CLK pulses the test counts out. */
class Bench {
  readonly clock = new ManualClock();
  readonly pit = new Pit8254({ clock: this.clock });
  readonly port61 = new SystemControlPort(this.pit);

  constructor() {
    this.toTick(1000);
  }

  toTick(tick: number): void {
    this.clock.advance(msOfTick(tick) - this.clock.now());
    assert.equal(this.pit.ticks, tick);
  }

  pass(ticks: number): void {
    this.toTick(this.pit.ticks + ticks);
  }

  /** A control word and a count, both bytes. */
  program(counter: number, mode: number, count: number, bcd = 0): void {
    this.pit.write(CONTROL, 1, (counter << 6) | 0x30 | (mode << 1) | bcd);
    this.setCount(counter, count);
  }

  setCount(counter: number, count: number): void {
    this.pit.write(counter, 1, count & 0xff);
    this.pit.write(counter, 1, count >>> 8);
  }

  /** Latches and reads both bytes. */
  count(counter: number): number {
    this.pit.write(CONTROL, 1, counter << 6);
    return this.pit.read(counter, 1) | (this.pit.read(counter, 1) << 8);
  }

  status(counter: number): number {
    this.pit.write(CONTROL, 1, 0xe0 | (2 << counter));
    return this.pit.read(counter, 1);
  }

  isOutHigh(counter: number): boolean {
    return (this.status(counter) & 0x80) !== 0;
  }

  gate2(high: boolean): void {
    this.port61.write(0, 1, high ? 1 : 0);
  }

  /** OUT of counter 2 and its count, a tick at a time: `H4 L3`. */
  follow(ticks: number): string {
    const seen: string[] = [];
    for (let i = 0; i < ticks; i++) {
      this.pass(1);
      seen.push(`${this.isOutHigh(2) ? 'H' : 'L'}${this.count(2)}`);
    }
    return seen.join(' ');
  }
}

test('the time of a tick is within that tick, also after years', () => {
  // 2^49 ticks are 15 years. From 2^44 on, 171 days, a thousandth of a tick is lost to rounding.
  for (let bits = 0; bits < 49; bits++)
    for (let step = 0; step < 1000; step++) {
      const tick = Math.floor(2 ** bits * (1 + step / 1000)) + step;
      assert.equal(tickAt(msOfTick(tick)), tick);
    }
});

describe('modes, as the data sheet draws them', () => {
  test('mode 0: OUT rises a count and a pulse after the count was written, and stays', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 0, 4);
    assert.equal(bench.isOutHigh(2), false);
    assert.equal(bench.follow(7), 'L4 L3 L2 L1 H0 H65535 H65534');
  });

  test('mode 0: a new count drives OUT low and counts from the new value', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 0, 2);
    bench.pass(10);
    assert.equal(bench.isOutHigh(2), true);
    bench.setCount(2, 3);
    assert.equal(bench.isOutHigh(2), false);
    assert.equal(bench.follow(4), 'L3 L2 L1 H0');
  });

  test('mode 0: the first byte of a new count stops the counting', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 0, 100);
    bench.pass(11);
    bench.pit.write(2, 1, 3);
    assert.equal(bench.follow(2), 'L90 L90');
    bench.pit.write(2, 1, 0);
    assert.equal(bench.follow(2), 'L3 L2');
  });

  test('mode 0: the gate holds the count and lets it go on', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 0, 3);
    assert.equal(bench.follow(2), 'L3 L2');
    bench.gate2(false);
    assert.equal(bench.follow(3), 'L2 L2 L2');
    bench.gate2(true);
    assert.equal(bench.follow(3), 'L1 H0 H65535');
  });

  test('mode 0: a count written while the gate is low waits for it', () => {
    const bench = new Bench();
    bench.program(2, 0, 2);
    assert.equal(bench.follow(2), 'L2 L2');
    bench.gate2(true);
    assert.equal(bench.follow(2), 'L1 H0');
  });

  test('mode 1: the gate starts one shot, and starts it again', () => {
    const bench = new Bench();
    bench.program(2, 1, 3);
    bench.pass(5);
    assert.equal(bench.isOutHigh(2), true);
    bench.gate2(true);
    assert.equal(bench.follow(2), 'L3 L2');
    bench.gate2(false);
    assert.equal(bench.follow(3), 'L1 H0 H65535');
    bench.gate2(true);
    assert.equal(bench.follow(2), 'L3 L2');
    bench.gate2(false);
    bench.gate2(true);
    assert.equal(bench.follow(4), 'L3 L2 L1 H0');
  });

  test('mode 2: OUT is low for the last pulse of each cycle', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 2, 3);
    assert.equal(bench.isOutHigh(2), true);
    assert.equal(bench.follow(7), 'H3 H2 L1 H3 H2 L1 H3');
  });

  test('mode 2: a new count begins with the next cycle', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 2, 3);
    assert.equal(bench.follow(1), 'H3');
    bench.setCount(2, 4);
    assert.equal(bench.status(2) & 0x40, 0x40, 'the null count bit: not loaded yet');
    assert.equal(bench.follow(6), 'H2 L1 H4 H3 H2 L1');
    assert.equal(bench.status(2) & 0x40, 0);
  });

  test('mode 2: a low gate drives OUT high and holds the count, a rising gate begins anew', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 2, 3);
    assert.equal(bench.follow(3), 'H3 H2 L1');
    bench.gate2(false);
    assert.equal(bench.isOutHigh(2), true);
    assert.equal(bench.follow(2), 'H1 H1');
    bench.gate2(true);
    assert.equal(bench.follow(4), 'H3 H2 L1 H3');
  });

  test('mode 3: an even count is a square wave that counts by two', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 3, 4);
    assert.equal(bench.follow(6), 'H4 H2 L4 L2 H4 H2');
  });

  test('mode 3: an odd count is high for one pulse more', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 3, 5);
    assert.equal(bench.follow(10), 'H4 H2 H0 L4 L2 H4 H2 H0 L4 L2');
  });

  test('mode 3: a new count begins with the next half', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 3, 4);
    assert.equal(bench.follow(1), 'H4');
    bench.setCount(2, 6);
    assert.equal(bench.follow(8), 'H2 L6 L4 L2 H6 H4 H2 L6');
    bench.setCount(2, 4);
    assert.equal(bench.follow(5), 'L4 L2 H4 H2 L4');
  });

  test('mode 4: OUT strobes low for one pulse, once', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 4, 2);
    assert.equal(bench.follow(5), 'H2 H1 L0 H65535 H65534');
    bench.setCount(2, 1);
    assert.equal(bench.follow(3), 'H1 L0 H65535');
  });

  test('mode 5: the gate starts the strobe', () => {
    const bench = new Bench();
    bench.program(2, 5, 2);
    bench.pass(10);
    bench.gate2(true);
    bench.gate2(false);
    assert.equal(bench.follow(4), 'H2 H1 L0 H65535');
  });

  test('modes 6 and 7 are modes 2 and 3', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.program(2, 6, 2);
    assert.equal(bench.follow(3), 'H2 L1 H2');
    bench.program(2, 7, 2);
    assert.equal(bench.follow(3), 'H2 L2 H2');
    assert.equal(bench.status(2) & 0x0e, 0x0e, 'and read back as written');
  });
});

describe('counts', () => {
  test('zero is the longest count', () => {
    const bench = new Bench();
    bench.program(0, 2, 0);
    bench.pass(1);
    assert.equal(bench.count(0), 0);
    bench.pass(1);
    assert.equal(bench.count(0), 65_535);
    bench.pass(65_535);
    assert.equal(bench.count(0), 0);
  });

  test('BCD counts in four decimal digits', () => {
    const bench = new Bench();
    bench.program(0, 2, 0x1000, 1);
    bench.pass(2);
    assert.equal(bench.count(0), 0x0999);
    bench.pass(999);
    assert.equal(bench.count(0), 0x1000);
    bench.program(0, 0, 0, 1);
    bench.pass(2);
    assert.equal(bench.count(0), 0x9999);
  });

  test('digits that BCD does not have do no harm', () => {
    const bench = new Bench();
    bench.program(0, 3, 0xffff, 1);
    bench.pass(5);
    assert.ok(bench.count(0) <= 0x9999);
  });

  test('one-byte access leaves the other byte zero', () => {
    const bench = new Bench();
    bench.pit.write(CONTROL, 1, 0x14);
    bench.pit.write(0, 1, 100);
    bench.pass(1);
    assert.equal(bench.pit.read(0, 1), 100);
    assert.equal(bench.pit.read(0, 1), 100);
    bench.pit.write(CONTROL, 1, 0x24);
    bench.pit.write(0, 1, 2);
    bench.pass(1);
    assert.equal(bench.pit.read(0, 1), 2);
    bench.pass(1);
    assert.equal(bench.pit.read(0, 1), 1);
  });

  test('without a latch the two bytes are read as the count goes on', () => {
    const bench = new Bench();
    bench.program(0, 2, 0x0200);
    bench.pass(1);
    assert.equal(bench.pit.read(0, 1), 0x00);
    bench.pass(1);
    assert.equal(bench.pit.read(0, 1), 0x01);
  });

  test('a latched count waits for both its bytes, and a second latch does not move it', () => {
    const bench = new Bench();
    bench.program(0, 2, 1000);
    bench.pass(1);
    bench.pit.write(CONTROL, 1, 0x00);
    bench.pass(500);
    bench.pit.write(CONTROL, 1, 0x00);
    assert.equal(bench.pit.read(0, 1) | (bench.pit.read(0, 1) << 8), 1000);
    assert.equal(bench.pit.read(0, 1) | (bench.pit.read(0, 1) << 8), 500);
  });

  test('a new control word drops latched values', () => {
    const bench = new Bench();
    bench.program(0, 2, 1000);
    bench.pass(1);
    bench.pit.write(CONTROL, 1, 0x00);
    bench.program(0, 2, 77);
    bench.pass(1);
    assert.equal(bench.pit.read(0, 1) | (bench.pit.read(0, 1) << 8), 77);
  });

  test('the counters know nothing of each other', () => {
    const bench = new Bench();
    bench.gate2(true);
    for (const counter of [0, 1, 2]) bench.program(counter, 2, 100 * (counter + 1));
    bench.pass(11);
    assert.deepEqual(
      [0, 1, 2].map((counter) => bench.count(counter)),
      [90, 190, 290],
    );
  });
});

describe('read-back', () => {
  test('status is OUT, null count and the control word', () => {
    const bench = new Bench();
    bench.program(0, 2, 100);
    assert.equal(bench.status(0), 0xf4, 'the count is not loaded yet');
    bench.pass(1);
    assert.equal(bench.status(0), 0xb4);
    bench.pass(99);
    assert.equal(bench.status(0), 0x34, 'OUT is low in the last pulse');
  });

  test('status comes before the count when both are latched', () => {
    const bench = new Bench();
    bench.program(0, 2, 0x1234);
    bench.pass(1);
    bench.pit.write(CONTROL, 1, 0xc2);
    bench.pass(10);
    assert.deepEqual(
      [0, 1, 2].map(() => bench.pit.read(0, 1)),
      [0xb4, 0x34, 0x12],
    );
  });

  test('latches several counters at the same tick', () => {
    const bench = new Bench();
    bench.program(0, 2, 1000);
    bench.program(1, 2, 1000);
    bench.pass(1);
    bench.pit.write(CONTROL, 1, 0xd6);
    bench.pass(5);
    for (const counter of [0, 1]) assert.equal(bench.pit.read(counter, 1) | (bench.pit.read(counter, 1) << 8), 1000);
  });

  test('the control port itself reads as an open bus', () => {
    assert.equal(new Bench().pit.read(CONTROL, 1), 0xff);
  });
});

describe('port 0x61', () => {
  test('bits 0 to 3 can be written, the others cannot', () => {
    const bench = new Bench();
    bench.port61.write(0, 1, 0xff);
    assert.equal(bench.port61.read(0, 1) & 0xcf, 0x0f);
  });

  test('the refresh bit changes every 18 ticks', () => {
    const bench = new Bench();
    let changes = 0;
    let last = bench.port61.read(0, 1) & 0x10;
    for (let i = 0; i < 180; i++) {
      bench.pass(1);
      const bit = bench.port61.read(0, 1) & 0x10;
      if (bit !== last) changes++;
      last = bit;
    }
    assert.equal(changes, 10);
  });

  test('a guest measures 10 ms with counter 2: gate, count in mode 0, poll OUT', () => {
    const bench = new Bench();
    bench.port61.write(0, 1, (bench.port61.read(0, 1) & ~0x02) | 0x01);
    bench.program(2, 0, 11_931);
    const startMs = bench.clock.now();
    while ((bench.port61.read(0, 1) & 0x20) === 0) bench.pass(1);
    assert.ok(Math.abs(bench.clock.now() - startMs - 10) < 0.002);
  });

  test('reset closes the gate', () => {
    const bench = new Bench();
    bench.gate2(true);
    bench.port61.reset();
    assert.equal(bench.pit.gate2, false);
    assert.equal(bench.port61.read(0, 1) & 0x0f, 0);
  });

  test('nothing answers beside it', () => {
    const bench = new Bench();
    assert.equal(bench.port61.read(0, 2) >>> 8, 0xff);
    bench.port61.write(1, 1, 0x01);
    assert.equal(bench.pit.gate2, false);
  });
});

test('no sequence of accesses throws, and reads stay within their size', () => {
  const bench = new Bench();
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const sizes = [1, 2, 4] as const;
  for (let i = 0; i < 20_000; i++) {
    const size = sizes[random(3)] ?? 1;
    const device = random(4) === 0 ? bench.port61 : bench.pit;
    if (random(2) === 0) {
      const value = device.read(random(4), size);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size), `${value}`);
    } else device.write(random(4), size, random(2 ** (8 * size)));
    if (random(5) === 0) bench.pass(random(300));
  }
  bench.pit.reset();
  assert.equal(bench.clock.pending, 0);
});
