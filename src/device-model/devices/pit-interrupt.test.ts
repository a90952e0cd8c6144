import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Clock, ClockTimer } from '../clock.js';
import { CATCH_UP_TICKS } from './pit-interrupt.js';
import { msOfTick, PIT_TICKS_PER_MS } from './pit8254-registers.js';
import { Pit8254 } from './pit8254.js';

const CONTROL = 3;

/**
 * A host that looks at its timers only when the test lets it: late by as much as the test likes.
 */
class LateClock implements Clock {
  #now = 0;
  readonly #timers = new Map<ClockTimer, { readonly atMs: number; readonly callback: () => void }>();

  now(): number {
    return this.#now;
  }

  wallTimeMs(): number {
    return this.#now;
  }

  schedule(atMs: number, callback: () => void): ClockTimer {
    const timer: ClockTimer = { cancel: () => void this.#timers.delete(timer) };
    this.#timers.set(timer, { atMs, callback });
    return timer;
  }

  /** Time goes by while the host is busy. */
  stall(ms: number): void {
    this.#now += ms;
  }

  /**
   * The host looks every `everyMs`; what is due fires, what that schedules waits for the next look.
   */
  run(ms: number, everyMs: number): void {
    const looks = Math.round(ms / everyMs);
    for (let i = 0; i < looks; i++) {
      this.#now += everyMs;
      for (const [timer, { atMs, callback }] of [...this.#timers]) {
        if (atMs <= this.#now && this.#timers.delete(timer)) callback();
      }
    }
  }

  get pending(): number {
    return this.#timers.size;
  }
}

class Bench {
  readonly clock = new LateClock();
  readonly edgesMs: number[] = [];
  level = false;
  readonly pit: Pit8254;

  constructor(catchUpTicks = CATCH_UP_TICKS) {
    this.pit = new Pit8254({
      clock: this.clock,
      catchUpTicks,
      interrupt: {
        set: (high) => {
          if (high && !this.level) this.edgesMs.push(this.clock.now());
          this.level = high;
        },
      },
    });
  }

  program(mode: number, count: number): void {
    this.pit.write(CONTROL, 1, 0x30 | (mode << 1));
    this.setCount(count);
  }

  setCount(count: number): void {
    this.pit.write(0, 1, count & 0xff);
    this.pit.write(0, 1, count >>> 8);
  }

  smallestGapMs(): number {
    return Math.min(...this.edgesMs.slice(1).map((edge, i) => edge - (this.edgesMs[i] ?? 0)));
  }
}

/** Counts of a guest that wants 100, 250 and 1000 interrupts a second. */
const [HZ_100, HZ_250, HZ_1000] = [11_932, 4_773, 1_193];

describe('on a host with precise timers', () => {
  test('modes 2 and 3 give an edge a period, the first a period after the load', () => {
    for (const mode of [2, 3]) {
      const bench = new Bench();
      bench.program(mode, HZ_100);
      bench.clock.run(100.5, 0.01);
      assert.equal(bench.edgesMs.length, 10);
      bench.edgesMs.forEach((edge, i) => {
        const lateMs = edge - msOfTick(1 + (i + 1) * HZ_100);
        assert.ok(lateMs >= 0 && lateMs <= 0.011, `edge ${i} is ${lateMs} ms late`);
      });
    }
  });

  test('mode 4 gives one edge for each count, and no timer stays', () => {
    const bench = new Bench();
    bench.program(4, HZ_100);
    bench.clock.run(50, 0.1);
    assert.equal(bench.edgesMs.length, 1);
    assert.equal(bench.clock.pending, 0);
    bench.setCount(HZ_1000);
    bench.clock.run(50, 0.1);
    assert.equal(bench.edgesMs.length, 2);
    assert.equal(bench.clock.pending, 0);
  });

  test('mode 0 raises the line until the next count', () => {
    const bench = new Bench();
    bench.program(0, HZ_1000);
    bench.clock.run(5, 0.1);
    assert.equal(bench.level, true);
    bench.setCount(HZ_1000);
    assert.equal(bench.level, false);
    bench.clock.run(5, 0.1);
    assert.equal(bench.edgesMs.length, 2);
  });

  test('a new count in mode 2 changes the rhythm from the next edge on', () => {
    const bench = new Bench();
    bench.program(2, HZ_100);
    bench.clock.run(5, 0.1);
    bench.setCount(HZ_1000);
    bench.clock.run(15.5, 0.1);
    assert.equal(bench.edgesMs.length, 11);
  });

  test('a control word that drives OUT from low to high is an edge', () => {
    const bench = new Bench();
    bench.pit.write(CONTROL, 1, 0x30);
    assert.equal(bench.edgesMs.length, 0);
    bench.pit.write(CONTROL, 1, 0x34);
    assert.equal(bench.edgesMs.length, 1);
  });
});

describe('a timer runs only while OUT can rise', () => {
  for (const [what, use] of [
    ['nothing is programmed', () => undefined],
    ['a control word has no count', (bench: Bench) => bench.pit.write(CONTROL, 1, 0x34)],
    [
      'half a count is written',
      (bench: Bench) => {
        bench.pit.write(CONTROL, 1, 0x34);
        bench.pit.write(0, 1, 1);
      },
    ],
    ['mode 1 waits for a gate that is tied high', (bench: Bench) => bench.program(1, 100)],
    ['a count of 1 leaves OUT where it is', (bench: Bench) => bench.program(2, 1)],
    [
      'the others count',
      (bench: Bench) => {
        bench.pit.write(CONTROL, 1, 0x54);
        bench.pit.write(1, 1, 18);
      },
    ],
  ] as const) {
    test(`none when ${what}`, () => {
      const bench = new Bench();
      use(bench);
      bench.clock.run(10, 0.1);
      assert.equal(bench.clock.pending, 0);
      assert.deepEqual(bench.edgesMs, []);
    });
  }

  test('none after reset or close', () => {
    for (const end of ['reset', 'close'] as const) {
      const bench = new Bench();
      bench.program(2, HZ_100);
      assert.equal(bench.clock.pending, 1);
      bench.pit[end]();
      assert.equal(bench.clock.pending, 0);
    }
  });
});

describe('on a host whose timers are late', () => {
  test('lateness does not add up: ten seconds have their 2500 edges', () => {
    const bench = new Bench();
    bench.program(2, HZ_250);
    bench.clock.run(10_000, 1.3);
    assert.ok(Math.abs(bench.edgesMs.length - Math.floor((10_000 * PIT_TICKS_PER_MS) / HZ_250)) <= 1);
    assert.equal(bench.pit.missedTicks, 0);
  });

  test('edges of a stall are owed, and come between the others, apart from each other', () => {
    const bench = new Bench();
    bench.program(2, HZ_250);
    bench.clock.stall(1000);
    bench.clock.run(10, 0.1);
    assert.ok(bench.edgesMs.length <= 11, 'not all at once');
    bench.clock.run(1000, 0.1);
    const ideal = Math.floor((bench.clock.now() * PIT_TICKS_PER_MS - 1) / HZ_250);
    assert.equal(bench.edgesMs.length, ideal);
    assert.equal(bench.pit.missedTicks, 0);
    assert.ok(bench.smallestGapMs() > 0.99);
  });

  test('a guest of 1000 Hz catches up at twice its rate', () => {
    const bench = new Bench();
    bench.program(2, HZ_1000);
    bench.clock.stall(100);
    bench.clock.run(150, 0.05);
    const ideal = Math.floor((bench.clock.now() * PIT_TICKS_PER_MS - 1) / HZ_1000);
    assert.equal(bench.edgesMs.length, ideal);
    assert.ok(bench.smallestGapMs() > 0.49);
  });

  test('edges beyond the limit are dropped and counted', () => {
    const bench = new Bench();
    bench.program(2, HZ_1000);
    bench.clock.stall(60_000);
    bench.clock.run(3000, 0.1);
    const ideal = Math.floor((bench.clock.now() * PIT_TICKS_PER_MS - 1) / HZ_1000);
    assert.equal(bench.edgesMs.length + bench.pit.missedTicks, ideal);
    assert.ok(bench.pit.missedTicks > 60_000 - CATCH_UP_TICKS - 100);
  });

  test('a limit of 0 delivers one edge for a stall', () => {
    const bench = new Bench(0);
    bench.program(2, HZ_100);
    bench.clock.stall(105);
    bench.clock.run(1, 0.1);
    assert.equal(bench.edgesMs.length, 1);
    assert.equal(bench.pit.missedTicks, 9);
  });

  test('a guest that reads the count has received the edges that the count implies', () => {
    const bench = new Bench();
    bench.program(2, HZ_100);
    bench.clock.stall(12);
    assert.equal(bench.edgesMs.length, 0);
    bench.pit.read(0, 1);
    assert.equal(bench.edgesMs.length, 1);
    bench.clock.run(7, 0.1);
    assert.equal(bench.edgesMs.length, 1, 'and not again by the timer');
    bench.clock.run(2, 0.1);
    assert.equal(bench.edgesMs.length, 2);
  });

  for (const [name, latch] of [
    ['count', 0x00],
    ['status', 0xe2],
  ] as const)
    test(`a guest that latches the ${name} after a reload loses no edge of the old count`, () => {
      const bench = new Bench();
      bench.program(2, HZ_100);
      bench.clock.stall(1);
      bench.setCount(HZ_250);
      bench.clock.stall(10);
      bench.pit.write(CONTROL, 1, latch);
      bench.clock.run(1, 0.1);
      assert.equal(bench.edgesMs.length, 1, 'that of the cycle of 10 ms');
      bench.clock.run(4, 0.1);
      assert.equal(bench.edgesMs.length, 2, 'and 4 ms later that of the new count');
    });

  test('a new control word drops the owed edges, and counts them', () => {
    const bench = new Bench();
    bench.program(2, HZ_100);
    bench.clock.stall(105);
    bench.pit.write(CONTROL, 1, 0x38);
    assert.equal(bench.edgesMs.length, 1);
    assert.equal(bench.pit.missedTicks, 9);
    bench.clock.run(100, 0.1);
    assert.equal(bench.edgesMs.length, 1);
  });

  test('reset forgets the past and takes the line low', () => {
    const bench = new Bench(0);
    bench.program(2, HZ_100);
    bench.clock.stall(105);
    bench.clock.run(1, 0.1);
    assert.equal(bench.level, true);
    bench.pit.reset();
    assert.equal(bench.level, false);
    assert.equal(bench.pit.missedTicks, 0);
    bench.program(2, HZ_100);
    bench.clock.run(10.5, 0.1);
    assert.equal(bench.edgesMs.length, 2);
  });
});

test('a rate that no host could time costs ten edges a millisecond, and the rest is counted', () => {
  const bench = new Bench();
  bench.program(2, 2);
  bench.clock.run(1000, 0.01);
  assert.ok(bench.edgesMs.length > 8000 && bench.edgesMs.length <= 10_100, `${bench.edgesMs.length} edges`);
  assert.ok(bench.pit.missedTicks > 500_000);
  assert.equal(bench.clock.pending, 1);
});

test('a guest that polls the count gets its edges no closer than a timer would bring them', () => {
  const bench = new Bench();
  bench.program(2, 2);
  for (let i = 0; i < 1000; i++) {
    bench.clock.stall(0.01);
    bench.pit.read(0, 1);
  }
  assert.ok(bench.edgesMs.length > 80);
  assert.ok(bench.smallestGapMs() > 0.09);
});
