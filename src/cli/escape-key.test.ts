import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../device-model/clock.js';
import { ESCAPE_KEY, EscapeKey, SECOND_KEY_MS } from './escape-key.js';

function made(): Record<'left' | 'shown' | 'saved', () => number> & { key: EscapeKey; clock: ManualClock } {
  const clock = new ManualClock();
  const count = { left: 0, shown: 0, saved: 0 };
  const key = new EscapeKey(clock, {
    leave: () => count.left++,
    showPage: () => count.shown++,
    save: () => count.saved++,
  });
  return { key, clock, left: () => count.left, shown: () => count.shown, saved: () => count.saved };
}

test('every other key goes to the guest, Ctrl-C included', () => {
  const { key, left } = made();
  assert.deepEqual([...key.filter(Uint8Array.of(3, 4, 26, 0x41))], [3, 4, 26, 0x41]);
  assert.equal(left(), 0);
});

test('the escape key alone leaves after the time for a second key', () => {
  const { key, clock, left } = made();
  assert.deepEqual([...key.filter(Uint8Array.of(0x41, ESCAPE_KEY))], [0x41]);
  clock.advance(SECOND_KEY_MS - 1);
  assert.equal(left(), 0);
  clock.advance(1);
  assert.equal(left(), 1);
});

test('a double press sends one key to the guest and does not leave', () => {
  const { key, clock, left } = made();
  key.filter(Uint8Array.of(ESCAPE_KEY));
  assert.deepEqual([...key.filter(Uint8Array.of(ESCAPE_KEY, 0x42))], [ESCAPE_KEY, 0x42]);
  clock.advance(SECOND_KEY_MS * 2);
  assert.equal(left(), 0);
});

test('another key after the escape key leaves at once, and later keys are dropped', () => {
  const { key, clock, left } = made();
  assert.deepEqual([...key.filter(Uint8Array.of(ESCAPE_KEY, 0x41, 0x42))], []);
  assert.equal(left(), 1);
  assert.deepEqual([...key.filter(Uint8Array.of(0x43, ESCAPE_KEY))], []);
  clock.advance(SECOND_KEY_MS);
  assert.equal(left(), 1);
});

test('p after the escape key shows the page and does not leave, and the next keys go to the guest', () => {
  for (const p of 'pP') {
    const { key, clock, left, shown } = made();
    assert.deepEqual([...key.filter(Uint8Array.of(0x41, ESCAPE_KEY))], [0x41]);
    clock.advance(SECOND_KEY_MS - 1);
    assert.deepEqual([...key.filter(Buffer.from(`${p}p`))], [...Buffer.from('p')]);
    clock.advance(SECOND_KEY_MS * 2);
    assert.deepEqual([left(), shown()], [0, 1]);
    key.filter(Uint8Array.of(ESCAPE_KEY, ESCAPE_KEY));
    key.filter(Buffer.from('p'));
    assert.equal(shown(), 1, 'after a double press p is for the guest');
  }
});

test('s after the escape key saves, and neither leaves nor reaches the guest', () => {
  const { key, clock, left, saved } = made();
  assert.deepEqual([...key.filter(Uint8Array.of(ESCAPE_KEY, 's'.charCodeAt(0), 0x41))], [0x41]);
  assert.equal(saved(), 1);
  clock.advance(SECOND_KEY_MS);
  assert.equal(left(), 0);
});
