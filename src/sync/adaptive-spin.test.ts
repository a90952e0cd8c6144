import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AdaptiveSpin,
  MAX_DELAY_STEPS,
  MAX_SKIPS,
  MAX_SPIN_US,
  PollDelay,
  type AdaptiveSpinOptions,
} from './adaptive-spin.js';
import { OrderedPoll } from './poll.js';
import { FakePlacement } from './fixtures/fake-placement.js';
import { PlacingWaker } from './waker.js';

/** A waiter on a clock that advances by half a microsecond at each reading. */
class Waiter {
  readonly spin: AdaptiveSpin;
  nowUs = 1000;
  /** When the work comes. */
  dueUs = Infinity;

  constructor(options: AdaptiveSpinOptions = {}) {
    this.spin = new AdaptiveSpin({
      now: () => {
        this.nowUs += 0.5;
        return this.nowUs / 1000;
      },
      ...options,
    });
  }

  /**
   * One wait for work that comes `gapUs` later: how long it spun, in us, and whether the spin found
   * the work.
   */
  wait(gapUs: number): { readonly spunUs: number; readonly found: boolean } {
    const startUs = this.nowUs;
    this.dueUs = startUs + gapUs;
    const found = this.spin.spin(new OrderedPoll(() => this.nowUs >= this.dueUs));
    const spunUs = this.nowUs - startUs;
    this.nowUs = Math.max(this.nowUs, this.dueUs);
    return { spunUs, found };
  }
}

describe('the spin before a waiter parks', () => {
  test('work that is there already costs no reading of the clock', () => {
    const waiter = new Waiter();
    assert.deepEqual(waiter.wait(0), { spunUs: 0, found: true });
    assert.deepEqual(waiter.spin.counts, { paid: 0, missed: 0, skipped: 0 });
  });

  test('a spin that pays off goes on, for no longer than a few times what it needed', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 100; i++) assert.equal(waiter.wait(2).found, true);
    assert.ok(waiter.spin.us >= 5 && waiter.spin.us < 7, `${waiter.spin.us} us`);
    assert.equal(waiter.wait(4).found, true);
    // Later work is missed once. Then the spin has its whole budget again.
    assert.equal(waiter.wait(60).found, false);
    assert.equal(waiter.wait(60).found, true);
    assert.deepEqual(waiter.spin.counts, { paid: 102, missed: 1, skipped: 0 });
  });

  test('a gap of 20 us is spun through every time', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 1000; i++) assert.equal(waiter.wait(20).found, true);
  });

  test('a spin that never pays off costs one spin in MAX_SKIPS waits', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 2000; i++) waiter.wait(1000);
    const before = waiter.spin.counts;
    let spunUs = 0;
    for (let i = 0; i < 10 * (MAX_SKIPS + 1); i++) spunUs += waiter.wait(1000).spunUs;
    assert.equal(waiter.spin.counts.missed - before.missed, 10);
    assert.ok(spunUs <= 10 * (MAX_SPIN_US + 1), `${spunUs} us`);
  });

  test('a spin that pays off again is found out within MAX_SKIPS waits and stays', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 2000; i++) waiter.wait(1000);
    let waits = 0;
    while (!waiter.wait(10).found) waits++;
    assert.ok(waits <= MAX_SKIPS, `${waits} waits`);
    for (let i = 0; i < 100; i++) assert.equal(waiter.wait(10).found, true);
  });

  test('one late answer in three changes nothing', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 300; i++) assert.equal(waiter.wait(i % 3 === 2 ? 500 : 10).found, i % 3 !== 2);
    assert.equal(waiter.spin.counts.skipped, 0);
  });

  test('a preempted spin ends at once, and the next waits go without one', () => {
    let readings = 0;
    // The first reading starts the time. The preemption falls before the second.
    const spin = new AdaptiveSpin({ now: () => (readings++ === 1 ? 0.04 : 0) });
    const never = new OrderedPoll(() => false);
    assert.equal(spin.spin(never), false);
    assert.equal(readings, 2);
    for (let i = 0; i < 16; i++) assert.equal(spin.spin(never), false);
    assert.deepEqual(spin.counts, { paid: 0, missed: 1, skipped: 16 });
  });

  test('work that came during a preemption is found and changes no count', () => {
    let readings = 0;
    const spin = new AdaptiveSpin({ now: () => (readings++ === 1 ? 0.04 : 0) });
    assert.equal(spin.spin(new OrderedPoll(() => readings >= 2)), true);
    assert.deepEqual(spin.counts, { paid: 0, missed: 0, skipped: 0 });
    assert.equal(spin.us, MAX_SPIN_US);
  });

  test('a fixed budget is used in full each time, and 0 does not spin', () => {
    const waiter = new Waiter({ fixedUs: 30 });
    for (let i = 0; i < 50; i++) assert.ok(waiter.wait(1000).spunUs >= 30);
    assert.equal(waiter.wait(25).found, true);
    assert.equal(waiter.spin.us, 30);
    const never = new Waiter({ fixedUs: 0 });
    for (let i = 0; i < 50; i++) assert.deepEqual(never.wait(1), { spunUs: 0, found: false });
  });
});

describe('completion polling', () => {
  describe('where each side has a CPU', () => {
    const apart = (): { waker: PlacingWaker; waiter: Waiter } => {
      const waker = new PlacingWaker(new FakePlacement());
      return { waker, waiter: new Waiter({ waker }) };
    };

    test('a spin does not shrink, and does so again where there are more threads than CPUs', () => {
      const { waker, waiter } = apart();
      for (let i = 0; i < 100; i++) assert.equal(waiter.wait(2).found, true);
      const longestUs = waiter.spin.us;
      waker.isOn = false;
      for (let i = 0; i < 100; i++) assert.equal(waiter.wait(2).found, true);
      assert.deepEqual([longestUs, waiter.spin.us < 7], [MAX_SPIN_US, true]);
    });

    test('a spin for a side that was just woken lasts as long as a wake-up, no other one does', () => {
      const { waker, waiter } = apart();
      const wakeUpUs = 3 * MAX_SPIN_US;
      waker.wake(5, () => undefined);
      assert.equal(waiter.wait(wakeUpUs).found, true);
      waker.foundAwake();
      assert.equal(waiter.wait(wakeUpUs).found, false);
      waker.wake(5, () => undefined);
      waker.isOn = false;
      assert.equal(waiter.wait(wakeUpUs).found, false);
    });

    test('the length follows the wake-ups, and after misses in a row it is an ordinary spin', () => {
      const { waker, waiter } = apart();
      waker.wake(5, () => undefined);
      for (let i = 0; i < 100; i++) waiter.wait(20);
      assert.ok(waiter.wait(10_000).spunUs < 250);
      for (let i = 0; i < 4; i++) waiter.wait(10_000);
      // The back-off is over.
      for (let i = 0; i < MAX_SKIPS; i++)
        if (waker.willSpin) break;
        else waiter.wait(10_000);
      assert.ok(waiter.wait(10_000).spunUs < MAX_SPIN_US + 5);
    });

    test('the waker knows whether the next wait is spun', () => {
      const { waker, waiter } = apart();
      for (let i = 0; i < 3; i++) {
        assert.equal(waker.willSpin, true);
        waiter.wait(10_000);
      }
      const afterMisses: boolean = waker.willSpin;
      // The third miss in a row leaves out two waits.
      for (let i = 0; i < 2; i++) waiter.wait(10_000);
      assert.deepEqual([afterMisses, waker.willSpin], [false, true]);
    });
  });

  test('spinUntil returns at the first poll that finds the work', () => {
    let polls = 0;
    new AdaptiveSpin().spinUntil(new OrderedPoll(() => ++polls === 5000));
    assert.equal(polls, 5000);
  });

  test('a relaxed poll that never sees the change does not make spinUntil endless', { timeout: 10_000 }, () => {
    // As if the compiler had hoisted the plain load out of the loop.
    const LIMIT = 1_000_000;
    let relaxed = 0;
    let ordered = 0;
    const poll = {
      relaxed: () => {
        assert.ok(++relaxed < LIMIT, 'only relaxed polls');
        return false;
      },
      ordered: () => ++ordered === 3,
    };
    new AdaptiveSpin().spinUntil(poll);
    assert.ok(relaxed > 0 && relaxed <= 3 * 1024 + 1, `${relaxed} relaxed polls`);
  });
});

/** Steps of the delay that take about as long as one poll. */
const STEPS_PER_POLL = 2;

/**
 * Waits for work that comes `dueAt` steps after each wait began. Returns the number of first polls
 * that came too early.
 */
function waits(delay: PollDelay, count: number, dueAt: (wait: number) => number): number {
  let early = 0;
  for (let i = 0; i < count; i++) {
    let missing = Math.ceil((dueAt(i) - delay.steps) / STEPS_PER_POLL);
    if (missing > 0) early++;
    delay.poll(new OrderedPoll(() => missing-- <= 0));
  }
  return early;
}

describe('the delay before the first poll', () => {
  test('a new waiter polls at once', () => {
    assert.equal(new PollDelay().steps, 0);
  });

  test('the delay follows the time that answers take, up and down, and few first polls are too early', () => {
    const delay = new PollDelay();
    for (const steps of [200, 90, 400, 10]) {
      waits(delay, 1000, () => steps);
      const early = waits(delay, 1000, () => steps);
      assert.ok(early > 0 && early < 130, `${early} of 1000 polls were too early for ${steps}`);
      assert.ok(Math.abs(delay.steps - steps) <= 10, `${delay.steps} steps for ${steps}`);
    }
  });

  test('an answer that comes far later changes nothing', () => {
    const delay = new PollDelay();
    waits(delay, 1000, () => 100);
    const { steps } = delay;
    waits(delay, 50, () => 60_000);
    assert.equal(delay.steps, steps);
  });

  test('the delay ends at MAX_DELAY_STEPS, however late answers are', () => {
    const delay = new PollDelay();
    waits(delay, 10_000, () => delay.steps + 100);
    assert.equal(delay.steps, MAX_DELAY_STEPS);
  });

  test('poll returns the number of polls before the one that found the work, and -1 after a round of misses', () => {
    const delay = new PollDelay();
    let missing = 4;
    assert.equal(delay.poll(new OrderedPoll(() => missing-- <= 0)), 4);
    const { steps } = delay;
    assert.ok(steps > 0);
    assert.equal(delay.poll(new OrderedPoll(() => true)), 0);
    assert.equal(delay.steps, steps - 1);
    assert.equal(delay.poll(new OrderedPoll(() => false)), -1);
    assert.equal(delay.steps, steps - 1);
  });
});
