import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AdaptiveSpin, MAX_SPIN_US, MAX_SKIPS, type AdaptiveSpinOptions } from './adaptive-spin.js';

/** A waiter whose time is counted in looks at the clock: each costs half a microsecond. */
class Waiter {
  readonly budget: AdaptiveSpin;
  nowUs = 1000;
  /** When the work comes, or comes into sight. */
  dueUs = Infinity;

  constructor(options: Partial<AdaptiveSpinOptions> = {}) {
    this.budget = new AdaptiveSpin({
      hasWorkRelaxed: () => this.nowUs >= this.dueUs,
      now: () => {
        this.nowUs += 0.5;
        return this.nowUs / 1000;
      },
      ...options,
    });
  }

  /** One wait for work that comes `gapUs` later; how long it looked, in us, and whether that paid. */
  wait(gapUs: number): { readonly lookedUs: number; readonly found: boolean } {
    const startUs = this.nowUs;
    this.dueUs = startUs + gapUs;
    const found = this.budget.spin();
    const lookedUs = this.nowUs - startUs;
    this.nowUs = Math.max(this.nowUs, this.dueUs);
    return { lookedUs, found };
  }
}

describe('how long a waiter looks before it sleeps', () => {
  test('work that is there already costs no look at the clock', () => {
    const waiter = new Waiter();
    assert.deepEqual(waiter.wait(0), { lookedUs: 0, found: true });
    assert.deepEqual(waiter.budget.counts, { paid: 0, missed: 0, skipped: 0 });
  });

  test('looks that pay keep it looking, and no longer than a few times what they needed', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 100; i++) assert.equal(waiter.wait(2).found, true);
    assert.ok(waiter.budget.us >= 5 && waiter.budget.us < 7, `${waiter.budget.us} us`);
    assert.equal(waiter.wait(4).found, true);
    // What comes later than that is missed once; then there is all the time again.
    assert.equal(waiter.wait(60).found, false);
    assert.equal(waiter.wait(60).found, true);
    assert.deepEqual(waiter.budget.counts, { paid: 102, missed: 1, skipped: 0 });
  });

  test('gaps of 20 us are waited out, every time', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 1000; i++) assert.equal(waiter.wait(20).found, true);
  });

  test('looks that never pay cost one look in MAX_SKIPS waits', () => {
    const waiter = new Waiter();
    for (let i = 0; i < 2000; i++) waiter.wait(1000);
    const before = waiter.budget.counts;
    let lookedUs = 0;
    for (let i = 0; i < 10 * (MAX_SKIPS + 1); i++) lookedUs += waiter.wait(1000).lookedUs;
    assert.equal(waiter.budget.counts.missed - before.missed, 10);
    assert.ok(lookedUs <= 10 * (MAX_SPIN_US + 1), `${lookedUs} us`);
  });

  test('when looking pays again, it is found out within MAX_SKIPS waits and stays', () => {
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
    assert.equal(waiter.budget.counts.skipped, 0);
  });

  test('a look that lost its core ends at once, and the next waits are left out', () => {
    let looks = 0;
    const budget = new AdaptiveSpin({
      hasWorkRelaxed: () => false,
      // The first look at the clock starts the time; the loss falls before the second.
      now: () => (looks++ === 1 ? 0.04 : 0),
    });
    assert.equal(budget.spin(), false);
    assert.equal(looks, 2);
    for (let i = 0; i < 16; i++) assert.equal(budget.spin(), false);
    assert.deepEqual(budget.counts, { paid: 0, missed: 1, skipped: 16 });
  });

  test('work that came while the core was lost is taken, and tells nothing of whether looking pays', () => {
    let looks = 0;
    const budget = new AdaptiveSpin({
      hasWorkRelaxed: () => looks >= 2,
      now: () => (looks++ === 1 ? 0.04 : 0),
    });
    assert.equal(budget.spin(), true);
    assert.deepEqual(budget.counts, { paid: 0, missed: 0, skipped: 0 });
    assert.equal(budget.us, MAX_SPIN_US);
  });

  test('a fixed budget is looked for in full each time; 0 sleeps at once', () => {
    const waiter = new Waiter({ fixedUs: 30 });
    for (let i = 0; i < 50; i++) assert.ok(waiter.wait(1000).lookedUs >= 30);
    assert.equal(waiter.wait(25).found, true);
    assert.equal(waiter.budget.us, 30);
    const never = new Waiter({ fixedUs: 0 });
    for (let i = 0; i < 50; i++) assert.deepEqual(never.wait(1), { lookedUs: 0, found: false });
  });
});
