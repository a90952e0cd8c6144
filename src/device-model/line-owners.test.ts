import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineOwners, MAX_LINE_OWNERS, NAMELESS } from './line-owners.js';

test('a line has the names of its owners, each once, and those that they have now', () => {
  const owners = new LineOwners();
  const module = { name: 'disk.js' };
  const number = owners.add(5, module);
  owners.add(5, 'uart');
  owners.add(5, { name: 'uart' });
  owners.add(6, undefined);
  module.name = 'disk';
  assert.deepEqual([owners.of(5), owners.of(6), owners.of(7)], [['disk', 'uart'], [], []]);
  assert.equal(owners.add(9, module), number);
  assert.deepEqual([owners.of(9), owners.name(number), owners.name(99)], [['disk'], 'disk', undefined]);
});

test('owners above the limit have no name, and those before keep theirs', () => {
  const owners = new LineOwners();
  const numbers = Array.from({ length: MAX_LINE_OWNERS + 2 }, (_, index) => owners.add(1, `device ${index}`));
  assert.equal(owners.name(numbers[MAX_LINE_OWNERS - 1] ?? 0), `device ${MAX_LINE_OWNERS - 1}`);
  assert.deepEqual(numbers.slice(-2), [NAMELESS, NAMELESS]);
  assert.equal(owners.add(2, 'device 0'), numbers[0]);
});
