import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoldOff, MAX_HOLD_OFF } from './hold-off.js';

/** About as many take as long as one look. */
const STEPS_OF_A_LOOK = 2;

/** Requests whose answers are there so many steps after they were made; how many first looks came too early. */
function requests(holdOff: HoldOff, count: number, answerAt: (request: number) => number): number {
  let early = 0;
  for (let i = 0; i < count; i++) {
    const late = answerAt(i) - holdOff.steps;
    holdOff.wait();
    if (late <= 0) holdOff.inTime();
    else {
      early++;
      holdOff.tooEarly(Math.ceil(late / STEPS_OF_A_LOOK));
    }
  }
  return early;
}

test('a waiter that knows nothing looks at once', () => {
  assert.equal(new HoldOff().steps, 0);
});

test('the wait follows the time that answers take, whichever way that changes, and few looks are too early', () => {
  const holdOff = new HoldOff();
  for (const takes of [200, 90, 400, 10]) {
    requests(holdOff, 1000, () => takes);
    const early = requests(holdOff, 1000, () => takes);
    assert.ok(early > 0 && early < 130, `${early} of 1000 looks were too early for ${takes}`);
    assert.ok(Math.abs(holdOff.steps - takes) <= 10, `${holdOff.steps} steps for ${takes}`);
  }
});

test('answers of another kind, far later, change nothing', () => {
  const holdOff = new HoldOff();
  requests(holdOff, 1000, () => 100);
  const { steps } = holdOff;
  requests(holdOff, 50, () => 60_000);
  assert.equal(holdOff.steps, steps);
});

test('nobody waits longer than MAX_HOLD_OFF, however late answers are', () => {
  const holdOff = new HoldOff();
  requests(holdOff, 10_000, () => holdOff.steps + 100);
  assert.equal(holdOff.steps, MAX_HOLD_OFF);
});

test('until returns at the first look that finds work, and learns from it', () => {
  const holdOff = new HoldOff();
  let looks = 0;
  holdOff.until(() => ++looks === 5);
  assert.equal(looks, 5);
  const { steps } = holdOff;
  assert.ok(steps > 0);
  holdOff.until(() => true);
  assert.equal(holdOff.steps, steps - 1);
});
