import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sampler } from './sampler.js';

test('a sampler whose sources are not needed samples nothing and has no timer', () => {
  let samples = 0;
  const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const sampler = new Sampler(1000, [{ everyTicks: 1, isNeeded: () => false, sample: () => samples++ }]);
  sampler.wake();
  assert.equal(samples, 0);
  assert.equal(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length, before);
});

test('a source that is needed is sampled by the timer, and never above its rate', async () => {
  const times: number[] = [];
  let left = 20;
  await new Promise<void>((resolve) => {
    const sampler = new Sampler(250, [
      {
        everyTicks: 1,
        isNeeded: () => left > 0,
        sample: () => {
          times.push(performance.now());
          // More calls must not give more samples.
          for (let i = 0; i < 5; i++) setImmediate(() => sampler.wake());
          if (--left === 0) resolve();
        },
      },
    ]);
    sampler.wake();
    // The sampler's timer does not keep the process alive. This one does until the last sample.
    const keep = setInterval(() => left === 0 && clearInterval(keep), 5);
  });
  assert.equal(times.length, 20);
  const elapsed = (times.at(-1) as number) - (times[0] as number);
  assert.ok(elapsed >= 17 * 4, `20 samples in ${elapsed} ms`);
});

test('a slower source is sampled on a tick of the others and after them, and a missed tick is skipped', () => {
  let nowMs = 0;
  let isTableNeeded = false;
  const samples: string[] = [];
  const sampler = new Sampler(
    100,
    [
      { everyTicks: 1, isNeeded: () => true, sample: () => samples.push(`${nowMs} slots`) },
      { everyTicks: 4, isNeeded: () => isTableNeeded, sample: () => samples.push(`${nowMs} tables`) },
    ],
    () => nowMs,
  );
  const at = (ms: number): string[] => {
    nowMs = ms;
    sampler.wake();
    return samples.splice(0);
  };
  assert.deepEqual(at(1001), ['1001 slots']);
  assert.deepEqual(at(1009), [], 'within the same tick');
  isTableNeeded = true;
  assert.deepEqual(at(1010), ['1010 slots', '1010 tables'], 'a source that becomes needed is sampled at once');
  assert.deepEqual(at(1030), ['1030 slots'], 'two ticks later, one sample');
  assert.deepEqual(at(1040), ['1040 slots', '1040 tables']);
  assert.deepEqual(at(1075), ['1075 slots']);
  assert.deepEqual(at(1095), ['1095 slots', '1095 tables'], 'a tick late');
  assert.deepEqual(at(1120), ['1120 slots', '1120 tables'], 'and on time again');
  sampler.stop();
  assert.deepEqual(at(2000), []);
});
