import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sampler } from './sampler.js';

test('nobody who wants anything: nothing is looked at, and there is no timer', () => {
  let looks = 0;
  const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const sampler = new Sampler(1000, [{ everyBeats: 1, isWanted: () => false, sample: () => looks++ }]);
  sampler.wake();
  assert.equal(looks, 0);
  assert.equal(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length, before);
});

test('what is wanted is looked at by itself, and never more often than agreed', async () => {
  const times: number[] = [];
  let wanted = 20;
  await new Promise<void>((resolve) => {
    const sampler = new Sampler(250, [
      {
        everyBeats: 1,
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

test('what is looked at less often falls on the beat of the rest, after it, and missed beats are not made up for', () => {
  let nowMs = 0;
  let isTableWanted = false;
  const looks: string[] = [];
  const sampler = new Sampler(
    100,
    [
      { everyBeats: 1, isWanted: () => true, sample: () => looks.push(`${nowMs} slots`) },
      { everyBeats: 4, isWanted: () => isTableWanted, sample: () => looks.push(`${nowMs} tables`) },
    ],
    () => nowMs,
  );
  const at = (ms: number): string[] => {
    nowMs = ms;
    sampler.wake();
    return looks.splice(0);
  };
  assert.deepEqual(at(1001), ['1001 slots']);
  assert.deepEqual(at(1009), [], 'within the same beat');
  isTableWanted = true;
  assert.deepEqual(at(1010), ['1010 slots', '1010 tables'], 'who begins to want something need not wait');
  assert.deepEqual(at(1030), ['1030 slots'], 'two beats later, one look');
  assert.deepEqual(at(1040), ['1040 slots', '1040 tables']);
  assert.deepEqual(at(1075), ['1075 slots']);
  assert.deepEqual(at(1095), ['1095 slots', '1095 tables'], 'a beat late');
  assert.deepEqual(at(1120), ['1120 slots', '1120 tables'], 'and back on the beat');
  sampler.stop();
  assert.deepEqual(at(2000), []);
});
