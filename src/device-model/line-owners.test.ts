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

test('who holds a line: devices with an output that is high, those of other threads, and SET_IRQLINE', () => {
  const owners = new LineOwners();
  const [uart, disk] = [owners.add(5, 'uart'), owners.add(5, 'disk')];
  owners.drives(7, { name: 'slow' });
  owners.changed(5, uart, true);
  owners.changed(5, uart, true);
  owners.changed(5, disk, true);
  owners.changed(6, disk, true);
  owners.changed(5, disk, false);
  owners.changed(5, uart, false);
  const holders = (...drivers: number[]): readonly string[] =>
    owners.holders(
      5,
      drivers.reduce((bits, driver) => bits | (1 << driver), 0),
    );
  assert.deepEqual(holders(1), ['uart']);
  assert.deepEqual(holders(0, 1, 7, 8), ['SET_IRQLINE', 'uart', 'slow']);
  assert.deepEqual([holders(), holders(2)], [[], []]);
});

test('owners above the limit have no name, and those before keep theirs', () => {
  const owners = new LineOwners();
  const numbers = Array.from({ length: MAX_LINE_OWNERS + 2 }, (_, index) => owners.add(1, `device ${index}`));
  assert.equal(owners.name(numbers[MAX_LINE_OWNERS - 1] ?? 0), `device ${MAX_LINE_OWNERS - 1}`);
  assert.deepEqual(numbers.slice(-2), [NAMELESS, NAMELESS]);
  assert.equal(owners.add(2, 'device 0'), numbers[0]);
});
