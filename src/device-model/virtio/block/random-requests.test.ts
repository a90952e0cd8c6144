import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryImage } from '../../disk/fixtures/memory-image.js';
import { BlockFeature, BlockRequestType, BlockStatus, HEADER_BYTES, SEGMENT_BYTES } from './block-layout.js';
import { MAX_ZERO_RANGES, MAX_ZERO_SECTORS } from './block-limits.js';
import { BlockDriver, requestBytes } from './fixtures/block-driver.js';
import { VirtioBlock } from './virtio-block.js';

const SECTORS = 24;
const RUNS = 300;
const { OK, IOERR, UNSUPP } = BlockStatus;

type Request =
  | { readonly kind: 'read' | 'write'; readonly sector: number; readonly sectors: number; readonly byte: number }
  | {
      readonly kind: 'zero' | 'discard';
      readonly ranges: readonly { readonly sector: number; readonly sectors: number }[];
    }
  | { readonly kind: 'flush' };

const range = { sector: fc.integer({ min: 0, max: SECTORS + 1 }), sectors: fc.integer({ min: 0, max: 8 }) };
const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('read' as const, 'write' as const),
    byte: fc.integer({ min: 1, max: 255 }),
    ...range,
  }),
  fc.record({
    kind: fc.constantFrom('zero' as const, 'discard' as const),
    ranges: fc.array(fc.record(range), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('flush' as const) }),
);

/** The disk as the specification says. Returns the status, and the data of a read. */
function playOnModel(model: Uint8Array, one: Request): readonly [status: number, data?: Uint8Array] {
  const fits = ({ sector, sectors }: { readonly sector: number; readonly sectors: number }): boolean =>
    sector + sectors <= SECTORS;
  const part = ({ sector, sectors }: { readonly sector: number; readonly sectors: number }): Uint8Array =>
    model.subarray(sector * 512, (sector + sectors) * 512);
  switch (one.kind) {
    case 'read':
      return fits(one) ? [OK, part(one).slice()] : [IOERR];
    case 'write':
      if (!fits(one)) return [IOERR];
      part(one).fill(one.byte);
      return [OK];
    case 'zero':
    case 'discard':
      if (!one.ranges.every(fits)) return [IOERR];
      for (const each of one.ranges) part(each).fill(0);
      return [OK];
    case 'flush':
      return [OK];
  }
}

async function playOnDevice(
  driver: BlockDriver,
  one: Request,
  queue: number,
): Promise<readonly [status: number | undefined, data?: Uint8Array]> {
  switch (one.kind) {
    case 'read': {
      const { status, data } = await driver.read(one.sector, one.sectors * 512, queue);
      return status === OK ? [status, data] : [status];
    }
    case 'write':
      return [await driver.write(one.sector, new Uint8Array(one.sectors * 512).fill(one.byte), queue)];
    case 'zero':
      return [await driver.writeZeroes(...one.ranges)];
    case 'discard':
      return [await driver.discard(...one.ranges)];
    case 'flush':
      return [await driver.flush(queue)];
  }
}

test('random requests do to the disk what they do to a model of it', { timeout: 120_000 }, async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(request, fc.integer({ min: 0, max: 2 })), { maxLength: 40 }),
      async (requests) => {
        const image = new MemoryImage(SECTORS * 512, { delay: () => 0 });
        const driver = new BlockDriver(new VirtioBlock({ image, queues: 3 }));
        const model = new Uint8Array(SECTORS * 512);
        for (const [one, queue] of requests) {
          const expected = playOnModel(model, one);
          assert.deepEqual(await playOnDevice(driver, one, queue), expected);
          seen.add(`${one.kind} ${expected[0]}`);
          if (one.kind === 'flush') assert.deepEqual(image.durable, model);
        }
        assert.deepEqual(image.bytes, model);
      },
    ),
    { numRuns: RUNS },
  );
  assert.equal(seen.size, 9, [...seen].join());
});

test(
  'requests at a time, each on its own sectors, end in any order with their own data',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 60 }),
        fc.gen(),
        async (delays, gen) => {
          const image = new MemoryImage(64 * 512, { delay: () => gen(fc.integer, { min: 0, max: 3 }) });
          const driver = new BlockDriver(new VirtioBlock({ image, queues: 2 }));
          await Promise.all(
            delays.map(async (_, sector) => {
              const bytes = new Uint8Array(512).fill(sector + 1);
              assert.equal(await driver.write(sector, bytes, sector % 2), OK);
              assert.deepEqual(await driver.read(sector, 512, 1 - (sector % 2)), { status: OK, data: bytes });
            }),
          );
        },
      ),
      { numRuns: Math.ceil(RUNS / 10) },
    );
  },
);

/** Any bytes, often with a header that a device looks into. */
const hostile = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.oneof(fc.constantFrom(...Object.values(BlockRequestType)), fc.nat(0xffff_ffff)),
        fc.oneof(fc.bigInt({ min: 0n, max: 30n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
        fc.oneof(
          fc.uint8Array({ maxLength: 64 }),
          fc.integer({ min: 0, max: 1600 }).map((bytes) => new Uint8Array(bytes)),
        ),
      )
      .map(([type, sector, data]) => requestBytes(type, sector, data)),
  },
);
const room = fc.oneof(fc.integer({ min: 0, max: 25 }), fc.integer({ min: 0, max: 14_000 }), fc.constantFrom(513, 1025));

/** The status that the specification gives a buffer, written a second time. Undefined: fail. */
function statusOf(
  readable: Uint8Array,
  writableBytes: number,
  isReadOnly: boolean,
  has: (feature: number) => boolean,
): number | undefined {
  if (writableBytes === 0) return undefined;
  if (readable.length < HEADER_BYTES) return IOERR;
  const header = Buffer.from(readable);
  const end = (sector: bigint, bytes: number): bigint => sector * 512n + BigInt(bytes);
  const isTransfer = (bytes: number): boolean =>
    bytes % 512 === 0 && end(header.readBigUInt64LE(8), bytes) <= BigInt(SECTORS * 512);
  const data = readable.length - HEADER_BYTES;
  const type = header.readUInt32LE(0);
  if (type === BlockRequestType.IN) return isTransfer(writableBytes - 1) ? OK : IOERR;
  if (type === BlockRequestType.OUT) return !isReadOnly && isTransfer(data) ? OK : IOERR;
  if (type === BlockRequestType.GET_ID) return OK;
  if (type === BlockRequestType.FLUSH) return has(BlockFeature.FLUSH) ? OK : UNSUPP;
  const isDiscard = type === BlockRequestType.DISCARD;
  if (!isDiscard && type !== BlockRequestType.WRITE_ZEROES) return UNSUPP;
  if (!has(isDiscard ? BlockFeature.DISCARD : BlockFeature.WRITE_ZEROES)) return UNSUPP;
  if (data === 0 || data % SEGMENT_BYTES !== 0 || data > MAX_ZERO_RANGES * SEGMENT_BYTES) return IOERR;
  let status: number = OK;
  for (let at = HEADER_BYTES; at < readable.length; at += SEGMENT_BYTES) {
    if (header.readUInt32LE(at + 12) > (isDiscard ? 0 : 1)) return UNSUPP;
    const sectors = header.readUInt32LE(at + 8);
    if (sectors > MAX_ZERO_SECTORS || end(header.readBigUInt64LE(at), sectors * 512) > BigInt(SECTORS * 512))
      status = IOERR;
  }
  return status;
}

test(
  'hostile buffers get the status that the specification says, and the device goes on',
  { timeout: 120_000 },
  async () => {
    const seen = new Map<number | undefined, number>();
    const accepted = fc.subarray<number>(Object.values(BlockFeature));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(hostile, room), { maxLength: 12 }),
        fc.boolean(),
        accepted,
        async (buffers, isReadOnly, accepts) => {
          const image = new MemoryImage(SECTORS * 512, { isReadOnly, delay: () => 0 });
          const device = new VirtioBlock({ image });
          const features = accepts.filter((feature) => device.features.includes(feature));
          const driver = new BlockDriver(device, features);
          for (const [readable, writableBytes] of buffers) {
            const expected = statusOf(readable, writableBytes, isReadOnly, (feature) => features.includes(feature));
            seen.set(expected, (seen.get(expected) ?? 0) + 1);
            if (expected === undefined) {
              void driver.send(0, readable, writableBytes);
              assert.ok(driver.failure !== undefined);
              return;
            }
            const { status, data } = await driver.request(readable, writableBytes);
            assert.deepEqual([status, data.length], [expected, writableBytes - 1]);
          }
          assert.equal(driver.failure, undefined);
          assert.deepEqual(await driver.readBack(0, 512), image.bytes.slice(0, 512));
        },
      ),
      { numRuns: 4 * RUNS },
    );
    for (const status of [OK, IOERR, UNSUPP, undefined]) assert.ok((seen.get(status) ?? 0) > 20, `${status}`);
  },
);
