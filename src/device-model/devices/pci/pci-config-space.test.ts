import assert from 'node:assert/strict';
import test from 'node:test';

import { PciConfigSpace, PciRegister } from './pci-config-space.js';

test('a field keeps its read-only bits, stores the writable and clears the clearable', () => {
  const space = new PciConfigSpace([
    { register: 0x40, size: 4, value: 0xf0f0_1234, writable: 0xff, clearable: 0xff00_0000 },
  ]);
  assert.equal(space.read(0x40, 4), 0xf0f0_1234);
  space.write(0x40, 4, 0x8000_ffab);
  assert.equal(space.read(0x40, 4), 0x70f0_12ab);
});

test('bytes and words reach their part of a register only', () => {
  const space = new PciConfigSpace([{ register: 0x40, size: 4, value: 0, writable: 0xffff_ffff }]);
  space.write(0x41, 1, 0xaa);
  space.write(0x42, 2, 0xbbcc);
  assert.equal(space.read(0x40, 4), 0xbbcc_aa00);
  assert.equal(space.read(0x43, 1), 0xbb);
});

test('a base address register written with all ones reads as the mask of its size', () => {
  const space = new PciConfigSpace([{ register: PciRegister.BAR0, size: 4, value: 0x1, writable: 0xffff_ffe0 }]);
  space.write(PciRegister.BAR0, 4, 0xffff_ffff);
  assert.equal(space.read(PciRegister.BAR0, 4), 0xffff_ffe1, '32 ports');
  space.write(PciRegister.BAR0, 4, 0xc000);
  assert.equal(space.read(PciRegister.BAR0, 4), 0xc001);
});

test('bytes without a field read as 0 and ignore writes', () => {
  const space = new PciConfigSpace([]);
  space.write(0x80, 4, 0xffff_ffff);
  assert.equal(space.read(0x80, 4), 0);
});

test('there is no extended configuration space', () => {
  const space = new PciConfigSpace([]);
  assert.equal(space.read(0x100, 4), 0, 'an empty list of extended capabilities');
  assert.equal(space.read(0x104, 4), 0xffff_ffff);
  assert.equal(space.read(0xffc, 1), 0xff);
  space.write(0x100, 4, 1);
  assert.equal(space.read(0x100, 4), 0);
});

test('the device sets bits that the guest cannot, and a reset restores all', () => {
  const space = new PciConfigSpace([{ register: PciRegister.STATUS, size: 2, value: 0x0010, clearable: 0x8000 }]);
  space.set(PciRegister.STATUS, 2, 0x8010);
  assert.equal(space.read(PciRegister.STATUS, 2), 0x8010);
  space.write(PciRegister.STATUS, 2, 0x8000);
  assert.equal(space.read(PciRegister.STATUS, 2), 0x0010);
  space.set(PciRegister.STATUS, 2, 0xffff);
  space.reset();
  assert.equal(space.read(PciRegister.STATUS, 2), 0x0010);
});
