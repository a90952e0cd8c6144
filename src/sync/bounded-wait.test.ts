import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost, withTimeout } from './bounded-wait.js';

const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

test('a promise that settles in time ends the wait and leaves no timer', async () => {
  const before = timers();
  await atMost(60_000, Promise.resolve(1));
  await assert.rejects(atMost(60_000, Promise.reject(new Error('refused'))), /refused/);
  assert.equal(timers(), before);
});

test('a promise that never settles is waited for until the limit', async () => {
  await atMost(1, new Promise(() => undefined));
  assert.equal(timers(), 0);
});

test('a wait that reaches its limit settles as its callback returns or throws', async () => {
  const never = new Promise<number>(() => undefined);
  assert.equal(await withTimeout(1, never, () => 'late'), 'late');
  await assert.rejects(
    withTimeout(1, never, () => {
      throw new Error('too late');
    }),
    /too late/,
  );
  assert.equal(await withTimeout(60_000, Promise.resolve(7), () => assert.fail('it is in time')), 7);
  assert.equal(timers(), 0);
});

test('without a limit a promise is waited for until it settles', async () => {
  let settle: () => void = () => undefined;
  const order: string[] = [];
  const work = new Promise<void>((resolve) => (settle = resolve));
  const waited = Promise.all([Infinity, 2 ** 31].map((limit) => atMost(limit, work))).then(() => order.push('waited'));
  assert.equal(timers(), 0);
  // setTimeout clamps a larger delay to 1 ms, and that timer would have fired by now.
  await new Promise((resolve) => setTimeout(resolve, 5));
  order.push('settled');
  settle();
  await waited;
  assert.deepEqual(order, ['settled', 'waited']);
});
