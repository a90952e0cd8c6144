import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CharacterFifo } from './character-fifo.js';

test('characters come out in the order they went in, around the end of the ring', () => {
  const fifo = new CharacterFifo(3);
  for (let round = 0; round < 5; round++) {
    assert.ok(fifo.push(round));
    assert.ok(fifo.push(round + 100));
    assert.equal(fifo.shift(), round);
    assert.equal(fifo.shift(), round + 100);
  }
  assert.equal(fifo.shift(), undefined);
});

test('a full FIFO refuses a character, and keeps the others', () => {
  const fifo = new CharacterFifo(2);
  assert.ok(fifo.push(1));
  assert.ok(fifo.push(2));
  assert.equal(fifo.room, 0);
  assert.equal(fifo.push(3), false);
  assert.equal(fifo.shift(), 1);
  assert.equal(fifo.shift(), 2);
});

test('errors belong to their character and are taken once', () => {
  const fifo = new CharacterFifo(4);
  fifo.push(0x41);
  fifo.push(0x1842);
  assert.equal(fifo.hasErrors, true);
  assert.equal(fifo.takeErrors(), 0, 'the oldest has none');
  fifo.shift();
  assert.equal(fifo.takeErrors(), 0x18);
  assert.equal(fifo.takeErrors(), 0);
  assert.equal(fifo.hasErrors, false);
  assert.equal(fifo.shift(), 0x42);
});

test('a character leaves with errors that were not taken, and clearing drops them', () => {
  const fifo = new CharacterFifo(4);
  fifo.push(0x1000);
  assert.equal(fifo.shift(), 0x1000);
  assert.equal(fifo.hasErrors, false);
  fifo.push(0x1000);
  fifo.clear();
  assert.equal(fifo.length, 0);
  assert.equal(fifo.hasErrors, false);
  assert.equal(fifo.takeErrors(), 0);
});
