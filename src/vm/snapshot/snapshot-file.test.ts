import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { isSnapshot, packSnapshot, unpackSnapshot } from './snapshot-file.js';

const PIECES = [Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff), new Uint8Array(1 << 20).fill(7)];

async function packed(): Promise<Uint8Array<ArrayBuffer>> {
  const parts = await packSnapshot({ manifest: { text: 'a', list: [1, 2] }, pieces: PIECES });
  return new Uint8Array(Buffer.concat(parts));
}

async function refusal(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  try {
    await unpackSnapshot(bytes, 'vm.snap');
  } catch (error) {
    assert.ok(error instanceof UpcallError, String(error));
    assert.equal(error.code, 'SNAPSHOT_INVALID');
    assert.ok(error.remedy !== undefined);
    return error.message;
  }
  return '';
}

function changed(bytes: Uint8Array<ArrayBuffer>, at: number, value: number): Uint8Array<ArrayBuffer> {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

test('what is packed is unpacked the same', async () => {
  const bytes = await packed();
  assert.ok(isSnapshot(bytes));
  assert.ok(bytes.length < 20_000, `${bytes.length} bytes`);
  const { manifest, pieces } = await unpackSnapshot(bytes, 'vm.snap');
  assert.deepEqual([manifest['text'], manifest['list']], ['a', [1, 2]]);
  assert.deepEqual(
    pieces.map((piece) => Uint8Array.from(piece)),
    PIECES,
  );
});

test('a file that is no snapshot, or one of another version, is refused with the fact', async () => {
  const bytes = await packed();
  assert.match(await refusal(new Uint8Array(0)), /^vm\.snap is not a snapshot$/);
  assert.match(await refusal(changed(bytes, 0, 0x55)), /is not a snapshot/);
  assert.match(await refusal(changed(bytes, 8, 2)), /has version 2 of the format, and this upcall reads version 1/);
});

test('a damaged byte anywhere is refused, or changes nothing', async () => {
  const bytes = await packed();
  let refused = 0;
  // A prime step. In gzip's headers are bytes that mean nothing, and a copy of equal bytes may come
  // from other places.
  for (let at = 0; at < bytes.length; at += 37) {
    const damaged = changed(bytes, at, (bytes[at] as number) ^ 0x10);
    if ((await refusal(damaged)) !== '') refused++;
    else assert.ok(same((await unpackSnapshot(damaged, 'vm.snap')).pieces), `byte ${at}`);
  }
  assert.ok(refused > 20, `${refused} were refused`);
});

function same(pieces: readonly Uint8Array[]): boolean {
  return (
    pieces.length === PIECES.length &&
    pieces.every((piece, index) => Buffer.compare(piece, PIECES[index] ?? piece) === 0)
  );
}

test('a file that ends early is refused wherever it ends', async () => {
  const bytes = await packed();
  for (const length of [3, 8, 15, 16, 17, 60, bytes.length - 2000, bytes.length - 1])
    assert.notEqual(await refusal(bytes.slice(0, length)), '', `${length} bytes`);
  assert.match(await refusal(new Uint8Array([...bytes, 0])), /announces/);
});

test('a manifest with any lengths unpacks no more than it announces', async () => {
  const huge = await packSnapshot({ manifest: {}, pieces: [new Uint8Array(1 << 20)] });
  // The second "pieces" is the one that counts in JSON, so this one is written by hand.
  const lengths = fc.array(
    fc.tuple(fc.oneof(fc.nat(), fc.double(), fc.constant('1')), fc.oneof(fc.nat(2000), fc.integer())),
    {
      maxLength: 3,
    },
  );
  await fc.assert(
    fc.asyncProperty(lengths, async (pieces) => {
      const [header = new Uint8Array(0)] = huge;
      const json = await gzip(JSON.stringify({ pieces }));
      const file = new Uint8Array(
        Buffer.concat([header.subarray(0, 12), u32(json.length), json, huge[2] ?? new Uint8Array(0)]),
      );
      const message = await refusal(file);
      if (message === '') assert.deepEqual(pieces, [[1 << 20, huge[2]?.length]]);
    }),
    { numRuns: 100 },
  );
});

test('a piece of another length than announced is refused', async () => {
  const piece = new Uint8Array(5000).fill(3);
  const [header = piece, , stored = piece] = await packSnapshot({ manifest: {}, pieces: [piece] });
  const fileOf = async (length: number): Promise<Uint8Array<ArrayBuffer>> => {
    const json = await gzip(JSON.stringify({ pieces: [[length, stored.length]] }));
    return new Uint8Array(Buffer.concat([header.subarray(0, 12), u32(json.length), json, stored]));
  };
  assert.equal(await refusal(await fileOf(5000)), '');
  assert.match(await refusal(await fileOf(5001)), /has 5000 of 5001 bytes in piece 0/);
  assert.match(await refusal(await fileOf(4999)), /piece 0 cannot be unpacked/);
});

async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const { host } = await import('../../host/current.js');
  return host.gzip(new TextEncoder().encode(text));
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
