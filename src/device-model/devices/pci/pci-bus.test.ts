import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { UpcallError } from '../../../io-request/upcall-error.js';
import { PciBus } from './pci-bus.js';
import { PciHostBridge } from './pci-host-bridge.js';

const ALL_ONES = 0xffff_ffff;

function busWith(...places: readonly (readonly [device: number, fn: number])[]): PciBus {
  const bus = new PciBus();
  for (const [device, fn] of places) bus.add({ bus: 0, device, function: fn }, new PciHostBridge());
  return bus;
}

test('a guest that scans bus 0 finds the host bridge and nothing else', () => {
  const bus = busWith([0, 0]);
  const found = [];
  for (let device = 0; device < 32; device++) {
    const id = bus.read(0, device, 0, 0, 4);
    if (id !== ALL_ONES) found.push({ device, id, class: bus.read(0, device, 0, 8, 4) >>> 8 });
  }
  assert.deepEqual(found, [{ device: 0, id: 0x1237_8086, class: 0x060000 }]);
});

test('an absent function, a wrong size and an unaligned register read as 32 ones and ignore writes', () => {
  const bus = busWith([0, 0]);
  assert.equal(bus.read(0, 1, 0, 0, 1), ALL_ONES);
  assert.equal(bus.read(1, 0, 0, 0, 4), ALL_ONES);
  assert.equal(bus.read(0, 0, 0, 0, 3), ALL_ONES);
  assert.equal(bus.read(0, 0, 0, 0, 8), ALL_ONES);
  assert.equal(bus.read(0, 0, 0, 2, 4), ALL_ONES);
  assert.equal(bus.read(0, 0, 0, 0x1000, 4), ALL_ONES);
  const before = bus.read(0, 0, 0, 4, 4);
  bus.write(0, 0, 0, 5, 2, 0xffff);
  bus.write(0, 1, 0, 4, 4, 0xffff);
  assert.equal(bus.read(0, 0, 0, 4, 4), before);
});

test('numbers beyond their fields reach no function', () => {
  const bus = busWith([1, 0]);
  assert.equal(bus.read(0, 0, 8, 0, 4), ALL_ONES, 'function 8 of device 0 is not device 1');
  assert.equal(bus.read(-1, 1, 0, 0, 4), ALL_ONES);
  assert.equal(bus.read(256, 1, 0, 0, 4), ALL_ONES);
});

test('the multi-function bit follows the functions that are present', () => {
  const bus = busWith([0, 0], [2, 0], [2, 3]);
  assert.equal(bus.read(0, 0, 0, 0x0e, 1), 0x00);
  for (const fn of [0, 3]) {
    assert.equal(bus.read(0, 2, fn, 0x0e, 1), 0x80);
    assert.equal(bus.read(0, 2, fn, 0x0e, 2), 0x0080);
    assert.equal(bus.read(0, 2, fn, 0x0c, 4), 0x0080_0000);
    assert.equal(bus.read(0, 2, fn, 0x0c, 2), 0x0000);
    assert.equal(bus.read(0, 2, fn, 0x0f, 1), 0x00);
  }
});

test('two functions at one address are refused, naming the one that is there', () => {
  const bus = busWith([31, 7]);
  assert.throws(
    () => bus.add({ bus: 0, device: 31, function: 7 }, new PciHostBridge()),
    (error) =>
      error instanceof UpcallError && error.code === 'RANGE_OVERLAP' && /00:1f\.7.*pci-host-bridge/.test(error.message),
  );
});

test('an address that does not exist is refused', () => {
  for (const address of [
    { bus: 256, device: 0, function: 0 },
    { bus: 0, device: 32, function: 0 },
    { bus: 0, device: 0, function: 8 },
    { bus: 0, device: 0.5, function: 0 },
  ]) {
    assert.throws(
      () => new PciBus().add(address, new PciHostBridge()),
      (error) => error instanceof UpcallError && error.code === 'RANGE_INVALID',
    );
  }
});

test('lists its functions in order of addresses', () => {
  const bus = busWith([3, 1], [0, 0], [3, 0]);
  assert.deepEqual(
    [...bus.functions()].map(({ address }) => [address.bus, address.device, address.function]),
    [
      [0, 0, 0],
      [0, 3, 0],
      [0, 3, 1],
    ],
  );
});

test('the host bridge keeps its read-only bits and forgets the rest at a reset', () => {
  const bus = busWith([0, 0]);
  bus.write(0, 0, 0, 4, 4, ALL_ONES);
  assert.equal(bus.read(0, 0, 0, 4, 4), 0x0280_0146);
  bus.write(0, 0, 0, 0x10, 4, ALL_ONES);
  assert.equal(bus.read(0, 0, 0, 0x10, 4), 0, 'no base address registers');
  bus.write(0, 0, 0, 0, 4, 0);
  assert.equal(bus.read(0, 0, 0, 0, 4), 0x1237_8086);
  bus.write(0, 0, 0, 0x59, 1, 0xff);
  bus.write(0, 0, 0, 0x5c, 4, ALL_ONES);
  assert.equal(bus.read(0, 0, 0, 0x59, 1), 0x30, 'shadow RAM switches are stored');
  assert.equal(bus.read(0, 0, 0, 0x5c, 4), 0x3333_3333);
  bus.reset();
  assert.equal(bus.read(0, 0, 0, 4, 4), 0x0280_0006);
  assert.equal(bus.read(0, 0, 0, 0x5c, 4), 0);
});

test('a read after arbitrary accesses has 32 bits, and vendor and device ID stay', () => {
  const number = fc.oneof(fc.integer({ min: 0, max: 0x1100 }), fc.integer());
  const access = fc.record({
    device: fc.integer({ min: 0, max: 2 }),
    register: number,
    size: fc.oneof(fc.constantFrom(1, 2, 4), number),
    value: fc.integer({ min: 0, max: ALL_ONES }),
  });
  fc.assert(
    fc.property(fc.array(access, { maxLength: 100 }), (accesses) => {
      const bus = busWith([0, 0], [1, 0], [1, 1]);
      for (const { device, register, size, value } of accesses) {
        bus.write(0, device, 0, register, size, value);
        const read = bus.read(0, device, 0, register, size);
        assert.ok(Number.isInteger(read) && read >= 0 && read <= ALL_ONES);
      }
      assert.equal(bus.read(0, 0, 0, 0, 4), 0x1237_8086);
    }),
  );
});
