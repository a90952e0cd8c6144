// Soak test: rounds of real vCPU and device threads that are terminated, removed, suspended, or
// throw at random points (src/conformance/soak/). Exit status: 0 if every access was completed and
// nothing is left behind, otherwise 1.
//
//   npm run soak                                  10,000 rounds, a new seed
//   npm run soak -- --rounds 300 --seed 7         a short run with reproducible disturbances
//
// UPCALL_DIST selects a build other than dist/.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readOptions } from './script-options.mjs';

const HELP = `soak [--rounds N] [--seed N] [--quiet]: vCPUs and devices in real threads, with disturbances
  --rounds N   number of rounds (default: 10000)
  --seed N     seed of the disturbances (default: a new one, which is printed)
  --quiet      no progress
`;
/** Growth allowed between the first VM and the end. */
const MAY_GROW = { threads: 0, descriptors: 0, heapMiB: 8, externalMiB: 8 };

const { values: options } = readOptions(HELP, {
  options: {
    rounds: { type: 'string', default: '10000' },
    seed: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const seed = options.seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(options.seed);
if (!(Number.isInteger(rounds) && rounds > 0 && Number.isInteger(seed))) {
  process.stderr.write(HELP);
  process.exit(2);
}
const dist = process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url));
const module = join(dist, 'conformance/soak/soak.js');
if (!existsSync(module)) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}

/** @typedef {import('../dist/conformance/soak/resources.js').Resources} Resources */
/** @typedef {import('../dist/conformance/soak/soak.js')} Soak */
const { soak } = /** @type {Soak} */ (await import(pathToFileURL(module).href));

/** @type {(resources: Resources | undefined) => string} */
const describe = (resources) =>
  resources === undefined
    ? '-'
    : `${resources.threads ?? '?'} threads, ${resources.descriptors ?? '?'} files, heap ${resources.heapMiB.toFixed(1)} MiB, outside ${resources.externalMiB.toFixed(1)} MiB`;

process.stdout.write(`${rounds} rounds, seed ${seed}\n`);
const started = performance.now();
const seconds = () => ((performance.now() - started) / 1000).toFixed(0);
let shown = started;
const report = await soak({
  rounds,
  seed,
  onProgress: (now) => {
    if (options.quiet || performance.now() - shown < 5000) return;
    shown = performance.now();
    process.stdout.write(
      `  ${seconds()} s: ${now.rounds} rounds, ${now.threadsLost} threads lost; ${describe(now.last)}\n`,
    );
  },
});

const { first, last, problems } = report;
process.stdout.write(
  `${report.rounds} rounds of ${report.vms} VMs in ${seconds()} s: ${report.reads} reads, ${report.allOnes} of them all ones; ` +
    `${report.faults} faults, ${report.deviceErrors} errors of devices, ${report.threadsLost} threads lost\n` +
    `  after the first VM: ${describe(first)}\n  after the last:     ${describe(last)}\n`,
);
for (const [name, limit] of Object.entries(MAY_GROW)) {
  const before = first?.[/** @type {keyof Resources} */ (name)] ?? 0;
  const after = last?.[/** @type {keyof Resources} */ (name)] ?? 0;
  if (after > before + limit) problems.push(`${name}: ${before} after the first VM, ${after} after the last`);
}
for (const problem of problems) process.stdout.write(`PROBLEM ${problem}\n`);
process.exitCode = problems.length === 0 ? 0 : 1;
