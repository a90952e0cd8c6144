import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONSOLE_HISTORY_BYTES, GuestConsole, TYPED_QUEUE_BYTES } from './guest-console.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('the history has the latest output, up to its limit', () => {
  const guest = new GuestConsole(() => 0);
  guest.write(Buffer.from('hello'));
  assert.equal(Buffer.from(guest.history).toString(), 'hello');
  const all = Buffer.alloc(3 * CONSOLE_HISTORY_BYTES + 17);
  for (let i = 0; i < all.length; i++) all[i] = (i * 31) >> 3;
  for (let at = 0; at < all.length; at += 997) guest.write(all.subarray(at, at + 997));
  assert.deepEqual(Buffer.from(guest.history), all.subarray(-CONSOLE_HISTORY_BYTES));
  guest.write(all);
  assert.deepEqual(Buffer.from(guest.history), all.subarray(-CONSOLE_HISTORY_BYTES));
});

test('input reaches the guest in order as it has room, and is dropped above the limit', async () => {
  let room = 2;
  const got: number[] = [];
  const guest = new GuestConsole((bytes) => {
    const accepted = bytes.subarray(0, room);
    got.push(...accepted);
    room -= accepted.length;
    return accepted.length;
  });
  guest.type(Buffer.from('abcd'));
  guest.type(Buffer.from('ef'));
  assert.equal(Buffer.from(got).toString(), 'ab');
  room = 3;
  guest.room();
  await turn();
  assert.equal(Buffer.from(got).toString(), 'abcde');
  guest.type(Buffer.alloc(2 * TYPED_QUEUE_BYTES, 'x'));
  room = Infinity;
  guest.room();
  await turn();
  assert.equal(got.length, 'abcde'.length + TYPED_QUEUE_BYTES);
});
