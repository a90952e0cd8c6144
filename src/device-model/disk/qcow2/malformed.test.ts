import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { UpcallError } from '../../../io-request/upcall-error.js';
import { Random } from '../fixtures/random.js';
import { VolatileFile } from '../fixtures/volatile-file.js';
import { createVolatile, newImage, openVolatile, readAll } from './fixtures/volatile-image.js';
import { HeaderField } from './qcow2-layout.js';

const SIZE = 64 * 1024;
const CLUSTER = 512;
/** Clusters of a new image: header, refcount table, refcount block, L1 table. */
const REFCOUNT_TABLE = CLUSTER;
const REFCOUNT_BLOCK = 2 * CLUSTER;
const L1 = 3 * CLUSTER;

/** An image with data in some clusters, over a base. */
async function wholeImage(): Promise<Uint8Array> {
  const { image, file } = await createVolatile({ size: SIZE, clusterBits: 9, base: new Uint8Array(SIZE) });
  await image.write(0, new Uint8Array(2048).fill(1));
  await image.write(40_960, new Uint8Array(1024).fill(2));
  await image.writeZeroes(8192, 4096, true);
  await image.close();
  return file.bytes.slice();
}

async function refuses(bytes: Uint8Array, message: RegExp, isWritable = true): Promise<void> {
  const file = new VolatileFile(bytes, new Random(1));
  file.isWritable = isWritable;
  await assert.rejects(openVolatile(file), (error) => {
    assert.ok(error instanceof UpcallError, String(error));
    assert.deepEqual([error.code, error.remedy === undefined], ['DISK_INVALID', false]);
    assert.match(error.message, message);
    return true;
  });
  assert.ok(!file.log.some((call) => !call.startsWith('read')), 'a file that is refused is not changed');
}

type Change = (view: DataView) => unknown;

/** The first L2 table, and the first cluster of data. */
function placesOf(bytes: Uint8Array): { readonly l2: number; readonly data: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const l2 = Number(view.getBigUint64(L1) & ~(1n << 63n));
  return { l2, data: Number(view.getBigUint64(l2) & ~(1n << 63n)) };
}

describe('a qcow2 image that is malformed or not supported', { timeout: 60_000 }, () => {
  const u32 =
    (at: number, value: number): Change =>
    (view) =>
      view.setUint32(at, value);
  const u64 =
    (at: number, value: bigint): Change =>
    (view) =>
      view.setBigUint64(at, value);
  const { INCOMPATIBLE } = HeaderField;
  const HEADERS: readonly (readonly [what: string, change: Change, message: RegExp])[] = [
    ['magic', u32(0, 0), /is not a qcow2 image/],
    ['version 2', u32(4, 2), /has version 2/],
    ['version 4', u32(4, 4), /has version 4/],
    ['dirty', u64(INCOMPATIBLE, 1n), /was not closed properly/],
    ['corrupt', u64(INCOMPATIBLE, 2n), /is marked as corrupt/],
    ['external data', u64(INCOMPATIBLE, 4n), /its data in another file/],
    ['compression type', u64(INCOMPATIBLE, 8n), /compressed clusters/],
    ['extended L2', u64(INCOMPATIBLE, 16n), /extended L2 entries/],
    ['unknown feature', u64(INCOMPATIBLE, 1n << 63n), /does not know \(0x8000000000000000\)/],
    ['encryption', u32(HeaderField.CRYPT_METHOD, 2), /is encrypted/],
    ['snapshots', u32(HeaderField.SNAPSHOTS, 1), /has snapshots/],
    ['refcounts of 1 bit', u32(HeaderField.REFCOUNT_ORDER, 0), /reference counts of 1 bits/],
    ['refcounts of 2^4294967295 bits', u32(HeaderField.REFCOUNT_ORDER, 0xffff_ffff), /reference counts of 64 bits/],
    ['clusters of 256 bytes', u32(HeaderField.CLUSTER_BITS, 8), /clusters of 2\^8 bytes/],
    ['clusters of 4 MiB', u32(HeaderField.CLUSTER_BITS, 22), /clusters of 2\^22 bytes/],
    ['no size', u64(HeaderField.SIZE, 0n), /a disk of 0 bytes/],
    ['half a sector', u64(HeaderField.SIZE, 700n), /a disk of 700 bytes/],
    ['2^63 bytes', u64(HeaderField.SIZE, 1n << 63n), /is a disk of/],
    ['no L1 table', u32(HeaderField.L1_SIZE, 0), /an L1 table of 0 entries/],
    ['a short L1 table', u32(HeaderField.L1_SIZE, 1), /an L1 table of 1 entries/],
    ['a huge L1 table', u32(HeaderField.L1_SIZE, 0xffff_ffff), /an L1 table of 4294967295 entries/],
    ['an L1 table at 0', u64(HeaderField.L1_OFFSET, 0n), /its L1 table is at 0/],
    ['an L1 table between clusters', u64(HeaderField.L1_OFFSET, 1537n), /its L1 table is at 1537/],
    ['an L1 table far away', u64(HeaderField.L1_OFFSET, 1n << 62n), /its L1 table is at 4611/],
    [
      'an L1 table behind the end',
      u64(HeaderField.L1_OFFSET, 1n << 40n),
      /L1 table is at 1099511627776, behind the end/,
    ],
    ['an L1 table in the refcount table', u64(HeaderField.L1_OFFSET, 512n), /L1 table is at 512, where something else/],
    ['no refcount table', u32(HeaderField.REFCOUNT_TABLE_CLUSTERS, 0), /a refcount table of 0 clusters/],
    ['a huge refcount table', u32(HeaderField.REFCOUNT_TABLE_CLUSTERS, 0xffff_ffff), /refcount table of 4294967295/],
    ['a refcount table at 0', u64(HeaderField.REFCOUNT_TABLE_OFFSET, 0n), /its refcount table is at 0/],
    ['a short header', u32(HeaderField.HEADER_LENGTH, 96), /a header of 96 bytes/],
    ['an odd header', u32(HeaderField.HEADER_LENGTH, 107), /a header of 107 bytes/],
    ['a long header', u32(HeaderField.HEADER_LENGTH, 520), /a header of 520 bytes/],
    ['an unknown extension', u32(104, 0x2385_2875), /a header extension .*\(0x23852875\)/],
    ['a long extension', u32(108, 0xffff_fff0), /a header extension is cut off/],
    ['a long backing name', u32(HeaderField.BACKING_SIZE, 1024), /its backing file has 1024 bytes/],
    ['an empty backing name', u32(HeaderField.BACKING_SIZE, 0), /its backing file has 0 bytes/],
    ['a backing name in the header', u64(HeaderField.BACKING_OFFSET, 8n), /bytes at 8/],
    ['a backing name behind the cluster', u64(HeaderField.BACKING_OFFSET, 510n), /bytes at 510/],
    [
      'a backing name far away',
      u64(HeaderField.BACKING_OFFSET, 1n << 63n),
      /bytes at 9223372036854775808|bytes at 9.2/,
    ],
  ];
  for (const [what, change, message] of HEADERS)
    test(`is refused: ${what}`, async () => {
      const bytes = await wholeImage();
      change(new DataView(bytes.buffer));
      await refuses(bytes, message);
      await refuses(bytes, message, false);
    });

  const COPIED = 1n << 63n;
  const TABLES: readonly (readonly [
    what: string,
    change: (view: DataView, at: ReturnType<typeof placesOf>) => unknown,
    message: RegExp,
  ])[] = [
    [
      'a refcount block behind the end',
      (view) => view.setBigUint64(REFCOUNT_TABLE, 1n << 50n),
      /a refcount block is at/,
    ],
    [
      'two refcount blocks in one place',
      (view) => view.setBigUint64(REFCOUNT_TABLE + 8, 1024n),
      /a refcount block is at 1024, where/,
    ],
    [
      'a refcount block with a flag',
      (view) => view.setBigUint64(REFCOUNT_TABLE, COPIED | 1024n),
      /entry 0 of the refcount table/,
    ],
    ['no refcount block', (view) => view.setBigUint64(REFCOUNT_TABLE, 0n), /has one reference and the count 0/],
    [
      'a cluster that is not counted',
      (view) => view.setUint16(REFCOUNT_BLOCK, 0),
      /cluster 0 has one reference and the count 0/,
    ],
    [
      'a cluster that is counted twice',
      (view) => view.setUint16(REFCOUNT_BLOCK + 4, 2),
      /cluster 2 has one reference and the count 2/,
    ],
    ['an L2 table over the header', (view) => view.setBigUint64(L1 + 8, COPIED), /entry 1 of the L1 table/],
    [
      'an L2 table over the L1 table',
      (view) => view.setBigUint64(L1 + 8, COPIED | BigInt(L1)),
      /an L2 table is at 1536, where/,
    ],
    [
      'an L2 table that is another one',
      (view) => view.setBigUint64(L1 + 8, view.getBigUint64(L1)),
      /an L2 table is at/,
    ],
    ['an L2 table without its flag', (view, { l2 }) => view.setBigUint64(L1, BigInt(l2)), /entry 0 of the L1 table/],
    [
      'an L1 entry with reserved bits',
      (view, { l2 }) => view.setBigUint64(L1, COPIED | BigInt(l2 + 2)),
      /entry 0 .*reserved bits/,
    ],
    [
      'an L1 entry that is compressed',
      (view, { l2 }) => view.setBigUint64(L1, (3n << 62n) | BigInt(l2)),
      /entry 0 .*compressed/,
    ],
    ['data over the header', (view, { l2 }) => view.setBigUint64(l2, COPIED), /entry 0 of the L2 table/],
    [
      'data over a refcount block',
      (view, { l2 }) => view.setBigUint64(l2, COPIED | 1024n),
      /data is at 1024, where something/,
    ],
    [
      'data that is also elsewhere',
      (view, { l2 }) => view.setBigUint64(l2 + 8, view.getBigUint64(l2)),
      /cluster of data is at/,
    ],
    [
      'data between clusters',
      (view, { l2, data }) => view.setBigUint64(l2, COPIED | BigInt(data + 256)),
      /entry 0 .*reserved|not at a cluster/,
    ],
    ['data behind the end', (view, { l2 }) => view.setBigUint64(l2, COPIED | (1n << 45n)), /behind the end/],
    ['compressed data', (view, { l2 }) => view.setBigUint64(l2, (1n << 62n) | 1024n), /compressed clusters/],
    ['data without its flag', (view, { l2, data }) => view.setBigUint64(l2, BigInt(data)), /entry 0 of the L2 table/],
    [
      'zeros that are also data elsewhere',
      (view, { l2, data }) => view.setBigUint64(l2 + 80, COPIED | BigInt(data) | 1n),
      /cluster of data is at/,
    ],
  ];
  for (const [what, change, message] of TABLES)
    test(`is refused: ${what}`, async () => {
      const bytes = await wholeImage();
      change(new DataView(bytes.buffer), placesOf(bytes));
      await refuses(bytes, message);
      await refuses(bytes, message, false);
    });

  test('is refused wherever it is cut off, or opens', async () => {
    const bytes = await wholeImage();
    let refused = 0;
    for (let length = 0; length < bytes.length; length += length < 600 ? 1 : 128) {
      const file = new VolatileFile(bytes.subarray(0, length), new Random(1));
      await openVolatile(file, new Uint8Array(SIZE)).then(readAll, (error: unknown) => {
        assert.ok(error instanceof UpcallError, `${length} bytes: ${String(error)}`);
        refused++;
      });
    }
    assert.ok(refused > 500, `${refused} refused`);
  });

  test('whatever its bytes are, it is refused, or its disk works and no write reaches a table', async () => {
    const whole = await wholeImage();
    let refused = 0;
    let worked = 0;
    const at = fc.oneof(fc.nat(120), fc.integer({ min: CLUSTER, max: whole.length - 1 }));
    const value = fc.oneof(fc.constantFrom(0, 1, 0x80, 0xff), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(at, value), { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = whole.slice();
        for (const [position, byte] of changes) bytes[position] = byte;
        const file = new VolatileFile(bytes, new Random(1));
        let image;
        try {
          image = await openVolatile(file, new Uint8Array(SIZE));
        } catch (error) {
          assert.ok(error instanceof UpcallError, String(error));
          refused++;
          return;
        }
        if (image.size > 2 ** 20) return;
        worked++;
        const model = await readAll(image);
        const random = new Random(changes.length);
        for (let step = 0; step < 20; step++) {
          const position = random.below(image.size / 512) * 512;
          const part = new Uint8Array(Math.min(image.size - position, 1536)).fill(step + 1);
          await image.write(position, part);
          model.set(part, position);
        }
        await image.close();
        assert.deepEqual(
          await readAll(await openVolatile(new VolatileFile(file.bytes, random), new Uint8Array(SIZE))),
          model,
        );
      }),
      { numRuns: 400 },
    );
    assert.ok(refused > 50 && worked > 50, `${refused} refused, ${worked} worked`);
  });
});

describe('what a crash leaves', { timeout: 60_000 }, () => {
  test('clusters that are counted and not used are given back, if the image may be written', async () => {
    const bytes = await newImage({ size: SIZE, clusterBits: 9 });
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint16(REFCOUNT_BLOCK + 2 * 9, 1);
    view.setUint16(REFCOUNT_BLOCK + 2 * 200, 3);
    const readOnly = new VolatileFile(bytes, new Random(1));
    readOnly.isWritable = false;
    await openVolatile(readOnly);
    const file = new VolatileFile(bytes, new Random(1));
    await openVolatile(file);
    const fixed = new DataView(file.bytes.buffer, file.bytes.byteOffset);
    assert.deepEqual([fixed.getUint16(REFCOUNT_BLOCK + 18), fixed.getUint16(REFCOUNT_BLOCK + 400)], [0, 0]);
  });

  test('bits of features that do not know of the changes are cleared before the first one', async () => {
    const bytes = await newImage({ size: SIZE, clusterBits: 9 });
    new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(HeaderField.AUTOCLEAR, 5n);
    const readOnly = new VolatileFile(bytes, new Random(1));
    readOnly.isWritable = false;
    await openVolatile(readOnly);
    const file = new VolatileFile(bytes, new Random(1));
    await openVolatile(file);
    const stable = file.crash(0);
    assert.equal(new DataView(stable.buffer, stable.byteOffset).getBigUint64(HeaderField.AUTOCLEAR), 0n);
  });
});
