import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomNumbers } from './random-search.js';
import { StateTable } from './state-table.js';

test('a table that has grown finds every state with its values, and no other', () => {
  const COUNT = 200_000;
  const table = new StateTable();
  const hashes = randomNumbers(1);
  const next = (): [number, number] => [hashes(2 ** 32) | 0, hashes(2 ** 32) | 0];
  for (let state = 0; state < COUNT; state++) {
    const [low, high] = next();
    assert.equal(table.find(low, high), -1);
    assert.equal(table.add(low, high, state), state);
    table.setSchedules(state, state / 2);
    if (state % 2 === 1) table.close(state);
    // The same cell of the table, another state.
    assert.equal(table.find(low, ~high), -1);
  }
  assert.equal(table.count, COUNT);
  const again = randomNumbers(1);
  for (let state = 0; state < COUNT; state++) {
    assert.equal(table.find(again(2 ** 32) | 0, again(2 ** 32) | 0), state);
    assert.equal(table.schedules(state), state / 2);
    assert.equal(table.order(state), state % 2 === 1 ? -1 : state);
  }
});
