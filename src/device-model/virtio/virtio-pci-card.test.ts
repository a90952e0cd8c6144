import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Command } from '../pci/card-config.js';
import type { AccessSize, Device } from '../device.js';
import { RAM_BYTES, makeFunction, type TestFunction } from '../pci/fixtures/test-card.js';
import { PciRegister } from '../devices/pci/pci-config-space.js';
import { FEATURE, Incrementer, QUEUE_SIZE } from './fixtures/incrementer.js';
import { SplitDriver } from './fixtures/test-driver.js';
import { VirtioFeature, VirtioStatus } from './virtio-state.js';
import { NOTIFY_MULTIPLIER, VirtioBar, virtioPciCard } from './virtio-pci-card.js';
import type { PciCard } from '../pci/pci-card.js';

/** Areas of queue 0, one page each. */
const BASE = 0x4000;
const DATA = 0x1000;
const MESSAGE = 0xfee0_0000;
const NO_VECTOR = 0xffff;

interface Bench {
  readonly device: Incrementer;
  readonly bar: Device;
  readonly table: Device;
  readonly made: TestFunction<PciCard>;
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
  status(): number;
}

function bench(isPacked = false): Bench {
  const device = new Incrementer();
  const card = virtioPciCard(device, { packed: isPacked });
  const made = makeFunction(card.pci, card);
  const { fn } = made;
  card.connect?.(fn.handle);
  fn.writeConfig(PciRegister.COMMAND, 2, Command.MEMORY | Command.BUS_MASTER);
  const [first, second] = fn.bars;
  assert.ok(first !== undefined && second !== undefined);
  const bar = fn.barDevice(first.layout);
  const read = (offset: number, size: AccessSize): number => bar.read(offset, size) as number;
  return {
    device,
    bar,
    table: fn.barDevice(second.layout),
    made,
    read,
    write: (offset, size, value) => void bar.write(offset, size, value),
    status: () => read(0x14, 1),
  };
}

/** Up to FEATURES_OK. */
function negotiate(b: Bench, low: number, high = 1 << (VirtioFeature.VERSION_1 - 32)): void {
  b.write(0x14, 1, 0);
  b.write(0x14, 1, VirtioStatus.ACKNOWLEDGE);
  b.write(0x14, 1, VirtioStatus.ACKNOWLEDGE | VirtioStatus.DRIVER);
  b.write(0x08, 4, 0);
  b.write(0x0c, 4, low);
  b.write(0x08, 4, 1);
  b.write(0x0c, 4, high);
  b.write(0x14, 1, b.status() | VirtioStatus.FEATURES_OK);
}

/** All of the set-up, with queue 0 alone. */
function setUp(b: Bench, vector = NO_VECTOR): SplitDriver {
  negotiate(b, 1 << FEATURE);
  const ring = new SplitDriver({ memory: b.made.memory, size: QUEUE_SIZE, base: BASE, hasEventIndex: false });
  b.write(0x16, 2, 0);
  b.write(0x1a, 2, vector);
  b.write(0x20, 4, ring.descriptors);
  b.write(0x28, 4, ring.driver);
  b.write(0x30, 4, ring.device);
  b.write(0x1c, 2, 1);
  b.write(0x14, 1, b.status() | VirtioStatus.DRIVER_OK);
  return ring;
}

function addByte(b: Bench, ring: SplitDriver, value: number): void {
  b.made.memory.writeU8(DATA, value);
  ring.add([
    { address: DATA, length: 1, isWritable: false },
    { address: DATA + 1, length: 1, isWritable: true },
  ]);
}

/** The register of configuration space at which the configuration access capability begins. */
function windowOf(b: Bench): number {
  const { fn } = b.made;
  for (let at = fn.readConfig(PciRegister.CAPABILITIES, 1); at !== 0; at = fn.readConfig(at + 1, 1))
    if (fn.readConfig(at, 1) === 9 && fn.readConfig(at + 3, 1) === 5) return at;
  throw new Error('no configuration access capability');
}

describe('a virtio device as a PCI card', () => {
  test('has the vendor, the device and the structures of the modern transport', () => {
    const { made } = bench();
    const { fn } = made;
    assert.equal(fn.readConfig(PciRegister.VENDOR_ID, 2), 0x1af4);
    assert.equal(fn.readConfig(PciRegister.DEVICE_ID, 2), 0x1040 + 42);
    assert.equal(fn.readConfig(PciRegister.REVISION_ID, 1), 1);
    const structures = new Map<number, readonly number[]>();
    for (let at = fn.readConfig(PciRegister.CAPABILITIES, 1); at !== 0; at = fn.readConfig(at + 1, 1)) {
      if (fn.readConfig(at, 1) !== 9) continue;
      structures.set(fn.readConfig(at + 3, 1), [
        fn.readConfig(at + 2, 1),
        fn.readConfig(at + 4, 1),
        fn.readConfig(at + 8, 4),
        fn.readConfig(at + 12, 4),
      ]);
      if (fn.readConfig(at + 3, 1) === 2) assert.equal(fn.readConfig(at + 16, 4), NOTIFY_MULTIPLIER);
    }
    assert.deepEqual(
      structures,
      new Map([
        [1, [16, 0, VirtioBar.COMMON, 0x38]],
        [3, [16, 0, VirtioBar.ISR, 1]],
        [4, [16, 0, VirtioBar.DEVICE, 5]],
        [2, [20, 0, VirtioBar.NOTIFY, 8]],
        [5, [20, 0, 0, 0]],
      ]),
    );
  });

  test('a driver reaches the registers through configuration space, without a BAR', () => {
    const b = bench();
    const { fn } = b.made;
    const window = windowOf(b);
    const select = (offset: number, size: AccessSize): void => {
      fn.writeConfig(window + 8, 4, offset);
      fn.writeConfig(window + 12, 4, size);
    };
    const QUEUES = 0x12;
    select(QUEUES, 2);
    assert.equal(fn.readConfig(window + 16, 2), 2);

    select(0x14, 1);
    fn.writeConfig(window + 16, 1, VirtioStatus.ACKNOWLEDGE);
    assert.equal(b.status(), VirtioStatus.ACKNOWLEDGE);
    fn.writeConfig(PciRegister.COMMAND, 2, 0);
    assert.equal(fn.readConfig(window + 16, 4), VirtioStatus.ACKNOWLEDGE, 'memory decoding is off');
    fn.writeConfig(window + 4, 4, 0xffff_ff00);
    assert.equal(fn.readConfig(window + 4, 4), 0, 'padding is read-only');
    fn.reset();
    assert.deepEqual([fn.readConfig(window + 8, 4), fn.readConfig(window + 12, 4)], [0, 0]);
  });

  test('a window that a driver has set up wrongly reads 0 and writes nothing', () => {
    const b = bench();
    const { fn } = b.made;
    const window = windowOf(b);
    b.write(0x14, 1, VirtioStatus.ACKNOWLEDGE);
    for (const [bar, offset, length] of [
      [1, 0x14, 1],
      [0, 0x14, 0],
      [0, 0x14, 3],
      [0, 0x14, 8],
      [0, 0x15, 2],
      [0, VirtioBar.SIZE, 1],
      [0, 0xffff_fffc, 4],
      [0, 0x14, 0xffff_ffff],
    ] as const) {
      fn.writeConfig(window + 4, 1, bar);
      fn.writeConfig(window + 8, 4, offset);
      fn.writeConfig(window + 12, 4, length);
      assert.equal(fn.readConfig(window + 16, 4), 0, `${bar} ${offset} ${length}`);
      fn.writeConfig(window + 16, 4, 0);
      assert.equal(b.status(), VirtioStatus.ACKNOWLEDGE);
    }
  });

  test('offers its features and refuses others, and a driver without VERSION_1', () => {
    const b = bench();
    b.write(0x00, 4, 0);
    assert.equal(b.read(0x04, 4), ((1 << FEATURE) | (1 << 28) | (1 << 29)) >>> 0);
    b.write(0x00, 4, 1);
    assert.equal(b.read(0x04, 4), 1);
    b.write(0x00, 4, 0xffff_ffff);
    assert.equal(b.read(0x04, 4), 0);
    negotiate(b, 1 << 6);
    assert.equal(b.status() & VirtioStatus.FEATURES_OK, 0, 'a feature that is not offered');
    negotiate(b, 1 << FEATURE, 0);
    assert.equal(b.status() & VirtioStatus.FEATURES_OK, 0, 'no VERSION_1');
    b.write(0x14, 1, b.status() | VirtioStatus.DRIVER_OK);
    assert.equal(b.status() & VirtioStatus.DRIVER_OK, 0);
    negotiate(b, 1 << FEATURE, 1 | (1 << (VirtioFeature.PACKED - 32)));
    assert.equal(b.status() & VirtioStatus.FEATURES_OK, 0, 'packed rings are an option');
    const packed = bench(true);
    negotiate(packed, 0, 1 | (1 << (VirtioFeature.PACKED - 32)));
    assert.notEqual(packed.status() & VirtioStatus.FEATURES_OK, 0);
    negotiate(b, 1 << FEATURE);
    assert.notEqual(b.status() & VirtioStatus.FEATURES_OK, 0);
    b.write(0x0c, 4, 0);
    assert.equal(b.read(0x0c, 4), 1, 'accepted features do not change any more');
  });

  test('moves buffers, and interrupts by the pin until the ISR is read', () => {
    const b = bench();
    const ring = setUp(b);
    assert.deepEqual(b.device.calls.splice(0), ['activate', 'notified 0']);
    addByte(b, ring, 41);
    b.write(VirtioBar.NOTIFY, 2, 0);
    assert.deepEqual(ring.takeUsed(), { id: 0, length: 1 });
    assert.equal(b.made.memory.readU8(DATA + 1), 42);
    assert.equal(b.made.levels.at(-1), true);
    assert.equal(b.made.card.peek?.(0, VirtioBar.ISR, 1), 1);
    assert.equal(b.read(VirtioBar.ISR, 1), 1);
    assert.equal(b.read(VirtioBar.ISR, 1), 0);
    assert.equal(b.made.levels.at(-1), false);
  });

  test('interrupts by the vectors that the driver has chosen', () => {
    const b = bench();
    b.made.fn.writeConfig(0x62, 2, 0x8000);
    for (const vector of [0, 1, 2]) {
      b.table.write(vector * 16, 4, MESSAGE);
      b.table.write(vector * 16 + 8, 4, 0x40 + vector);
      b.table.write(vector * 16 + 12, 4, 0);
    }
    const ring = setUp(b, 1);
    assert.equal(b.read(0x1a, 2), 1);
    b.write(0x10, 2, 2);
    addByte(b, ring, 1);
    b.write(VirtioBar.NOTIFY, 2, 0);
    b.device.driver?.configChanged();
    assert.deepEqual(b.made.messages, ['fee00000/41', 'fee00000/42']);
    assert.deepEqual(b.made.levels, []);
    b.write(0x1a, 2, 3);
    assert.equal(b.read(0x1a, 2), NO_VECTOR, 'a vector that the device does not have');
    addByte(b, ring, 1);
    b.write(VirtioBar.NOTIFY, 2, 0);
    assert.equal(b.made.messages.length, 2);
    b.write(0x14, 1, 0);
    assert.equal(b.read(0x10, 2), NO_VECTOR, 'a reset forgets them');
  });

  test('ignores a queue that does not exist, is not enabled, or comes too late', () => {
    const b = bench();
    b.write(0x16, 2, 2);
    assert.deepEqual([b.read(0x18, 2), b.read(0x1a, 2), b.read(0x1e, 2)], [0, NO_VECTOR, 0]);
    b.write(0x20, 4, 0x1000);
    b.write(0x1c, 2, 1);
    assert.equal(b.read(0x1c, 2), 0);
    setUp(b);
    b.device.calls.length = 0;
    for (const offset of [4, 8, 2, 0xffc]) b.write(VirtioBar.NOTIFY + offset, 2, 0);
    assert.deepEqual(b.device.calls, []);
    b.write(0x16, 2, 1);
    b.write(0x1c, 2, 1);
    assert.equal(b.read(0x1c, 2), 0, 'after DRIVER_OK');
    b.write(0x16, 2, 0);
    b.write(0x20, 4, 0x8000);
    assert.equal(b.read(0x20, 4), BASE, 'an enabled queue does not move');
  });

  test('takes queue sizes up to its own', () => {
    const b = bench();
    for (const [size, read] of [
      [2, 2],
      [8, 2],
      [0, 2],
      [4, 4],
    ] as const) {
      b.write(0x18, 2, size);
      assert.equal(b.read(0x18, 2), read);
    }
  });

  test('needs a reset after a queue that cannot be, and works again after it', () => {
    const b = bench();
    negotiate(b, 1 << FEATURE);
    b.write(0x20, 4, RAM_BYTES);
    b.write(0x1c, 2, 1);
    b.write(0x14, 1, b.status() | VirtioStatus.DRIVER_OK);
    assert.notEqual(b.status() & VirtioStatus.NEEDS_RESET, 0);
    assert.equal(b.read(VirtioBar.ISR, 1), 2, 'the driver is to look');
    assert.match(b.made.reports.join(), /^needs a reset: queue 0 was enabled with its descriptor area at 0x10000/);
    b.write(0x14, 1, 0);
    assert.equal(b.status(), 0);
    const ring = setUp(b);
    addByte(b, ring, 1);
    b.write(VirtioBar.NOTIFY, 2, 0);
    assert.ok(ring.takeUsed() !== undefined);
    b.made.memory.writeU16(ring.driver + 2, 100);
    b.write(VirtioBar.NOTIFY, 2, 0);
    assert.notEqual(b.status() & VirtioStatus.NEEDS_RESET, 0);
    b.device.calls.length = 0;
    b.write(VirtioBar.NOTIFY, 2, 0);
    assert.deepEqual(b.device.calls, [], 'its queues have stopped');
  });

  test('does nothing without bus mastering', () => {
    const b = bench();
    const ring = setUp(b);
    b.made.fn.writeConfig(PciRegister.COMMAND, 2, Command.MEMORY);
    addByte(b, ring, 1);
    b.write(VirtioBar.NOTIFY, 2, 0);
    assert.equal(ring.takeUsed(), undefined);
    b.made.fn.writeConfig(PciRegister.COMMAND, 2, Command.MEMORY | Command.BUS_MASTER);
    b.write(VirtioBar.NOTIFY, 2, 0);
    assert.ok(ring.takeUsed() !== undefined);
  });

  test('shows the configuration, and its generation changes with it', () => {
    const b = bench();
    setUp(b);
    assert.equal(b.read(VirtioBar.DEVICE, 4), 0x04030201);
    assert.equal(b.read(VirtioBar.DEVICE + 4, 4), 5, 'what is beyond its end reads as 0');
    const generation = b.read(0x15, 1);
    b.device.driver?.configChanged();
    assert.equal(b.read(0x15, 1), (generation + 1) & 0xff);
    b.device.calls.length = 0;
    b.write(VirtioBar.DEVICE + 1, 2, 7);
    b.write(VirtioBar.DEVICE + 4, 4, 7);
    assert.deepEqual(b.device.calls, ['config 1 2 7']);
  });

  test('a reset of any kind ends the driver', () => {
    for (const reset of [
      (b: Bench) => b.write(0x14, 1, 0),
      (b: Bench) => b.made.fn.reset(),
      (b: Bench) => b.made.fn.writeConfig(0x44, 1, 1),
    ]) {
      const b = bench();
      const ring = setUp(b);
      const { driver } = b.device;
      assert.ok(driver !== undefined);
      b.device.calls.length = 0;
      reset(b);
      assert.deepEqual(b.device.calls, ['reset']);
      assert.equal(b.status(), 0);
      assert.equal(b.read(0x1c, 2), 0);
      assert.equal(driver.queue(0), undefined);
      assert.equal(driver.has(FEATURE), false);
      driver.fail('too late');
      driver.configChanged();
      assert.equal(b.status(), 0);
      addByte(b, ring, 1);
      b.write(VirtioBar.NOTIFY, 2, 0);
      assert.equal(ring.takeUsed(), undefined);
    }
  });

  test('answers any access to any register', () => {
    const b = bench();
    for (const size of [1, 2, 4] as const)
      for (let offset = 0; offset <= VirtioBar.SIZE - size; offset++) {
        const value = b.read(offset, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size), `${offset} ${size}: ${value}`);
        b.write(offset, size, offset % 7);
        b.made.card.peek?.(0, offset, size);
      }
    b.made.fn.remove();
    assert.equal(b.device.calls.at(-1), 'close');
  });
});
