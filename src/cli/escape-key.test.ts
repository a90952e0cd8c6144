import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../device-model/clock.js';
import { ESCAPE_KEY, EscapeKey, SECOND_PRESS_MS } from './escape-key.js';

function made(): { key: EscapeKey; clock: ManualClock; left: () => number } {
  const clock = new ManualClock();
  let count = 0;
  return { key: new EscapeKey(clock, () => count++), clock, left: () => count };
}

test('every other key goes to the guest, Ctrl-C included', () => {
  const { key, left } = made();
  assert.deepEqual([...key.filter(Uint8Array.of(3, 4, 26, 0x41))], [3, 4, 26, 0x41]);
  assert.equal(left(), 0);
});

test('a single press leaves after the time for a second press', () => {
  const { key, clock, left } = made();
  assert.deepEqual([...key.filter(Uint8Array.of(0x41, ESCAPE_KEY))], [0x41]);
  clock.advance(SECOND_PRESS_MS - 1);
  assert.equal(left(), 0);
  clock.advance(1);
  assert.equal(left(), 1);
});

test('a double press sends one key to the guest and does not leave', () => {
  const { key, clock, left } = made();
  key.filter(Uint8Array.of(ESCAPE_KEY));
  assert.deepEqual([...key.filter(Uint8Array.of(ESCAPE_KEY, 0x42))], [ESCAPE_KEY, 0x42]);
  clock.advance(SECOND_PRESS_MS * 2);
  assert.equal(left(), 0);
});

test('another key after the escape key leaves at once, and later keys are dropped', () => {
  const { key, clock, left } = made();
  assert.deepEqual([...key.filter(Uint8Array.of(ESCAPE_KEY, 0x41, 0x42))], []);
  assert.equal(left(), 1);
  assert.deepEqual([...key.filter(Uint8Array.of(0x43, ESCAPE_KEY))], []);
  clock.advance(SECOND_PRESS_MS);
  assert.equal(left(), 1);
});
