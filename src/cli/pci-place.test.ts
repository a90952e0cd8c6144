import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePciPlace } from './pci-place.js';

test('a place of a card is free or an address, in hexadecimal', () => {
  assert.deepEqual(parsePciPlace('pci'), { address: undefined });
  assert.deepEqual(parsePciPlace('pci:00:05.0'), { address: { bus: 0, device: 5, function: 0 } });
  assert.deepEqual(parsePciPlace('pci:fF:1f.7'), { address: { bus: 255, device: 31, function: 7 } });
});

test('another text is not a place of a card', () => {
  for (const text of ['', '0x500', 'mmio:0xd0000000', 'pcie']) assert.equal(parsePciPlace(text), undefined);
});

test('a wrong address is refused with the form', () => {
  for (const text of ['pci:', 'pci:5', 'pci:00:05', 'pci:00:20.0', 'pci:00:05.8', 'pci:000:05.0', 'pci:00:05.0.0'])
    assert.throws(() => parsePciPlace(text), { code: 'RANGE_INVALID', remedy: /pci:BB:DD\.F/ }, text);
});
