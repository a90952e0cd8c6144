import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Expectation } from './expectation.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');

test('a text in one chunk is found', () => {
  assert.equal(new Expectation('login:').scan(bytes('debian login: ')), true);
});

test('a text is found byte by byte, after an incomplete match', () => {
  const expectation = new Expectation('aab');
  const seen = ['a', 'a', 'a', 'b'].map((c) => expectation.scan(bytes(c)));
  assert.deepEqual(seen, [false, false, false, true]);
  assert.equal(expectation.scan(bytes('x')), true);
});

test('a character of several bytes is found across chunks', () => {
  const expectation = new Expectation('größe');
  const whole = bytes('größe');
  assert.equal(expectation.scan(whole.subarray(0, 3)), false);
  assert.equal(expectation.scan(whole.subarray(3)), true);
});

test('a text of one byte is found, another is not', () => {
  const expectation = new Expectation('$');
  assert.equal(expectation.scan(bytes('abc')), false);
  assert.equal(expectation.isMet, false);
  assert.equal(expectation.scan(bytes('$')), true);
});
