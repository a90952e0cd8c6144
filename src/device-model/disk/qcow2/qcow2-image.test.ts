import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { crashRounds } from '../fixtures/crash-rounds.js';
import { Random } from '../fixtures/random.js';
import { VolatileFile } from '../fixtures/volatile-file.js';
import { createVolatile, newImage, openVolatile, readAll } from './fixtures/volatile-image.js';
import { MAX_UNFLUSHED_FREES } from './qcow2-limits.js';

const KIB = 1024;
const MIB = 1024 * KIB;

function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => Math.imul(index + 1, 0x9e37_79b1 + 2 * seed) >>> 24);
}

/** Which calls an image made, without those that read. */
function changes(file: VolatileFile): string[] {
  return file.log.filter((call) => !call.startsWith('read'));
}

describe('a qcow2 image', { timeout: 120_000 }, () => {
  test('does to a disk what random operations do to a model of it, and is the same when it is opened again', async () => {
    const sectors = 300;
    const operation = fc.record({
      kind: fc.constantFrom('write', 'write', 'zero', 'keep', 'discard', 'flush', 'open'),
      sector: fc.nat(sectors - 1),
      sectors: fc.integer({ min: 1, max: 100 }),
      seed: fc.nat(200),
    });
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(9, 10, 12, 16),
        fc.constantFrom(0, 1, 150, sectors, 2 * sectors),
        fc.array(operation, { maxLength: 40 }),
        fc.nat(),
        async (clusterBits, baseSectors, operations, seed) => {
          const size = sectors * 512;
          const base = baseSectors === 0 ? undefined : pattern(baseSectors * 512, 1);
          const model = new Uint8Array(size);
          model.set((base ?? model).subarray(0, size));
          let { image, file } = await createVolatile({ size, clusterBits, seed, ...(base && { base }) });
          for (const one of operations) {
            seen.add(one.kind);
            const position = one.sector * 512;
            const length = Math.min(size, (one.sector + one.sectors) * 512) - position;
            const bytes = pattern(length, one.seed);
            if (one.kind === 'write') await image.write(position, bytes);
            if (one.kind === 'zero' || one.kind === 'keep')
              await image.writeZeroes(position, length, one.kind === 'zero');
            if (one.kind === 'discard') await image.discard(position, length);
            if (one.kind === 'flush') await image.flush();
            if (one.kind === 'open') {
              await image.close();
              file = new VolatileFile(file.bytes, new Random(seed));
              image = await openVolatile(file, base);
            }
            if (one.kind === 'write') model.set(bytes, position);
            if (one.kind === 'zero' || one.kind === 'keep') model.fill(0, position, position + length);
            if (one.kind === 'discard') {
              // Whole clusters are zeros then.
              const cluster = 2 ** clusterBits;
              const start = Math.ceil(position / cluster) * cluster;
              const end = position + length === size ? size : Math.floor((position + length) / cluster) * cluster;
              if (start < end) model.fill(0, start, end);
            }
            const part = new Uint8Array(length);
            await image.read(position, part);
            assert.deepEqual(part, model.slice(position, position + length));
          }
          assert.deepEqual(await readAll(image), model);
          await image.close();
          assert.deepEqual(await readAll(await openVolatile(new VolatileFile(file.bytes, new Random(1)), base)), model);
        },
      ),
      { numRuns: 80 },
    );
    assert.equal(seen.size, 6);
  });

  test('serves operations at a time, each on its own sectors', async () => {
    for (const clusterBits of [9, 12, 16]) {
      const base = pattern(256 * 512, 3);
      const { image } = await createVolatile({ size: base.length, clusterBits, base });
      await Promise.all(
        Array.from({ length: 128 }, async (_, index) => {
          const bytes = pattern(512, index);
          await image.write(index * 1024, bytes);
          if (index % 5 === 0) await image.flush();
          const part = new Uint8Array(1024);
          await image.read(index * 1024, part);
          assert.deepEqual(part.subarray(0, 512), bytes);
          assert.deepEqual(part.subarray(512), base.subarray(index * 1024 + 512, (index + 1) * 1024));
        }),
      );
      await image.close();
    }
  });

  test('writes counts, then syncs, then tables, then syncs', async () => {
    const { image, file } = await createVolatile({ size: MIB, clusterBits: 16 });
    // The L2 table, behind header, refcount table, refcount block and L1 table.
    await image.write(0, pattern(512, 1));
    await image.flush();
    file.log.length = 0;
    await image.write(65_536, pattern(65_536, 1));
    assert.deepEqual(changes(file), [`write ${6 * 65_536}+65536`]);
    await image.flush();
    const [table, counts] = [`write ${4 * 65_536}+65536`, `write ${2 * 65_536}+65536`];
    assert.deepEqual(changes(file).slice(1), [counts, 'sync', table, 'sync']);
    file.log.length = 0;
    // Nothing but data.
    await image.write(65_536, pattern(512, 2));
    await image.flush();
    assert.deepEqual(changes(file), [`write ${6 * 65_536}+512`, 'sync']);
    await image.close();
    assert.ok(file.isClosed);
  });

  test('uses freed clusters again, but only after a flush, and gives their storage back', async () => {
    const { image, file } = await createVolatile({ size: MIB, clusterBits: 12 });
    await image.write(0, pattern(64 * KIB, 1));
    await image.flush();
    const { size } = file;
    await image.discard(0, 64 * KIB);
    assert.ok(!file.log.some((call) => call.startsWith('hole')));
    await image.write(128 * KIB, pattern(4096, 2));
    assert.equal(file.size, size + 4096);
    await image.flush();
    assert.equal(file.log.filter((call) => call.startsWith('hole')).length, 1);
    await image.write(192 * KIB, pattern(64 * KIB, 3));
    assert.equal(file.size, size + 4096);
    await image.close();
  });

  test('keeps the storage of zeros that are to keep it', async () => {
    const { image, file } = await createVolatile({ size: MIB, clusterBits: 12, base: pattern(MIB, 5) });
    await image.write(0, pattern(4096, 1));
    await image.flush();
    const { size } = file;
    await image.writeZeroes(0, 8192, false);
    await image.flush();
    await image.write(512 * KIB, pattern(4096, 1));
    assert.equal(file.size, size + 4096, 'no cluster was given back');
    const part = new Uint8Array(8192);
    await image.read(0, part);
    assert.deepEqual(part, new Uint8Array(8192));
    await image.close();
  });

  test('flushes by itself before too many clusters wait for it', async () => {
    const size = 2 * MAX_UNFLUSHED_FREES * KIB;
    const { image, file } = await createVolatile({ size, clusterBits: 10 });
    const bytes = new Uint8Array(MIB).fill(1);
    for (let at = 0; at < size; at += MIB) await image.write(at, bytes);
    await image.flush();
    file.log.length = 0;
    await image.discard(0, size);
    assert.ok(file.log.includes('sync'));
    await image.close();
  });

  test('keeps a bounded number of tables, and loses none of them', async () => {
    // A table maps 512 MiB, and 128 of them are kept.
    const tables = 300;
    const span = 512 * MIB;
    const { image, file } = await createVolatile({ size: tables * span, clusterBits: 16 });
    for (let table = 0; table < tables; table++) await image.write(table * span, pattern(512, table));
    assert.ok(file.syncs >= tables);
    await image.flush();
    for (let table = 0; table < tables; table++) await image.write(table * span + 131_072, pattern(512, table + 7));
    await image.flush();
    const part = new Uint8Array(512);
    for (let table = tables - 1; table >= 0; table--) {
      await image.read(table * span, part);
      assert.deepEqual(part, pattern(512, table));
      await image.read(table * span + 131_072, part);
      assert.deepEqual(part, pattern(512, table + 7));
    }
    file.log.length = 0;
    await image.read(0, part);
    assert.deepEqual(file.log.length, 1, 'the table used last is in memory');
    await image.read((tables - 1) * span, part);
    assert.equal(file.log.length, 3, 'the table used longest ago is not');
    await image.close();
  });

  test('is refused if its refcount table cannot count all of the disk, as it does not grow', async () => {
    await assert.rejects(createVolatile({ size: 16 * MIB, clusterBits: 9 }), {
      code: 'DISK_INVALID',
      message: /refcount table that is too small/,
    });
  });
});

describe('a host that fails', { timeout: 120_000 }, () => {
  test('fails single operations, each sector is old or new then, and the image stays whole', async () => {
    let failed = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        const random = new Random(seed);
        const size = 64 * KIB;
        const base = pattern(size, 9);
        const model = base.slice();
        const { image, file } = await createVolatile({ size, clusterBits: 9, base, seed });
        for (let step = 0; step < 30; step++) {
          const sector = random.below(128);
          const bytes = pattern((1 + random.below(Math.min(20, 128 - sector))) * 512, step);
          const position = sector * 512;
          const isWrite = random.oneIn(2);
          if (!isWrite) bytes.fill(0);
          const work = async (): Promise<void> => {
            if (random.oneIn(4)) await image.flush();
            await (isWrite ? image.write(position, bytes) : image.writeZeroes(position, bytes.length, true));
          };
          file.failing = [undefined, /write/, /sync/, /read/, /write \d+\+512$/][random.below(5)];
          const isDone = await work().then(
            () => true,
            (error: unknown) => {
              assert.match(String(error), /the host fails/);
              failed++;
              return false;
            },
          );
          file.failing = undefined;
          const now = new Uint8Array(bytes.length);
          await image.read(position, now);
          for (let at = 0; at < now.length; at += 512) {
            const part = Buffer.from(now.subarray(at, at + 512));
            const isNew = part.equals(bytes.subarray(at, at + 512));
            const isOld = part.equals(model.subarray(position + at, position + at + 512));
            assert.ok(isNew || (isOld && !isDone), `step ${step}, sector ${sector + at / 512}`);
          }
          model.set(now, position);
        }
        assert.deepEqual(await readAll(image), model);
        await image.close();
        const again = await openVolatile(new VolatileFile(file.bytes, random), base);
        assert.deepEqual(await readAll(again), model);
      }),
      { numRuns: 60 },
    );
    assert.ok(failed > 60, `${failed} operations failed`);
  });

  test('a write that fails gives its clusters back', async () => {
    const { image, file } = await createVolatile({ size: MIB, clusterBits: 12 });
    await image.write(0, pattern(4096, 1));
    const { size } = file;
    for (let time = 0; time < 5; time++) {
      file.failing = /write/;
      await assert.rejects(image.write(65_536, pattern(4096, 2)), /the host fails/);
    }
    file.failing = undefined;
    await image.write(65_536, pattern(4096, 2));
    assert.equal(file.size, size + 4096);
    await image.close();
  });

  test('a flush that fails is not forgotten by the next one', async () => {
    const { image, file } = await createVolatile({ size: MIB, clusterBits: 12 });
    await image.write(0, pattern(4096, 1));
    await image.discard(0, 4096);
    await image.write(8192, pattern(4096, 1));
    for (const failing of [/write/, /sync/]) {
      file.failing = failing;
      await assert.rejects(image.flush(), /the host fails/);
    }
    file.failing = undefined;
    await image.flush();
    const again = await openVolatile(new VolatileFile(file.crash(0), new Random(1)));
    const part = new Uint8Array(4096);
    await again.read(8192, part);
    assert.deepEqual(part, pattern(4096, 1));
  });
});

describe('a power failure', { timeout: 300_000 }, () => {
  for (const [clusterBits, hasBase] of [
    [9, true],
    [9, false],
    [12, true],
    [16, true],
  ] as const)
    test(`at any moment loses nothing that was flushed: clusters of ${2 ** clusterBits} bytes, ${hasBase ? 'with' : 'without'} a base`, async () => {
      const size = 256 * 512;
      const base = hasBase ? new Uint8Array(size) : undefined;
      let lost = 0;
      for (const seed of [1, 2, 3]) {
        const report = await crashRounds({
          seed,
          rounds: 25,
          file: await newImage({ size, clusterBits, ...(base && { base }) }),
          open: (file) => openVolatile(file, base),
        });
        lost += report.volatileLost;
      }
      assert.ok(lost > 0, 'what was not flushed was lost sometimes');
    });
});
