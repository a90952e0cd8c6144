import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../device-model/clock.js';
import { MemoryImage } from '../device-model/disk/fixtures/memory-image.js';
import type { DiskImage } from '../device-model/disk/disk-image.js';
import { FaultInjection } from './fault-injection.js';
import type { FaultRecord } from './fault-trigger.js';

const nothing = (): void => undefined;
const SECTORS = 16;

interface Bench {
  readonly disk: DiskImage;
  readonly image: MemoryImage;
  readonly clock: ManualClock;
  readonly faults: FaultInjection;
  readonly records: FaultRecord[];
}

function bench(...rules: string[]): Bench {
  const clock = new ManualClock();
  const records: FaultRecord[] = [];
  const emit = (record: FaultRecord): void => void records.push(record);
  const faults = new FaultInjection({ seed: 3, rules }, { clock, emit, remove: nothing, fail: nothing });
  const image = new MemoryImage(SECTORS * 512);
  return { disk: faults.disk('virtio-blk', image), image, clock, faults, records };
}

/** Whether a promise settles within some turns of the event loop. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let isSettled = false;
  void promise.then(
    () => (isSettled = true),
    () => (isSettled = true),
  );
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  return isSettled;
}

const ones = (bytes: Uint8Array): number =>
  bytes.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);

test('a disk without a rule that selects it is the image', async () => {
  const { disk, image, records } = bench('disk=other: error', 'disk=virtio-blk read sector=8: error');
  await disk.write(512, new Uint8Array(512).fill(7));
  const read = new Uint8Array(512);
  await disk.read(512, read);
  assert.equal(read[511], 7);
  await disk.writeZeroes(512, 512, true);
  await disk.discard(0, 512);
  await disk.flush();
  await disk.read(512, read);
  assert.deepEqual(
    [read[0], disk.size, disk.isReadOnly, disk.canDeallocate],
    [0, image.size, image.isReadOnly, image.canDeallocate],
  );
  assert.deepEqual(records, []);
});

test('an operation that fails is not performed, and the record says what it was', async () => {
  const { disk, records } = bench('disk=virtio-* write sector=4-5: error');
  const read = new Uint8Array(2048);
  await disk.write(0, new Uint8Array(2048).fill(1));
  await assert.rejects(
    disk.write(512, new Uint8Array(2048).fill(2)),
    /the fault rule "disk=virtio-\* write sector=4-5: error"/,
  );
  await assert.rejects(disk.write(5 * 512, new Uint8Array(512)), /fault rule/);
  await disk.write(6 * 512, new Uint8Array(512));
  await disk.read(0, read);
  assert.ok(read.every((byte) => byte === 1));
  assert.deepEqual(
    records.map(({ target, request, vcpu }) => [target, request, vcpu]),
    [
      ['virtio-blk', 'write 4 sectors from 1', undefined],
      ['virtio-blk', 'write 1 sector from 5', undefined],
    ],
  );
});

test('each operation is selected by its own word, and a flush by no sectors', async () => {
  for (const [word, fails] of [
    ['read', [1, 0, 0, 0, 0]],
    ['write', [0, 1, 0, 0, 0]],
    ['discard', [0, 0, 1, 1, 0]],
    ['flush', [0, 0, 0, 0, 1]],
    ['sector=0-15', [1, 1, 1, 1, 0]],
  ] as const) {
    const { disk } = bench(`disk=virtio-blk ${word}: error`);
    const results = await Promise.allSettled([
      disk.read(0, new Uint8Array(512)),
      disk.write(0, new Uint8Array(512)),
      disk.discard(0, 512),
      disk.writeZeroes(0, 512, false),
      disk.flush(),
    ]);
    assert.deepEqual(
      results.map(({ status }) => (status === 'rejected' ? 1 : 0)),
      fails,
      word,
    );
  }
});

test('a slow operation is performed after its time, or when the VM is reset', async () => {
  const { disk, clock, faults } = bench('disk=virtio-blk write: slow=5ms', 'disk=virtio-blk write: slow=2ms');
  const write = disk.write(0, new Uint8Array(512).fill(9));
  const read = new Uint8Array(512);
  clock.advance(6);
  await disk.read(0, read);
  assert.equal(read[0], 0);
  assert.equal(await settles(write), false);
  clock.advance(1);
  await write;
  await disk.read(0, read);
  assert.equal(read[0], 9);
  const later = disk.write(0, new Uint8Array(512).fill(8));
  assert.equal(await settles(later), false);
  faults.reset();
  await later;
});

test('a dropped operation is performed, and answered only by a reset of the VM', async () => {
  const { disk, clock, faults } = bench('disk=virtio-blk write times=1: drop');
  const write = disk.write(0, new Uint8Array(512).fill(9));
  clock.advance(3_600_000);
  assert.equal(await settles(write), false);
  const read = new Uint8Array(512);
  await disk.read(0, read);
  assert.equal(read[0], 9);
  faults.reset();
  await write;
});

test('one bit of what is read or stored is flipped, and the writer’s bytes stay', async () => {
  const { disk } = bench('disk=virtio-blk read times=1: flip');
  const read = new Uint8Array(1024);
  await disk.read(0, read);
  assert.equal(ones(read), 1);
  await disk.read(0, read);
  assert.equal(ones(read), 0, 'the disk itself has no error');
  const stored = bench('disk=virtio-blk write: flip');
  const source = new Uint8Array(1024);
  await stored.disk.write(0, source);
  assert.equal(ones(source), 0);
  await stored.disk.read(0, read);
  assert.equal(ones(read), 1);
});

test('the same seed flips the same bits', async () => {
  const flips = async (): Promise<number[]> => {
    const { disk } = bench('disk=virtio-blk: flip');
    const read = new Uint8Array(512);
    for (let turn = 0; turn < 4; turn++) await disk.read(0, read);
    return [...read];
  };
  assert.deepEqual(await flips(), await flips());
});
