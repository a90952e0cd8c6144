import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { crashRounds } from '../fixtures/crash-rounds.js';
import { Random } from '../fixtures/random.js';
import { openDisk } from '../open-disk.js';
import { newImage, openVolatile, readAll } from './fixtures/volatile-image.js';

const hasQemu = ['qemu-img', 'qemu-io'].every((program) => spawnSync(program, ['--version']).status === 0);
const options = { timeout: 120_000, ...(hasQemu ? {} : { skip: 'qemu-img and qemu-io are not installed' }) };
const MIB = 2 ** 20;

/** `qemu-img check`: nothing wrong, and unused clusters that are counted. */
const CLEAN = 0;
const LEAKS = 3;

function run(program: 'qemu-img' | 'qemu-io', ...parameters: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, parameters, { encoding: 'utf8' });
  assert.equal(status, 0, `${program} ${parameters.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

function check(file: string): number | null {
  return spawnSync('qemu-img', ['check', '-f', 'qcow2', file]).status;
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'upcall-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

function noise(bytes: number, seed: number): Buffer {
  const words = Uint32Array.from({ length: bytes / 4 }, (_, index) => Math.imul(index + seed, 0x9e37_79b1));
  return Buffer.from(words.buffer);
}

/** Random operations of all kinds, on the image and on its model. */
async function play(image: Awaited<ReturnType<typeof openDisk>>['image'], model: Buffer, seed: number): Promise<void> {
  const random = new Random(seed);
  const sectors = image.size / 512;
  for (let step = 0; step < 200; step++) {
    const sector = random.below(sectors);
    const count = Math.min(sectors - sector, 1 + random.below(random.oneIn(4) ? 1000 : 20));
    const position = sector * 512;
    const bytes = noise(count * 512, step);
    const kind = random.below(8);
    if (kind < 4) await image.write(position, bytes);
    else if (kind < 6) await image.writeZeroes(position, bytes.length, kind === 4);
    else if (kind === 6) await image.flush();
    else
      assert.ok(
        Buffer.from(await part(image, position, bytes.length)).equals(
          model.subarray(position, position + bytes.length),
        ),
      );
    if (kind < 6) model.set(kind < 4 ? bytes : Buffer.alloc(bytes.length), position);
  }
}

async function part(
  image: Awaited<ReturnType<typeof openDisk>>['image'],
  position: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await image.read(position, bytes);
  return bytes;
}

describe('qemu-img', options, () => {
  test('finds an overlay of ours whole, and reads from it what we wrote', async (t) => {
    const base = join(await folder(t), 'base.img');
    const overlay = base.replace('base.img', 'overlay.qcow2');
    const contents = noise(24 * MIB, 1);
    await writeFile(base, contents);
    const model = Buffer.from(contents);
    for (const seed of [1, 2]) {
      const { image } = await openDisk({ file: base, overlay });
      await play(image, model, seed);
      await image.close();
      assert.equal(check(overlay), CLEAN);
      run('qemu-img', 'convert', '-O', 'raw', overlay, `${base}.out`);
      assert.ok((await readFile(`${base}.out`)).equals(model));
    }
    assert.ok((await readFile(base)).equals(contents), 'the base is as it was');
    const info = JSON.parse(run('qemu-img', 'info', '--output=json', overlay)) as Record<string, unknown>;
    assert.deepEqual([info['backing-filename'], info['backing-filename-format']], ['base.img', 'raw']);
    // And QEMU's writes are ours.
    run('qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1M 64k', '-c', 'write -z 2M 128k', '-c', 'discard 3M 64k', overlay);
    model
      .fill(7, MIB, MIB + 65_536)
      .fill(0, 2 * MIB, 2 * MIB + 131_072)
      .fill(0, 3 * MIB, 3 * MIB + 65_536);
    const { image } = await openDisk({ file: base, overlay });
    assert.ok(Buffer.from(await readAll(image)).equals(model));
    await image.close();
  });

  for (const [how, ...parameters] of [
    ['its defaults'],
    ['clusters of 4 KiB', '-o', 'cluster_size=4k'],
    ['clusters of 2 MiB', '-o', 'cluster_size=2M'],
    ['lazy counts', '-o', 'lazy_refcounts=on'],
    ['all tables', '-o', 'preallocation=metadata'],
    ['all clusters', '-o', 'preallocation=falloc'],
  ] as const)
    test(`makes an image with ${how}, which we write and it finds whole`, async (t) => {
      const file = join(await folder(t), 'disk.qcow2');
      run('qemu-img', 'create', '-q', '-f', 'qcow2', ...parameters, file, '24M');
      const model = Buffer.alloc(24 * MIB);
      run('qemu-io', '-f', 'qcow2', '-c', 'write -P 9 1M 1M', '-c', 'write -z 1536k 256k', file);
      model.fill(9, MIB, 2 * MIB).fill(0, 1.5 * MIB, 1.75 * MIB);
      const { image } = await openDisk({ file, format: 'qcow2' });
      assert.ok(Buffer.from(await readAll(image)).equals(model));
      await play(image, model, 3);
      await image.close();
      assert.equal(check(file), CLEAN);
      run('qemu-img', 'convert', '-O', 'raw', file, `${file}.out`);
      assert.ok((await readFile(`${file}.out`)).equals(model));
    });

  test('makes images that we refuse, each with a reason', async (t) => {
    const base = await folder(t);
    const file = join(base, 'x.qcow2');
    const create = (...parameters: string[]): string =>
      run('qemu-img', 'create', '-q', '-f', 'qcow2', ...parameters, file, '8M');
    const kinds: readonly (readonly [() => unknown, RegExp])[] = [
      [() => create('-o', 'compat=0.10'), /has version 2/],
      [() => create('-o', 'extended_l2=on'), /extended L2/],
      [() => create('-o', 'refcount_bits=64'), /reference counts of 64 bits/],
      [() => create('-o', `data_file=${base}/data`), /its data in another file/],
      // Not by LUKS: qemu-img measures how fast the processor hashes, and fails on some machines.
      [() => create('--object', 'secret,id=s,data=x', '-o', 'encrypt.format=aes,encrypt.key-secret=s'), /is encrypted/],
      [
        () => {
          create();
          run('qemu-img', 'snapshot', '-c', 'one', file);
        },
        /has snapshots/,
      ],
      [
        () => {
          create();
          run('qemu-img', 'bitmap', '--add', file, 'b');
        },
        /extension .*0x23852875/,
      ],
      [
        async () => {
          await writeFile(`${base}/raw`, Buffer.alloc(8 * MIB, 1));
          run('qemu-img', 'convert', '-c', '-O', 'qcow2', `${base}/raw`, file);
        },
        /compressed clusters/,
      ],
      [
        () => run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', `${base}/raw`, '-F', 'raw', file),
        /is an overlay over/,
      ],
    ];
    for (const [make, message] of kinds) {
      await rm(file, { force: true });
      await make();
      for (const isReadOnly of [false, true])
        await assert.rejects(openDisk({ file, format: 'qcow2', isReadOnly }), { code: 'DISK_INVALID', message });
    }
  });

  test('finds no error in what a power failure leaves, at most unused clusters', async (t) => {
    const file = join(await folder(t), 'crashed.qcow2');
    const base = new Uint8Array(256 * 512);
    await writeFile(file.replace('crashed.qcow2', 'base'), base);
    const crashed: Uint8Array[] = [];
    await crashRounds({
      seed: 7,
      rounds: 15,
      file: await newImage({ size: base.length, clusterBits: 9, base }),
      open: (opened) => openVolatile(opened, base),
      onCrash: (bytes) => crashed.push(bytes),
    });
    const seen = new Set<number | null>();
    for (const bytes of crashed) {
      await writeFile(file, bytes);
      seen.add(check(file));
    }
    for (const status of seen) assert.ok(status === CLEAN || status === LEAKS, `status ${status}`);
    assert.ok(seen.has(LEAKS), 'a crash between count and reference was among them');
  });
});
