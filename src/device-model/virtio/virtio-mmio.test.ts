import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FEATURE, Incrementer, QUEUE_SIZE } from './fixtures/incrementer.js';
import { PackedDriver, RAM_BYTES, SplitDriver, testMemory, type TestQueue } from './fixtures/test-driver.js';
import { VIRTIO_MMIO_BYTES, VirtioMmio } from './virtio-mmio.js';
import { VirtioStatus } from './virtio-state.js';

const BASE = 0x4000;
const DATA = 0x1000;

function bench(packed = false) {
  const device = new Incrementer();
  const memory = testMemory();
  const levels: boolean[] = [];
  const reasons: string[] = [];
  const mmio = new VirtioMmio({
    device,
    memory,
    packed,
    line: { set: (high) => high !== (levels.at(-1) ?? false) && levels.push(high) },
    onNeedsReset: (reason) => reasons.push(reason),
  });
  const write = (offset: number, value: number): void => mmio.write(offset, 4, value);
  /** The driver's way to DRIVER_OK, as virtio 1.2, section 3.1.1 has it. */
  const setUp = (): TestQueue => {
    write(0x070, 0);
    write(0x070, VirtioStatus.ACKNOWLEDGE | VirtioStatus.DRIVER);
    write(0x024, 0);
    write(0x020, 1 << FEATURE);
    write(0x024, 1);
    write(0x020, packed ? 5 : 1);
    write(0x070, mmio.read(0x070, 4) | VirtioStatus.FEATURES_OK);
    assert.notEqual(mmio.read(0x070, 4) & VirtioStatus.FEATURES_OK, 0);
    const options = { memory, size: QUEUE_SIZE, base: BASE, hasEventIndex: false };
    const ring = packed ? new PackedDriver(options) : new SplitDriver(options);
    write(0x030, 0);
    assert.equal(mmio.read(0x034, 4), QUEUE_SIZE);
    write(0x038, QUEUE_SIZE);
    write(0x080, ring.descriptors);
    write(0x090, ring.driver);
    write(0x0a0, ring.device);
    write(0x044, 1);
    write(0x070, mmio.read(0x070, 4) | VirtioStatus.DRIVER_OK);
    return ring;
  };
  const add = (ring: TestQueue, value: number): void => {
    memory.writeU8(DATA, value);
    ring.add([
      { address: DATA, length: 1, isWritable: false },
      { address: DATA + 1, length: 1, isWritable: true },
    ]);
    write(0x050, 0);
  };
  return { device, memory, levels, reasons, mmio, write, setUp, add };
}

describe('a virtio device over MMIO', () => {
  test('identifies itself', () => {
    const { mmio } = bench();
    assert.deepEqual(
      [0, 4, 8].map((offset) => mmio.read(offset, 4)),
      [0x74726976, 2, 42],
    );
    assert.equal(mmio.read(0x0b0, 4), 0xffff_ffff, 'no shared memory');
  });

  for (const packed of [false, true])
    test(`moves buffers through a ${packed ? 'packed' : 'split'} ring, and interrupts until that is acknowledged`, () => {
      const { device, mmio, memory, levels, write, setUp, add } = bench(packed);
      const ring = setUp();
      assert.deepEqual(device.calls, ['activate', 'notified 0']);
      for (let value = 0; value < 20; value++) {
        add(ring, value);
        assert.equal(memory.readU8(DATA + 1), value + 1);
        assert.equal(ring.takeUsed()?.length, 1);
        assert.equal(mmio.read(0x060, 4), 1);
        assert.equal(levels.at(-1), true);
        write(0x064, 1);
        assert.equal(mmio.read(0x060, 4), 0);
        assert.equal(levels.at(-1), false);
      }
    });

  test('a change of the configuration interrupts too, and changes the generation', () => {
    const { device, mmio, setUp } = bench();
    setUp();
    const generation = mmio.read(0x0fc, 4);
    device.driver?.configChanged();
    assert.equal(mmio.read(0x060, 4), 2);
    assert.notEqual(mmio.read(0x0fc, 4), generation);
    assert.equal(mmio.read(0x101, 2), 0x0302);
    mmio.write(0x104, 1, 9);
    assert.equal(device.calls.at(-1), 'config 4 1 9');
  });

  test('a queue that is made not ready is used no longer', () => {
    const { mmio, write, setUp, add } = bench();
    const ring = setUp();
    write(0x044, 0);
    assert.equal(mmio.read(0x044, 4), 0);
    add(ring, 1);
    assert.equal(ring.takeUsed(), undefined);
  });

  test('needs a reset after a corrupt ring, and says why', () => {
    const { mmio, memory, reasons, levels, write, setUp, add } = bench();
    const ring = setUp();
    memory.writeU16(ring.driver + 2, 77);
    write(0x050, 0);
    assert.notEqual(mmio.read(0x070, 4) & VirtioStatus.NEEDS_RESET, 0);
    assert.deepEqual(reasons, ["queue 0: the driver's index is 77 ahead, with 4 entries"]);
    assert.equal(levels.at(-1), true);
    mmio.reset();
    assert.equal(levels.at(-1), false);
    assert.equal(mmio.read(0x070, 4), 0);
    memory.fill(0, BASE, 0x6000);
    const next = setUp();
    add(next, 1);
    assert.ok(next.takeUsed() !== undefined);
  });

  test('a close with an active driver resets the device first', () => {
    const { device, mmio, levels, setUp, add } = bench();
    add(setUp(), 1);
    assert.equal(levels.at(-1), true);
    mmio.close();
    assert.deepEqual(device.calls.slice(-2), ['reset', 'close']);
    assert.equal(levels.at(-1), false);
  });

  test('answers any access, and touches nothing outside of its queues', () => {
    const { mmio, memory, device } = bench();
    for (const size of [1, 2, 4] as const)
      for (let offset = 0; offset <= VIRTIO_MMIO_BYTES - size; offset++) {
        const value = mmio.read(offset, size);
        assert.ok(value >= 0 && value < 2 ** (8 * size), `${offset} ${size}: ${value}`);
        assert.equal(mmio.peek(offset, size), value);
        mmio.write(offset, size, 0xffff_ffff >>> (32 - 8 * size));
      }
    assert.ok(memory.read(0, RAM_BYTES).every((byte) => byte === 0));
    mmio.close();
    assert.equal(device.calls.at(-1), 'close');
  });
});
