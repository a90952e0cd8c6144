import assert from 'node:assert/strict';
import { test } from 'node:test';
import { thrownText } from './thrown-text.js';

const NO_PLACE = 'not an Error, so its place is unknown';

test('an error is its message without a full stop', () => {
  assert.equal(thrownText(new Error('it broke.')), 'it broke');
  assert.equal(thrownText(new Error('it broke'), []), 'it broke');
});

test('what is no error is shown, with the devices that it may come from', () => {
  assert.equal(thrownText({}), `{} (${NO_PLACE})`);
  assert.equal(thrownText(undefined, ['disk']), `undefined (${NO_PLACE}; from device disk)`);
  assert.equal(thrownText('too\nlate.', ['disk', 'lamp']), `too late (${NO_PLACE}; from device disk or lamp)`);
  assert.ok(thrownText({ text: 'x'.repeat(10_000) }).length < 300);
});

test('a value that throws when it is looked at has a text too', () => {
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new TypeError('get');
      },
      getPrototypeOf: () => {
        throw new TypeError('getPrototypeOf');
      },
    },
  );
  assert.match(thrownText(hostile), /its place is unknown/);
});
