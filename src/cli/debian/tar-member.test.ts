import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { tarArchive } from './fixtures/tar-archive.js';
import { readTarMember } from './tar-member.js';

const ARCHIVE = tarArchive([
  ['./lib/module.ko', Buffer.alloc(3000, 1)],
  ['./boot/vmlinuz-6.1', Buffer.from('kernel')],
  ['./boot/System.map', Buffer.from('map')],
]);

async function* inChunksOf(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) {
    await Promise.resolve();
    yield bytes.subarray(at, at + length);
  }
}

test('A member is found behind others, however the stream is cut', async () => {
  for (const length of [1, 511, 512, 513, 4096, ARCHIVE.length])
    assert.equal((await readTarMember(inChunksOf(ARCHIVE, length), /vmlinuz-/))?.toString(), 'kernel');
});

test('Without the member, or cut off before it, the answer is undefined', async () => {
  assert.equal(await readTarMember(inChunksOf(ARCHIVE, 999), /busybox/), undefined);
  assert.equal(await readTarMember(inChunksOf(ARCHIVE.subarray(0, 2000), 999), /vmlinuz/), undefined);
});

test('A stream that is no tar archive is an error, and never hangs', async () => {
  await assert.rejects(readTarMember(inChunksOf(Buffer.alloc(1024, 0x41), 512), /x/), /not a tar archive/);
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: 600 }), fc.nat({ max: 255 }), async (offset, value) => {
      const changed = Uint8Array.from(ARCHIVE);
      changed[offset] = value;
      await readTarMember(inChunksOf(changed, 700), /vmlinuz/).catch((error: unknown) =>
        assert.ok(error instanceof Error),
      );
    }),
  );
});
