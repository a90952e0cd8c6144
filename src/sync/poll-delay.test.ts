import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PollDelay, MAX_DELAY_STEPS } from './poll-delay.js';

/** About as many take as long as one look. */
const STEPS_OF_A_LOOK = 2;

/** Requests whose answers are there so many steps after they were made; how many first looks came too early. */
function requests(pollDelay: PollDelay, count: number, answerAt: (request: number) => number): number {
  let early = 0;
  for (let i = 0; i < count; i++) {
    const late = answerAt(i) - pollDelay.steps;
    pollDelay.wait();
    if (late <= 0) pollDelay.inTime();
    else {
      early++;
      pollDelay.tooEarly(Math.ceil(late / STEPS_OF_A_LOOK));
    }
  }
  return early;
}

test('a waiter that knows nothing looks at once', () => {
  assert.equal(new PollDelay().steps, 0);
});

test('the wait follows the time that answers take, whichever way that changes, and few looks are too early', () => {
  const pollDelay = new PollDelay();
  for (const takes of [200, 90, 400, 10]) {
    requests(pollDelay, 1000, () => takes);
    const early = requests(pollDelay, 1000, () => takes);
    assert.ok(early > 0 && early < 130, `${early} of 1000 looks were too early for ${takes}`);
    assert.ok(Math.abs(pollDelay.steps - takes) <= 10, `${pollDelay.steps} steps for ${takes}`);
  }
});

test('answers of another kind, far later, change nothing', () => {
  const pollDelay = new PollDelay();
  requests(pollDelay, 1000, () => 100);
  const { steps } = pollDelay;
  requests(pollDelay, 50, () => 60_000);
  assert.equal(pollDelay.steps, steps);
});

test('nobody waits longer than MAX_DELAY_STEPS, however late answers are', () => {
  const pollDelay = new PollDelay();
  requests(pollDelay, 10_000, () => pollDelay.steps + 100);
  assert.equal(pollDelay.steps, MAX_DELAY_STEPS);
});

test('until returns at the first look that finds work, and learns from it', () => {
  const pollDelay = new PollDelay();
  let looks = 0;
  pollDelay.until(() => ++looks === 5);
  assert.equal(looks, 5);
  const { steps } = pollDelay;
  assert.ok(steps > 0);
  pollDelay.until(() => true);
  assert.equal(pollDelay.steps, steps - 1);
});
