import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deferred } from '../../../sync/deferred.js';
import { MemoryImage, type MemoryImageOptions } from '../../disk/fixtures/memory-image.js';
import type { FakeQueue } from '../fixtures/fake-queue.js';
import { BlockConfig, BlockFeature, BlockRequestType, BlockStatus } from './block-layout.js';
import {
  MAX_PIECES,
  MAX_REQUESTS,
  MAX_ZERO_RANGES,
  MAX_ZERO_SECTORS,
  PIECE_BYTES,
  ZERO_PIECE_BYTES,
} from './block-limits.js';
import { BlockDriver, requestBytes, segmentBytes } from './fixtures/block-driver.js';
import { VirtioBlock, type VirtioBlockOptions } from './virtio-block.js';

const { OK, IOERR, UNSUPP } = BlockStatus;
const KIB = 1024;

interface Machine {
  readonly image: MemoryImage;
  readonly device: VirtioBlock;
  readonly driver: BlockDriver;
  readonly errors: string[];
}

function machine(
  size = 64 * KIB,
  options: MemoryImageOptions & Partial<VirtioBlockOptions> & { readonly accepts?: readonly number[] } = {},
): Machine {
  const image = new MemoryImage(size, options);
  const errors: string[] = [];
  const onError = (operation: string, error: unknown): number => errors.push(`${operation}: ${String(error)}`);
  const device = new VirtioBlock({ ...options, image, onError });
  return { image, device, driver: new BlockDriver(device, options.accepts), errors };
}

function pattern(bytes: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => Math.imul(index + seed, 0x9e37_79b1) >>> 24);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a virtio block device', { timeout: 60_000 }, () => {
  test('writes what it is given and reads it back, in one piece and in several', async () => {
    const { driver, image, device } = machine(4 * PIECE_BYTES);
    const small = pattern(512);
    assert.equal(await driver.write(3, small), OK);
    assert.deepEqual(await driver.readBack(3, 512), small);
    const large = pattern(2 * PIECE_BYTES + 1024, 9);
    assert.equal(await driver.write(8, large), OK);
    assert.deepEqual(await driver.readBack(8, large.length), large);
    assert.deepEqual(image.bytes.subarray(8 * 512, 8 * 512 + large.length), large);
    const { reads, writes, bytesRead, bytesWritten, refused, errors } = device.counters;
    assert.deepEqual(
      [reads, writes, bytesRead, bytesWritten, refused, errors],
      [2, 2, 512 + large.length, 512 + large.length, 0, 0],
    );
  });

  test('reads and writes up to its last sector and not beyond', async () => {
    const { driver, image } = machine(16 * 512);
    assert.equal(await driver.write(15, pattern(512)), OK);
    assert.equal((await driver.read(15, 512)).status, OK);
    const before = image.bytes.slice();
    for (const [sector, bytes] of [
      [15, 1024],
      [16, 512],
      [2n ** 55n, 512],
      [2n ** 64n - 1n, 512],
      [2n ** 64n - 1n, 1024],
      [0, 17 * 512],
    ] as const) {
      assert.equal(await driver.write(sector, pattern(bytes, 5)), IOERR, `write of ${bytes} at ${sector}`);
      const { status, data } = await driver.read(sector, bytes);
      assert.deepEqual([status, data], [IOERR, new Uint8Array(bytes)], `read of ${bytes} at ${sector}`);
    }
    assert.deepEqual(image.bytes, before);
  });

  test('refuses parts of a sector, and answers an empty request', async () => {
    const { driver, image, device } = machine();
    for (const bytes of [1, 511, 513, 1023]) {
      assert.equal(await driver.write(0, pattern(bytes)), IOERR);
      assert.equal((await driver.read(0, bytes)).status, IOERR);
    }
    assert.equal(device.counters.refused, 8);
    assert.equal(await driver.write(0, new Uint8Array()), OK);
    assert.equal((await driver.read(0, 0)).status, OK);
    assert.deepEqual(image.log, []);
  });

  test('refuses a short header with an error, whatever type it would be', async () => {
    const { driver, image } = machine();
    for (let bytes = 0; bytes < 16; bytes++) {
      const { status } = await driver.request(requestBytes(BlockRequestType.OUT, 0).subarray(0, bytes), 1);
      assert.equal(status, IOERR, `${bytes} bytes`);
    }
    assert.deepEqual(image.log, []);
  });

  test('fails if there is no byte for the status, and takes nothing more', async () => {
    for (const readable of [requestBytes(BlockRequestType.OUT, 0, pattern(512)), new Uint8Array()]) {
      const { driver, device, image } = machine();
      void driver.send(0, readable, 0);
      assert.match(driver.failure ?? '', /no room for its status/);
      assert.equal(device.counters.refused, 1);
      void driver.read(0, 512);
      await turn();
      assert.deepEqual(image.log, []);
    }
  });

  test('puts the status into the last writable byte of a write, too', async () => {
    const { driver } = machine();
    const written = await driver.send(0, requestBytes(BlockRequestType.OUT, 0, pattern(512)), 700);
    assert.equal(written.length, 700);
    assert.deepEqual(new Set(written), new Set([0]));
    const refused = await driver.send(0, requestBytes(77, 0), 700);
    assert.deepEqual([refused.length, refused[699], refused[0]], [700, UNSUPP, 0]);
  });

  test('gives its ID, padded and cut', async () => {
    const { driver } = machine(512, { id: 'disk of 20 character' });
    const ask = async (bytes: number): Promise<string> => {
      const { status, data } = await driver.request(requestBytes(BlockRequestType.GET_ID, 0), bytes + 1);
      assert.equal(status, OK);
      return Buffer.from(data).toString('latin1');
    };
    assert.equal(await ask(20), 'disk of 20 character');
    assert.equal(await ask(4), 'disk');
    assert.equal(await ask(0), '');
    assert.equal(await ask(22), 'disk of 20 character\0\0');
    const { driver: short } = machine(512, { id: 'a' });
    const { data } = await short.request(requestBytes(BlockRequestType.GET_ID, 0), 21);
    assert.deepEqual(data, Uint8Array.from([0x61, ...new Array<number>(19).fill(0)]));
  });

  test('does not support types that it does not know, and those without their features', async () => {
    const { driver, image } = machine();
    for (const type of [2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 16, 0x8000_0000, 0xffff_ffff])
      assert.equal((await driver.request(requestBytes(type, 0), 513)).status, UNSUPP, `type ${type}`);
    const { driver: plain, image: second } = machine(64 * KIB, { accepts: [] });
    assert.equal(await plain.flush(), UNSUPP);
    assert.equal(await plain.discard({ sector: 0, sectors: 1 }), UNSUPP);
    assert.equal(await plain.writeZeroes({ sector: 0, sectors: 1 }), UNSUPP);
    assert.deepEqual([image.log, second.log], [[], []]);
  });

  test('fails requests that the host fails, reports them, and goes on', async () => {
    const { driver, image, device, errors } = machine();
    image.failure = new Error('no space left');
    assert.equal(await driver.write(0, pattern(512)), IOERR);
    assert.equal((await driver.read(0, 512)).status, IOERR);
    assert.equal(await driver.flush(), IOERR);
    assert.equal(await driver.discard({ sector: 0, sectors: 1 }), IOERR);
    assert.equal(await driver.writeZeroes({ sector: 0, sectors: 1 }), IOERR);
    assert.deepEqual(
      errors,
      ['write', 'read', 'flush', 'discard', 'zero'].map((kind) => `${kind}: Error: no space left`),
    );
    assert.equal(device.counters.errors, 5);
    image.failure = undefined;
    assert.equal(await driver.write(0, pattern(512)), OK);
    assert.deepEqual(await driver.readBack(0, 512), pattern(512));
  });

  test('writes nothing of data that cannot be read from the guest', async () => {
    const { driver, image } = machine();
    const [queue] = driver.queues;
    assert.ok(queue !== undefined);
    const pop = queue.pop.bind(queue);
    queue.pop = () => {
      const buffer = pop();
      if (buffer === undefined) return undefined;
      const read = buffer.read.bind(buffer);
      return Object.assign(buffer, { read: (at: number, to: Uint8Array) => (at === 0 ? read(at, to) : 0) });
    };
    assert.equal(await driver.write(0, pattern(512)), IOERR);
    assert.equal(await driver.discard({ sector: 0, sectors: 1 }), IOERR);
    assert.deepEqual(image.log, []);
  });

  test('has a configuration of little-endian fields', () => {
    const fields = (device: VirtioBlock): number[] => {
      const view = new DataView(device.config.buffer);
      const words = [0, 4, 8, 12, 16, 20, 28, 36, 40, 44, 48, 52, 56].map((at) => view.getUint32(at, true));
      return [...words, view.getUint32(24, true), view.getUint8(32), view.getUint8(33), view.getUint16(34, true)];
    };
    const two = machine(64 * KIB, { queues: 2 }).device;
    assert.deepEqual(fields(two), [128, 0, 0, 254, 0, 512, 0, 2 ** 21, 16, 8, 2 ** 21, 16, 1, 0x8_0003, 1, 0, 2]);
    const one = machine(64 * KIB, { isReadOnly: true }).device;
    assert.deepEqual(fields(one), [128, 0, 0, 254, 0, 512, 0, 0, 0, 0, 0, 0, 0, 0x8_0003, 0, 0, 0]);
    assert.deepEqual([...two.features].sort(), [10, 11, 12, 13, 14, 2, 6, 9]);
    assert.deepEqual([...one.features].sort(), [10, 2, 5, 6, 9]);
    assert.deepEqual([two.type, two.queueSizes, one.queueSizes], [2, [256, 256], [256]]);
  });

  test('refuses queues and IDs that cannot be', () => {
    const image = new MemoryImage(512);
    for (const queues of [0, 17, 1.5, NaN]) assert.throws(() => new VirtioBlock({ image, queues }), RangeError);
    for (const id of ['x'.repeat(21), 'ä', 'a\n']) assert.throws(() => new VirtioBlock({ image, id }), RangeError);
  });
});

describe('a read-only disk', { timeout: 60_000 }, () => {
  test('fails all that would write, and offers none of it', async () => {
    const { driver, device, image } = machine(64 * KIB, { isReadOnly: true });
    assert.ok(device.features.includes(BlockFeature.RO));
    for (const feature of [BlockFeature.DISCARD, BlockFeature.WRITE_ZEROES, BlockFeature.CONFIG_WCE])
      assert.ok(!device.features.includes(feature));
    assert.equal(await driver.write(0, pattern(512)), IOERR);
    assert.equal(await driver.write(0, pattern(100)), IOERR);
    assert.equal(await driver.discard({ sector: 0, sectors: 1 }), UNSUPP);
    assert.equal(await driver.writeZeroes({ sector: 0, sectors: 1 }), UNSUPP);
    assert.deepEqual(image.log, []);
    assert.equal((await driver.read(0, 512)).status, OK);
    assert.equal(await driver.flush(), OK);
    driver.reset();
    assert.equal(device.config[BlockConfig.WRITEBACK], 0);
  });
});

describe('discard and write zeroes', { timeout: 60_000 }, () => {
  test('zero their ranges in pieces and pass on whether storage may be given back', async () => {
    const { driver, image } = machine();
    image.bytes.fill(1);
    assert.equal(await driver.writeZeroes({ sector: 1, sectors: 2, flags: 1 }, { sector: 8, sectors: 1 }), OK);
    assert.equal(await driver.discard({ sector: 16, sectors: 4 }, { sector: 30, sectors: 0 }), OK);
    assert.deepEqual(image.log, ['zero 512+1024 unmap', 'zero 4096+512', 'discard 8192+2048']);
    assert.deepEqual(await driver.readBack(1, 1024), new Uint8Array(1024));
    assert.deepEqual(await driver.readBack(0, 512), new Uint8Array(512).fill(1));
  });

  test('go in bounded pieces', async () => {
    const { driver, image } = machine(ZERO_PIECE_BYTES + 4096);
    assert.equal(await driver.writeZeroes({ sector: 0, sectors: ZERO_PIECE_BYTES / 512 + 8 }), OK);
    assert.deepEqual(image.log, [`zero 0+${ZERO_PIECE_BYTES}`, `zero ${ZERO_PIECE_BYTES}+4096`]);
  });

  test('refuse flags, sizes and numbers that are not allowed, before anything is done', async () => {
    const { driver, image } = machine();
    assert.equal(await driver.discard({ sector: 0, sectors: 1, flags: 1 }), UNSUPP);
    for (const flags of [2, 3, 0x8000_0000]) {
      assert.equal(await driver.discard({ sector: 0, sectors: 1, flags }), UNSUPP);
      assert.equal(await driver.writeZeroes({ sector: 0, sectors: 1 }, { sector: 0, sectors: 1, flags }), UNSUPP);
    }
    for (const send of [driver.discard.bind(driver), driver.writeZeroes.bind(driver)]) {
      assert.equal(await send(), IOERR);
      assert.equal(await send({ sector: 0, sectors: 1 }, { sector: 128, sectors: 1 }), IOERR);
      assert.equal(await send({ sector: 0, sectors: MAX_ZERO_SECTORS + 1 }), IOERR);
      assert.equal(await send({ sector: 0, sectors: 0xffff_ffff }), IOERR);
      assert.equal(await send({ sector: 2n ** 64n - 1n, sectors: 1 }), IOERR);
      assert.equal(
        await send(...Array.from({ length: MAX_ZERO_RANGES + 1 }, () => ({ sector: 0, sectors: 1 }))),
        IOERR,
      );
    }
    for (const type of [BlockRequestType.DISCARD, BlockRequestType.WRITE_ZEROES])
      for (const bytes of [1, 15, 17, 31]) {
        const data = segmentBytes([
          { sector: 0, sectors: 1 },
          { sector: 0, sectors: 1 },
        ]).subarray(0, bytes);
        assert.equal((await driver.request(requestBytes(type, 0, data), 1)).status, IOERR, `${bytes} bytes`);
      }
    assert.deepEqual(image.log, []);
    const most = Array.from({ length: MAX_ZERO_RANGES }, (_, sector) => ({ sector, sectors: 1 }));
    assert.equal(await driver.discard(...most), OK);
  });

  test('have at most the announced number of sectors in a range, also on a large disk', async () => {
    class LargeImage extends MemoryImage {
      override get size(): number {
        return 2 ** 40;
      }
      override discard(): Promise<void> {
        return Promise.resolve();
      }
    }
    const device = new VirtioBlock({ image: new LargeImage(512) });
    const driver = new BlockDriver(device);
    assert.equal(await driver.discard({ sector: 5, sectors: MAX_ZERO_SECTORS }), OK);
    assert.equal(await driver.discard({ sector: 5, sectors: MAX_ZERO_SECTORS + 1 }), IOERR);
  });

  test('discard is not offered if the image cannot give storage back, write zeroes is', async () => {
    const { driver, device } = machine(64 * KIB, { canDeallocate: false });
    assert.ok(!device.features.includes(BlockFeature.DISCARD));
    const view = new DataView(device.config.buffer);
    assert.equal(device.config[BlockConfig.WRITE_ZEROES_MAY_UNMAP], 0);
    assert.equal(view.getUint32(BlockConfig.MAX_DISCARD_SECTORS, true), 0);
    assert.equal(await driver.writeZeroes({ sector: 0, sectors: 1, flags: 1 }), OK);
  });
});

describe('stable storage', { timeout: 60_000 }, () => {
  test('write-back: a write is durable after a flush, not before', async () => {
    const { driver, image } = machine();
    assert.equal(await driver.write(0, pattern(512)), OK);
    assert.deepEqual(image.log, ['write 0+512']);
    assert.equal(await driver.flush(), OK);
    assert.deepEqual(image.durable.subarray(0, 512), pattern(512));
  });

  for (const [how, accepts] of [
    ['the driver has no flush', [BlockFeature.BLK_SIZE, BlockFeature.WRITE_ZEROES]],
    ['the driver can choose the cache and has no flush', [BlockFeature.CONFIG_WCE, BlockFeature.WRITE_ZEROES]],
    ['the driver has chosen it', undefined],
  ] as const)
    test(`write-through because ${how}: each write is durable when it is done`, async () => {
      const { driver, image, device } = machine(64 * KIB, accepts === undefined ? {} : { accepts });
      if (accepts === undefined) device.writeConfig(BlockConfig.WRITEBACK, 1, 0);
      if (accepts?.some((feature) => feature === BlockFeature.CONFIG_WCE) === true)
        assert.deepEqual([device.config[BlockConfig.WRITEBACK], driver.configChanges], [0, 1]);
      image.bytes.fill(3);
      assert.equal(await driver.write(0, pattern(512)), OK);
      assert.deepEqual(image.durable.subarray(0, 512), pattern(512));
      assert.equal(await driver.writeZeroes({ sector: 0, sectors: 1 }), OK);
      assert.deepEqual(image.durable.subarray(0, 512), new Uint8Array(512));
      assert.deepEqual(image.log, ['write 0+512', 'flush', 'zero 0+512', 'flush']);
    });

  test('write-through fails a write whose flush fails', async () => {
    const { driver, image, device } = machine();
    device.writeConfig(BlockConfig.WRITEBACK, 1, 0);
    image.flush = () => Promise.reject(new Error('the disk is gone'));
    assert.equal(await driver.write(0, pattern(512)), IOERR);
  });

  test('the driver’s choice lasts until the reset, and other writes to the configuration have no effect', async () => {
    const { device, driver, image } = machine();
    const before = device.config.slice();
    for (const [offset, size, value] of [
      [0, 4, 0xffff],
      [BlockConfig.WRITEBACK, 2, 0],
      [BlockConfig.WRITEBACK, 4, 0],
      [BlockConfig.NUM_QUEUES, 1, 9],
      [1000, 1, 9],
    ] as const)
      device.writeConfig(offset, size, value);
    assert.deepEqual(device.config, before);
    device.writeConfig(BlockConfig.WRITEBACK, 1, 0);
    assert.equal(device.config[BlockConfig.WRITEBACK], 0);
    device.writeConfig(BlockConfig.WRITEBACK, 1, 255);
    assert.equal(device.config[BlockConfig.WRITEBACK], 1);
    device.writeConfig(BlockConfig.WRITEBACK, 1, 0);
    driver.reset();
    assert.deepEqual(device.config, before);
    const next = new BlockDriver(device);
    assert.equal(await next.write(0, pattern(512)), OK);
    assert.deepEqual(image.log, ['write 0+512']);
  });

  test('a flush during another one is a flush of its own, and all that wait share it', async () => {
    const { driver, image } = machine();
    const gate = new Deferred<void>();
    image.gate = gate.promise;
    const first = driver.flush();
    await turn();
    image.bytes.set(pattern(512));
    const others = [driver.flush(), driver.flush(), driver.flush()];
    await turn();
    assert.deepEqual(image.log, ['flush']);
    gate.resolve();
    assert.equal(await first, OK);
    assert.notDeepEqual(image.durable.subarray(0, 512), pattern(512));
    assert.deepEqual(await Promise.all(others), [OK, OK, OK]);
    assert.deepEqual(image.log, ['flush', 'flush']);
    assert.deepEqual(image.durable.subarray(0, 512), pattern(512));
    assert.equal(image.mostFlushes, 1);
    assert.equal(await driver.flush(), OK);
    assert.equal(image.log.length, 3);
  });

  test('a flush that fails does not fail the one that waits for it', async () => {
    const { driver, image } = machine();
    const gate = new Deferred<void>();
    image.gate = gate.promise;
    image.failure = new Error('once');
    const first = driver.flush();
    await turn();
    const second = driver.flush();
    gate.resolve();
    assert.equal(await first, IOERR);
    image.failure = undefined;
    assert.equal(await second, OK);
  });
});

describe('many requests at a time', { timeout: 60_000 }, () => {
  test('move their data in bounded memory, and all of them end', async () => {
    const { driver, image } = machine(2 * PIECE_BYTES);
    const gate = new Deferred<void>();
    image.gate = gate.promise;
    const reads = Array.from({ length: 3 * MAX_PIECES }, () => driver.read(0, 2 * PIECE_BYTES));
    await turn();
    assert.equal(image.running, MAX_PIECES);
    gate.resolve();
    for (const { status } of await Promise.all(reads)) assert.equal(status, OK);
    assert.equal(image.mostRunning, MAX_PIECES);
  });

  test('are limited over all queues, and the others stay in their rings', async () => {
    const { driver, image } = machine(64 * KIB, { queues: 4 });
    const gate = new Deferred<void>();
    image.gate = gate.promise;
    const sent = [0, 1, 2, 3].flatMap((queue) => Array.from({ length: 200 }, () => driver.flush(queue)));
    await turn();
    const left = driver.queues.map(({ availableCount }) => availableCount);
    assert.deepEqual(left, new Array<number>(4).fill(200 - MAX_REQUESTS / 4));
    gate.resolve();
    assert.deepEqual(new Set(await Promise.all(sent)), new Set([OK]));
  });

  test('of several queues are answered in their own queue', async () => {
    const { driver, device } = machine(64 * KIB, { queues: 3 });
    assert.ok(device.features.includes(BlockFeature.MQ));
    assert.equal(new DataView(device.config.buffer).getUint16(BlockConfig.NUM_QUEUES, true), 3);
    for (const queue of [0, 1, 2]) assert.equal(await driver.write(queue, pattern(512, queue), queue), OK);
    for (const queue of [0, 1, 2]) {
      const { status, data } = await driver.read(2 - queue, 512, queue);
      assert.deepEqual([status, data], [OK, pattern(512, 2 - queue)]);
    }
  });

  test('a queue that the driver has not enabled is left alone', async () => {
    class HalfDriver extends BlockDriver {
      override queue(index: number): FakeQueue | undefined {
        return index === 1 ? undefined : super.queue(index);
      }
    }
    const device = new VirtioBlock({ image: new MemoryImage(64 * KIB), queues: 2 });
    const driver = new HalfDriver(device);
    void driver.read(0, 512, 1);
    device.notified(7);
    assert.equal((await driver.read(0, 512, 0)).status, OK);
    assert.equal(device.counters.reads, 1);
  });
});

describe('a reset', { timeout: 60_000 }, () => {
  test('lets what is under way end before the next driver’s requests begin', async () => {
    const { device, driver, image } = machine();
    const gate = new Deferred<void>();
    image.gate = gate.promise;
    const old = pattern(512, 1);
    const fresh = pattern(512, 2);
    void driver.write(0, old);
    await turn();
    driver.reset();
    const next = new BlockDriver(device);
    const written = next.write(0, fresh);
    // A third driver, after one that was never served.
    next.reset();
    const third = new BlockDriver(device);
    const last = third.write(0, pattern(512, 3));
    await turn();
    assert.deepEqual(image.log, ['write 0+512']);
    gate.resolve();
    assert.equal(await last, OK);
    assert.deepEqual(image.log, ['write 0+512', 'write 0+512']);
    assert.deepEqual(image.bytes.subarray(0, 512), pattern(512, 3));
    assert.equal(await Promise.race([written, turn().then(() => 'never')]), 'never');
  });

  test('ends a long request before its next piece', async () => {
    for (const send of [
      (driver: BlockDriver) => driver.read(0, 3 * PIECE_BYTES),
      (driver: BlockDriver) => driver.write(0, pattern(3 * PIECE_BYTES)),
      (driver: BlockDriver) => driver.writeZeroes({ sector: 0, sectors: (2 * ZERO_PIECE_BYTES) / 512 }),
      (driver: BlockDriver) => driver.discard({ sector: 0, sectors: (2 * ZERO_PIECE_BYTES) / 512 }),
    ]) {
      const { device, driver, image } = machine(2 * ZERO_PIECE_BYTES);
      const gate = new Deferred<void>();
      image.gate = gate.promise;
      void send(driver);
      await turn();
      driver.reset();
      gate.resolve();
      const next = new BlockDriver(device);
      assert.equal(await next.flush(), OK);
      assert.equal(image.log.length, 2, image.log.join());
    }
  });

  test('closes the image when the last operation has ended', async () => {
    const { device, driver, image } = machine();
    const gate = new Deferred<void>();
    image.gate = gate.promise;
    void driver.write(0, pattern(512));
    await turn();
    driver.reset();
    device.close();
    await turn();
    assert.equal(image.isClosed, false);
    gate.resolve();
    await device.closed;
    assert.ok(image.isClosed);
    assert.deepEqual(image.bytes.subarray(0, 512), pattern(512));
  });

  test('reports an image that cannot be closed', async () => {
    const { device, driver, image, errors } = machine();
    image.close = () => Promise.reject(new Error('no space left'));
    driver.reset();
    device.close();
    await assert.rejects(device.closed, /no space left/);
    assert.deepEqual(errors, ['close: Error: no space left']);
  });
});
