import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock, SystemClock } from './clock.js';

describe('a clock that stands still', () => {
  test('shows the time that it was advanced to, and the wall time with it', () => {
    const clock = new ManualClock(Date.UTC(2024, 1, 29), 5);
    assert.deepEqual([clock.now(), clock.wallTimeMs()], [5, Date.UTC(2024, 1, 29) + 5]);
    clock.advance(1.25);
    assert.deepEqual([clock.now(), clock.wallTimeMs()], [6.25, Date.UTC(2024, 1, 29) + 6.25]);
  });

  test('fires due timers in order of time, then of scheduling, each at its own time', () => {
    const clock = new ManualClock();
    const fired: string[] = [];
    const note = (name: string) => () => fired.push(`${name}@${clock.now()}`);
    clock.schedule(30, note('c'));
    clock.schedule(10, note('a'));
    clock.schedule(20, note('b'));
    clock.schedule(10, note('a2'));
    clock.advance(20);
    assert.deepEqual(fired, ['a@10', 'a2@10', 'b@20']);
    assert.deepEqual([clock.now(), clock.pending], [20, 1]);
    clock.advance(10);
    assert.equal(fired.at(-1), 'c@30');
  });

  test('never fires inside schedule, not even an overdue timer', () => {
    const clock = new ManualClock(0, 100);
    let fired = 0;
    clock.schedule(50, () => fired++);
    assert.equal(fired, 0);
    clock.advance(0);
    assert.deepEqual([fired, clock.now()], [1, 100]);
  });

  test('a timer that is cancelled, also by another one at its own time, does not fire', () => {
    const clock = new ManualClock();
    let fired = 0;
    const first = clock.schedule(5, () => second.cancel());
    const second = clock.schedule(5, () => fired++);
    clock.advance(10);
    first.cancel();
    assert.deepEqual([fired, clock.pending], [0, 0]);
  });

  test('a timer that schedules the next one in its callback goes on within one advance', () => {
    const clock = new ManualClock();
    const times: number[] = [];
    const tick = (): void => {
      times.push(clock.now());
      clock.schedule(clock.now() + 4, tick);
    };
    clock.schedule(4, tick);
    clock.advance(17);
    assert.deepEqual(times, [4, 8, 12, 16]);
    assert.deepEqual([clock.now(), clock.pending], [17, 1]);
  });

  test('never goes back, also when a callback advances it further', () => {
    const clock = new ManualClock();
    clock.schedule(1, () => clock.advance(100));
    clock.advance(10);
    assert.equal(clock.now(), 101);
  });
});

describe('the host’s clock', { timeout: 120_000 }, () => {
  test('is monotonic, and its wall time is the host’s', () => {
    const clock = new SystemClock();
    const before = clock.now();
    assert.ok(clock.now() >= before);
    assert.ok(Math.abs(clock.wallTimeMs() - Date.now()) < 1000);
  });

  test('fires a timer once, never before its time and never inside of schedule', async () => {
    const clock = new SystemClock();
    for (const delay of [-5, 0, 0.3, 3.7]) {
      const at = clock.now() + delay;
      let isInside = true;
      const keepAlive = setInterval(() => undefined, 1000);
      await new Promise<void>((resolve) => {
        clock.schedule(at, () => {
          assert.equal(isInside, false);
          assert.ok(clock.now() >= at);
          resolve();
        });
        isInside = false;
      });
      clearInterval(keepAlive);
    }
  });

  test('a timer that is cancelled does not fire, and one for next year does not fire at once', async () => {
    const clock = new SystemClock();
    let fired = 0;
    const cancelled = clock.schedule(clock.now() + 2, () => fired++);
    const far = clock.schedule(clock.now() + 365 * 86_400_000, () => fired++);
    cancelled.cancel();
    const keepAlive = setInterval(() => undefined, 1000);
    await new Promise<void>((resolve) => void clock.schedule(clock.now() + 10, resolve));
    clearInterval(keepAlive);
    far.cancel();
    assert.equal(fired, 0);
  });
});
