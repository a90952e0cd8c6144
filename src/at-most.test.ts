import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost } from './at-most.js';

const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('what settles in time is not waited for any longer, and leaves no timer', async () => {
  const before = timers();
  await atMost(60_000, Promise.resolve(1));
  await assert.rejects(atMost(60_000, Promise.reject(new Error('refused'))), /refused/);
  assert.equal(timers(), before);
});

test('what never settles is waited for until the limit', async () => {
  await atMost(1, new Promise(() => undefined));
  assert.equal(timers(), 0);
});
