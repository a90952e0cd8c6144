import assert from 'node:assert/strict';
import test from 'node:test';

import { POST_HISTORY_LIMIT, PostPort } from './post-port.js';

test('keeps the last code and calls back with each', () => {
  const codes: number[] = [];
  const port = new PostPort({ onCode: (code) => codes.push(code) });
  assert.equal(port.code, undefined);
  port.write(0, 1, 0x11);
  port.write(0, 1, 0x22);
  assert.equal(port.code, 0x22);
  assert.equal(port.read(0, 1), 0x22);
  assert.deepEqual(port.history, [0x11, 0x22]);
  assert.deepEqual(codes, [0x11, 0x22]);
});

test('forgets the oldest codes, however many the guest writes', () => {
  const port = new PostPort();
  for (let i = 0; i < POST_HISTORY_LIMIT + 10; i++) port.write(0, 1, i);
  assert.equal(port.history.length, POST_HISTORY_LIMIT);
  assert.equal(port.history[0], 10);
  assert.equal(port.history.at(-1), POST_HISTORY_LIMIT + 9);
});

test('a wider read has all ones in the bytes behind the port', () => {
  const port = new PostPort();
  port.write(0, 2, 0x1234);
  assert.equal(port.read(0, 2), 0xff34);
  assert.equal(port.read(0, 4), 0xffff_ff34);
});

test('a reset forgets the codes', () => {
  const port = new PostPort();
  port.write(0, 1, 1);
  port.reset();
  assert.equal(port.code, undefined);
  assert.deepEqual(port.history, []);
});
