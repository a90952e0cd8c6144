import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packedPciName, packPciAddress, pciAddressName } from './pci-address.js';

test('a PCI address is packed a byte per field and has the text that lspci prints', () => {
  assert.equal(packPciAddress(0x12, 0x1f, 2), 0x12_1f_02);
  assert.equal(packedPciName(0x12_1f_02), '12:1f.2');
  assert.equal(packedPciName(packPciAddress(0xff, 0, 7)), 'ff:00.7');
  assert.equal(pciAddressName(0, 0x1f, 2), '00:1f.2');
  assert.equal(pciAddressName(0, 0x1f), '00:1f');
});

test('a PCI field of a corrupted page saturates and leaves the other fields unchanged', () => {
  assert.equal(packPciAddress(0x100, 1, 2), 0xff_01_02);
  assert.equal(packPciAddress(0, -1, 2), 0x00_ff_02);
  assert.equal(packPciAddress(0, 0, 0x7fff_ffff), 0x00_00_ff);
});
