import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MMIO_HANDLER_COUNT, MmioHandlerTable, STRADDLES, type MmioHandler } from './mmio-handlers.js';
import { PORT_HANDLER_COUNT, PortHandlerTable, type PortHandler } from './port-handlers.js';

const mmioHandler = (): MmioHandler => ({ read: () => 0, write: () => true });

describe('the ports that the hypervisor answers itself', () => {
  test('only the port of the first byte counts, whatever the size', () => {
    const ports = new PortHandlerTable();
    const handler: PortHandler = {};
    ports.register(0, 0x20, 2, handler);
    assert.equal(ports.find(0x1f), undefined);
    assert.equal(ports.find(0x20), handler);
    assert.equal(ports.find(0x21), handler);
    assert.equal(ports.find(0x22), undefined);
  });

  test('of two entries that match, the lower index answers', () => {
    const ports = new PortHandlerTable();
    const wide: PortHandler = {};
    const narrow: PortHandler = {};
    ports.register(7, 0x100, 0x100, wide);
    ports.register(3, 0x180, 1, narrow);
    assert.equal(ports.find(0x180), narrow);
    assert.equal(ports.find(0x181), wide);
  });

  test('an entry whose end reaches 0x10000 wraps to 0 and never matches', () => {
    const ports = new PortHandlerTable();
    ports.register(0, 0xfff0, 0x10, {});
    assert.equal(ports.find(0xfff0), undefined);
    assert.equal(ports.find(0xffff), undefined);
    assert.equal(ports.find(0), undefined);
    ports.register(0, 0xfff0, 0xf, {});
    assert.notEqual(ports.find(0xfffe), undefined);
  });

  test('registering overwrites the entry without a check for overlaps', () => {
    const ports = new PortHandlerTable();
    const second: PortHandler = {};
    ports.register(0, 0x60, 1, {});
    ports.register(0, 0x64, 1, second);
    assert.equal(ports.find(0x60), undefined);
    assert.equal(ports.find(0x64), second);
  });

  test('the table has 23 entries', () => {
    const ports = new PortHandlerTable();
    ports.register(PORT_HANDLER_COUNT - 1, 1, 1, {});
    assert.equal(PORT_HANDLER_COUNT, 23);
    assert.throws(() => ports.register(23, 1, 1, {}), RangeError);
    assert.throws(() => ports.register(-1, 1, 1, {}), RangeError);
  });
});

describe('the memory that the hypervisor answers itself', () => {
  test('the lowest node that the access touches decides, even if a later one contains it (vector 13)', () => {
    const mmio = new MmioHandlerTable();
    const small = mmioHandler();
    const large = mmioHandler();
    mmio.register(0x1000, 0x1004, small);
    mmio.register(0, 0x2000, large);
    assert.equal(mmio.find(0x1000, 4), small);
    assert.equal(mmio.find(0x1002, 4), STRADDLES);
    assert.equal(mmio.find(0xffe, 4), STRADDLES);
    assert.equal(mmio.find(0xffc, 4), large);
    assert.equal(mmio.find(0x1004, 4), large);
    assert.equal(mmio.find(0x1ffe, 4), STRADDLES);
    assert.equal(mmio.find(0x2000, 4), undefined);
  });

  test('a bad range and a seventeenth node are silently not registered', () => {
    const mmio = new MmioHandlerTable();
    assert.equal(mmio.register(0x1000, 0x1000, mmioHandler()), false);
    assert.equal(mmio.register(0x1000, 0xfff, mmioHandler()), false);
    assert.equal(mmio.isEmpty, true);
    for (let node = 0; node < MMIO_HANDLER_COUNT; node++)
      assert.equal(mmio.register(node * 0x1000, node * 0x1000 + 0x10, mmioHandler()), true);
    assert.equal(mmio.register(0x9_0000, 0x9_1000, mmioHandler()), false);
    assert.equal(mmio.find(0x9_0000, 1), undefined);
  });

  test('unregistering takes the exact range, and the next registration uses its place', () => {
    const mmio = new MmioHandlerTable();
    mmio.register(0, 0x10, mmioHandler());
    mmio.register(0, 0x100, mmioHandler());
    assert.equal(mmio.unregister(0, 0x11), false);
    assert.equal(mmio.unregister(0, 0x10), true);
    const first = mmioHandler();
    mmio.register(0, 0x80, first);
    assert.equal(mmio.find(0x20, 4), first);
    assert.equal(mmio.isEmpty, false);
  });
});
