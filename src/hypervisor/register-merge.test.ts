import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeRegister } from './register-merge.js';

test('a read changes the register as hardware does, by size', () => {
  const before = 0x1122334455667788n;
  const value = 0x8877665544332211n;
  assert.equal(mergeRegister(before, value, 1), 0x1122334455667711n);
  assert.equal(mergeRegister(before, value, 2), 0x1122334455662211n);
  assert.equal(mergeRegister(before, value, 4), 0x44332211n);
  assert.equal(mergeRegister(before, value, 8), value);
});
