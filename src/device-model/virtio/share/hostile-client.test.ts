/** ShareDevice with a client that sends anything, in any order, and with resets between. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import fc from 'fast-check';

import { O, ROOT, ShareClient } from './fixtures/share-client.js';
import { message, str, u16, u32, u64, u8 } from './fixtures/share-messages.js';
import { LINUX_ONLY, SECRET, shareTemp, type SharedTemp } from './fixtures/shared-temp.js';

/** Of random mounts: each ends with a reset at any moment. */
const MOUNTS = 300;
const ROUNDS = 30;

type Step = { readonly kind: 'send'; readonly bytes: Uint8Array; readonly room: number } | { readonly kind: 'reset' };

// Few values, so that requests meet the same files.
const fids = fc.oneof({ weight: 20, arbitrary: fc.nat({ max: 6 }) }, fc.constant(0xffff_ffff)).map(u32);
const names = fc
  .oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'd', 'file', 'up', 'secret', 'link') },
    fc.constantFrom('..', '.', '', '/', '../secret', '/etc/passwd', 'a/b', 'x'.repeat(256), 'y'.repeat(255), 'a\0'),
    fc.string({ maxLength: 300 }),
  )
  .map(str);
const numbers = fc.oneof(fc.constantFrom(0, 1, 2, 0x200, 0o755, 0o1000, 0xffff_ffff), fc.nat()).map(u32);
const longs = fc
  .oneof(fc.constantFrom(0n, 1n, 3n, 4096n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n), fc.bigInt({ min: 0n, max: 70_000n }))
  .map(u64);
const data = fc.uint8Array({ maxLength: 5000 }).map((bytes) => Buffer.concat([u32(bytes.length), bytes]));
const walked = fc.array(names, { maxLength: 18 }).map((all) => Buffer.concat([u16(all.length), ...all]));
const version = fc.constantFrom('9P2000.L', '9P2000.L', '9P2000', '').map(str);

/** The fields of each request. */
const REQUESTS: Readonly<Record<number, readonly fc.Arbitrary<Buffer>[]>> = {
  8: [fids],
  12: [fids, numbers],
  14: [fids, names, numbers, numbers, numbers],
  16: [fids, names, names, numbers],
  18: [fids, names, numbers, numbers, numbers, numbers],
  20: [fids, fids, names],
  22: [fids],
  24: [fids, longs],
  26: [fids, numbers, numbers, numbers, numbers, longs, longs, longs, longs, longs],
  30: [fids, fids, names],
  32: [fids, names, longs, numbers],
  40: [fids, longs, numbers],
  50: [fids, numbers],
  52: [fids, fc.nat({ max: 255 }).map(u8), numbers, longs, longs, numbers, names],
  54: [fids, fc.nat({ max: 255 }).map(u8), longs, longs, numbers, names],
  70: [fids, fids, names],
  72: [fids, names, numbers, numbers],
  74: [fids, names, fids, names],
  76: [fids, names, numbers],
  100: [numbers, version],
  102: [fids, names, names, numbers],
  104: [fids, fc.constant(u32(0xffff_ffff)), names, names, numbers],
  108: [fc.nat({ max: 20 }).map(u16)],
  110: [fids, fids, walked],
  116: [fids, longs, numbers],
  118: [fids, longs, data],
  120: [fids],
  122: [fids],
};
const tags = fc.nat({ max: 20 });
/** A walk makes more of the others succeed, and a new session fewer. */
const WEIGHTS: Readonly<Record<number, number>> = { 110: 20, 12: 10, 14: 10, 100: 1 };
const wellFormed = fc.oneof(
  ...Object.entries(REQUESTS).map(([type, fields]) => ({
    weight: WEIGHTS[Number(type)] ?? 3,
    arbitrary: fc.tuple(tags, ...fields).map(([tag, ...parts]) => message(Number(type), tag, ...parts)),
  })),
);
/** A message with one byte changed, or cut, or continued. */
const damaged = fc
  .tuple(wellFormed, fc.nat(), fc.nat({ max: 255 }), fc.nat({ max: 3 }))
  .map(([bytes, at, value, how]) => {
    if (how === 0) return bytes.subarray(0, at % bytes.length);
    if (how === 1) return Buffer.concat([bytes, Buffer.of(value)]);
    const changed = Buffer.from(bytes);
    changed[at % bytes.length] = value;
    return changed;
  });
const bytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 20, arbitrary: wellFormed },
  { weight: 5, arbitrary: damaged },
  fc.uint8Array({ maxLength: 100 }),
);
const room = fc.oneof({ weight: 9, arbitrary: fc.constant(8192) }, fc.nat({ max: 200 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ kind: fc.constant('send' as const), bytes, room }) },
  fc.constant<Step>({ kind: 'reset' }),
);

/** What every answer has to be, whatever the request was. */
function checkAnswer(answer: Buffer, request: Uint8Array, space: number): void {
  assert.ok(answer.length <= space);
  assert.equal(answer.includes(SECRET), false);
  if (space < 11) {
    assert.equal(answer.length, 0);
    return;
  }
  assert.ok(answer.length >= 7);
  assert.equal(answer.readUInt32LE(0), answer.length);
  assert.equal(answer.readUInt16LE(5), request.length < 7 ? 0xffff : Buffer.from(request).readUInt16LE(5));
  const type = answer[4] as number;
  assert.ok(type === 7 ? answer.length === 11 : type === (request[4] as number) + 1, `type ${type}`);
}

function fill({ path }: SharedTemp): void {
  mkdirSync(join(path, 'd'));
  writeFileSync(join(path, 'file'), 'contents');
  symlinkSync('..', join(path, 'up'));
  symlinkSync('../secret', join(path, 'link'));
  symlinkSync('../../secret', join(path, 'd/link'));
}

/** Fids to begin with: an open file, an open directory, a link, a file, a directory. */
async function mount({ device }: SharedTemp, isWritable: boolean): Promise<ShareClient> {
  const client = await ShareClient.mount(device, 8192);
  for (const [fid, name] of [
    [1, 'file'],
    [2, 'd'],
    [3, 'link'],
    [4, 'file'],
    [5, 'd'],
  ] as const)
    // Former clients may have removed it.
    await client.walkTo(ROOT, fid, name).catch(() => client.walkTo(ROOT, fid));
  await client.open(1, isWritable ? O.RDWR : O.RDONLY).catch(() => undefined);
  await client.open(2, O.RDONLY).catch(() => undefined);
  return client;
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

test(
  'whatever a client sends, each answer is well-formed, nothing outside is touched, and no descriptor is left',
  { timeout: 300_000, ...LINUX_ONLY },
  async (context) => {
    let mounts = 0;
    const seed = Number(process.env['FC_SEED'] ?? 1);
    context.diagnostic(`FC_SEED=${seed}`);
    let answered = 0;
    const succeeded = new Map<number, number>();
    const round = async (isWritable: boolean, mountsOf: readonly (readonly Step[])[]): Promise<void> => {
      const before = descriptors();
      const temp = await shareTemp(context, isWritable);
      fill(temp);
      for (const steps of mountsOf) {
        mounts++;
        let client = await mount(temp, isWritable);
        let answers: Promise<void>[] = [];
        for (const one of steps) {
          if (one.kind === 'send') {
            const answer = client.send(one.bytes, one.room);
            const check = (got: Buffer): void => {
              checkAnswer(got, one.bytes, one.room);
              answered++;
              const type = got.length > 4 ? (got[4] as number) : 7;
              succeeded.set(type, (succeeded.get(type) ?? 0) + 1);
            };
            answers.push(answer.then(check));
            // Some are answered before the next one comes, and some are not.
            if (answers.length % 3 === 0) await Promise.all(answers);
            continue;
          }
          client.driver.reset();
          answers = [];
          client = await mount(temp, isWritable);
        }
        client.driver.reset();
      }
      temp.device.close();
      await temp.device.closed;
      assert.equal(temp.folder.openHandles, 0);
      assert.equal(descriptors(), before);
      assert.deepEqual(readdirSync(temp.outside).sort(), ['secret', 'shared']);
      assert.equal(readFileSync(join(temp.outside, 'secret'), 'utf8'), SECRET);
      if (!isWritable) assert.equal(readFileSync(join(temp.path, 'file'), 'utf8'), 'contents');
    };
    const perRound = MOUNTS / ROUNDS;
    const steps = fc.array(step, { minLength: 1, maxLength: 40, size: 'max' });
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(steps, { minLength: perRound, maxLength: perRound }), round),
      { seed, numRuns: ROUNDS },
    );
    assert.ok(mounts >= MOUNTS, `${mounts} mounts`);
    assert.ok(answered > 5000, `${answered} answers`);
    context.diagnostic(`${mounts} mounts, ${answered} answers, ${succeeded.get(7)} of them errors`);
    // The random requests reach what they are for.
    const refused = [18, 30, 32, 102];
    const never = Object.keys(REQUESTS).filter(
      (type) => !refused.includes(Number(type)) && !succeeded.has(Number(type) + 1),
    );
    assert.deepEqual(never, []);
  },
);
