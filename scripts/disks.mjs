// Tries to lose data of disks. Exit status: 0 if nothing was lost that a flush had covered.
//
//   npm run disks -- kills 10000              processes that write at random and are killed
//   npm run disks -- crashes 10000            power failures: what was not synced is lost in part
//   npm run disks -- kills 200 --seed 7       repeats a run
//
// A killed process does not lose the host's page cache, so `kills` cannot notice a missing sync.
// `crashes` can: its file is in memory, and forgets sectors that were not synced.
// UPCALL_DIST selects a build other than dist/.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readOptions } from './script-options.mjs';

const HELP = `disks kills|crashes [N] [--seed N] [--quiet]: random writes and flushes, and sudden ends
  N            number of ends (default: 1000)
  --seed N     seed of the writes (default: a new one, which is printed)
  --quiet      no progress
`;
/** Power failures with one seed and one image. */
const ROUNDS_PER_SEED = 50;
/** Small, so that many requests touch the same sectors. */
const CRASH_DISK_BYTES = 256 * 512;

const { values: options, positionals } = readOptions(HELP, {
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
});
const [kind = '', count = '1000', ...more] = positionals;
const rounds = Number(count);
const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(options.seed);
const isRight = ['kills', 'crashes'].includes(kind) && more.length === 0 && Number.isInteger(seed);
if (!isRight || !(Number.isInteger(rounds) && rounds > 0)) {
  process.stderr.write(HELP);
  process.exit(2);
}
const dist = process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url));
if (!existsSync(join(dist, 'device-model/disk'))) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}
/** @type {(file: string) => Promise<any>} */
const load = (file) => import(pathToFileURL(join(dist, 'device-model', file)).href);

process.stdout.write(`${rounds} ${kind}, seed ${seed}\n`);
const started = performance.now();
const seconds = () => ((performance.now() - started) / 1000).toFixed(0);
let shown = started;
/** @type {(done: number) => void} */
const onProgress = (done) => {
  if (options.quiet || performance.now() - shown < 5000) return;
  shown = performance.now();
  process.stdout.write(`  ${seconds()} s: ${done} ${kind}\n`);
};
try {
  await (kind === 'kills' ? kills() : crashes());
} catch (error) {
  process.stdout.write(`PROBLEM ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function kills() {
  const { killRounds } = await load('virtio/block/fixtures/kill-campaign.js');
  const folder = await mkdtemp(join(tmpdir(), 'upcall-disks-'));
  try {
    const { requests, pending, checked } = await killRounds({ rounds, seed, folder, onProgress });
    process.stdout.write(
      `${rounds} kills in ${seconds()} s: ${requests} requests, ${pending} of them pending at a kill; nothing lost. ` +
        `qemu-img has checked ${checked} images\n`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A raw disk, and qcow2 images of several geometries. */
async function crashes() {
  const { crashRounds } = await load('disk/fixtures/crash-rounds.js');
  const { newImage, openVolatile } = await load('disk/qcow2/fixtures/volatile-image.js');
  const { RawImage } = await load('disk/raw-image.js');
  const base = new Uint8Array(CRASH_DISK_BYTES);
  /** @type {readonly (readonly [file: () => Promise<Uint8Array>, open: (file: any) => Promise<any>])[]} */
  const kinds = [
    [async () => base, async (file) => new RawImage(file)],
    ...[9, 12, 16].map(
      (clusterBits) =>
        /** @type {const} */ ([
          () => newImage({ size: base.length, clusterBits, base }),
          /** @type {(file: any) => Promise<any>} */ (file) => openVolatile(file, base),
        ]),
    ),
    [() => newImage({ size: base.length, clusterBits: 9 }), (file) => openVolatile(file)],
  ];
  const total = { operations: 0, flushes: 0, volatileLost: 0 };
  for (let done = 0, run = 0; done < rounds; run++) {
    const [file, open] = /** @type {(typeof kinds)[number]} */ (kinds[run % kinds.length]);
    const now = Math.min(ROUNDS_PER_SEED, rounds - done);
    const report = await crashRounds({ seed: seed + run, rounds: now, file: await file(), open });
    total.operations += report.operations;
    total.flushes += report.flushes;
    total.volatileLost += report.volatileLost;
    onProgress((done += now));
  }
  process.stdout.write(
    `${rounds} crashes in ${seconds()} s: ${total.operations} operations, ${total.flushes} flushes, ` +
      `${total.volatileLost} sectors lost that no flush had covered; none that one had\n`,
  );
}
