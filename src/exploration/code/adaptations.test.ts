import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeText } from './adaptations.js';

test('a text is changed whatever its white space', () => {
  const change = { module: 'm', from: 'a (b); c', to: '$&' };
  assert.equal(changeText('x;\n  a (b);\n    c;', change), 'x;\n  $&;');
});

test('a text that is not there, or twice, is GONE', () => {
  const change = { module: 'm', from: 'a', to: 'b' };
  assert.throws(() => changeText('c', change), /GONE: in m this stands 0 times/);
  assert.throws(() => changeText('a a', change), /GONE: in m this stands 2 times/);
});
