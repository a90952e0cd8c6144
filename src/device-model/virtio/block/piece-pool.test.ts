import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PiecePool } from './piece-pool.js';

test('pieces go to those that wait in their order, and are used again', async () => {
  const pool = new PiecePool(2, 64);
  const [first, second] = await Promise.all([pool.take(), pool.take()]);
  assert.notEqual(first, second);
  assert.deepEqual([first.length, second.length], [64, 64]);
  const order: string[] = [];
  const third = pool.take().then((piece) => {
    order.push('third');
    return piece;
  });
  const fourth = pool.take().then((piece) => {
    order.push('fourth');
    return piece;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(order, []);
  pool.give(second);
  assert.equal(await third, second);
  pool.give(first);
  assert.equal(await fourth, first);
  assert.deepEqual(order, ['third', 'fourth']);
});
