import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sampler } from './sampler.js';

test('nobody who wants anything: nothing is looked at, and there is no timer', () => {
  let looks = 0;
  const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const sampler = new Sampler([{ perSecond: 1000, isWanted: () => false, sample: () => looks++ }]);
  sampler.wake();
  assert.equal(looks, 0);
  assert.equal(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length, before);
});

test('what is wanted is looked at, and never more often than agreed', async () => {
  const times: number[] = [];
  let wanted = 20;
  await new Promise<void>((resolve) => {
    const sampler = new Sampler([
      {
        perSecond: 250,
        isWanted: () => wanted > 0,
        sample: () => {
          times.push(performance.now());
          // Who asks again and again gets nothing more for it.
          for (let i = 0; i < 5; i++) setImmediate(() => sampler.wake());
          if (--wanted === 0) resolve();
        },
      },
    ]);
    sampler.wake();
    // Its own timer keeps no process; this one does until the last look.
    const keep = setInterval(() => wanted === 0 && clearInterval(keep), 5);
  });
  assert.equal(times.length, 20);
  const elapsed = (times.at(-1) as number) - (times[0] as number);
  assert.ok(elapsed >= 17 * 4, `20 looks in ${elapsed} ms`);
});
