import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorText } from './error-text.js';

test('an error has its message and its stack', () => {
  const error = new TypeError('no such register');
  assert.deepEqual(errorText(error), { message: 'no such register', stack: error.stack });
});

test('a thrown value that is not an error gives its string', () => {
  assert.deepEqual([undefined, null, 5, 'text'].map(errorText), [
    { message: 'threw undefined' },
    { message: 'threw null' },
    { message: '5' },
    { message: 'text' },
  ]);
});

test('a value without a string form and an error with an invalid stack do not throw', () => {
  const message = 'something was thrown that has no text';
  assert.deepEqual(errorText(Object.create(null)), { message });
  const error = Object.defineProperty(new Error('odd'), 'message', {
    get: () => {
      throw new Error('not even that');
    },
  });
  assert.deepEqual(errorText(error), { message });
  const bare = new Error('bare');
  Object.defineProperty(bare, 'stack', { value: undefined });
  assert.deepEqual(errorText(bare), { message: 'bare' });
});
