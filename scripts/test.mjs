// Runs the built tests: all but the long ones, or those whose path contains one of the given words.
// `--long` runs the long ones, with `--budget SECONDS` as many as begin within that time, in an
// order of the seed UPCALL_SEED. The files are listed here because Node 20's test runner takes no
// glob patterns and later ones take no folders.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readOptions } from './script-options.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = process.env.UPCALL_DIST ?? join(here, '../dist');
/** One more than there are cores: many tests wait for processes that they have started. */
const FILES_AT_ONCE = availableParallelism() + 1;
/** Ends a file that hangs. In `npm run kvm:machine` all is slower. */
const FILE_LIMIT_MS = 300_000 * Number(process.env.UPCALL_SLOWNESS ?? 1);
/**
 * Tests that boot Debian, install the package, start a program for each case, save VMs of up to 16
 * vCPUs, or search.
 */
const LONG = [
  'acrn-programs/attach-signals.',
  'acrn-programs/c-client.',
  'acrn-programs/deaths.',
  'acrn-programs/front-ends.',
  'acrn-programs/signals.',
  'cli/e2e/bad-input.',
  'cli/e2e/card-places.',
  'cli/e2e/console.',
  'cli/e2e/debian.',
  'cli/e2e/debian-kvm.',
  'cli/e2e/disks.',
  'cli/e2e/examples.',
  'cli/e2e/faults.',
  'cli/e2e/live-page.',
  'cli/e2e/live-page-access.',
  'cli/e2e/live-page-author.',
  'cli/e2e/live-page-vcpus.',
  'cli/e2e/network.',
  'cli/e2e/new-device.',
  'cli/e2e/pack.',
  'cli/e2e/page-wait.',
  'cli/e2e/run.',
  'cli/e2e/save.',
  'cli/e2e/serve-qemu.',
  'cli/e2e/share.',
  'cli/e2e/snapshot.',
  'cli/e2e/stall.',
  'cli/e2e/terminal.',
  'cli/e2e/top.',
  'cli/e2e/unpacked-kernel.',
  'cli/e2e/vfio-qemu.',
  'cli/e2e/watch.',
  'cli/e2e/watch-debian.',
  'cli/e2e/write-a-device.',
  'cli/watch/watched-device.',
  'device-model/disk/qcow2/qemu-img.',
  'exploration/acrn/defects.',
  'exploration/explore-main.',
  'fuzzing/fuzzing.',
  'hypervisor/kvm/kvm-kicks.',
  'hypervisor/kvm/kvm-snapshot.',
  'hypervisor/kvm/kvm-write-log.',
  'hypervisor/kvm/saved-machine.',
  'vm/snapshot/log-failures.',
  'vm/snapshot/snapshot-trace.',
  'vfio-user/qemu.',
  'vfio-user/qemu-guest.',
  'vfio-user/qemu-hotplug.',
];
/** Builds a root file system for many minutes: `npm run test:root`. */
const CAMPAIGNS = ['cli/e2e/debian-root.'];
/**
 * A process takes a third of a second of processor time to start and to load the test runner, which
 * is more than most files need for their tests. So files share one, unless their text says that
 * they touch what belongs to the whole process, such as hooks outside of a suite.
 */
const FILES_IN_A_PROCESS = 16;
const NEEDS_A_PROCESS =
  /^(?:before|after)(?:Each)?\(|child_process|worker_threads|new Worker\(|process\.(exit|env|on|once|chdir|kill)|mock\.timers|upcall-process|setFlagsFromString/m;

const HELP = `npm test -- [--long [--budget SECONDS]] [WORD…]: runs the built tests
  WORD              only files whose path has one of these words, also long ones
  --long            the long ones
  --budget SECONDS  as many of those as begin within that time, in an order of the seed UPCALL_SEED

  npm test
  npm test -- placement waker
`;
const { values, positionals: words } = readOptions(HELP, {
  allowPositionals: true,
  options: { long: { type: 'boolean', default: false }, budget: { type: 'string' } },
});
const all = readdirSync(dist, { recursive: true })
  .map((file) => String(file).replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.test.js'))
  .sort();
if (words.length > 0) {
  const chosen = all.filter((file) => words.some((word) => file.includes(word)));
  if (chosen.length === 0) {
    console.error(`no built test matches ${words.join(' ')}. Run npm run build first`);
    process.exit(2);
  }
  process.exitCode = run(paths(chosen));
} else if (values.long) {
  process.exitCode = runLong(all.filter(isLong), Number(values.budget ?? Infinity));
} else {
  console.log(`left out, see npm run test:long: ${all.filter(isLong).join(', ')}`);
  console.log(`left out, see npm run test:root: ${all.filter(isCampaign).join(', ')}`);
  process.exitCode = runShared(all.filter((file) => !isLong(file) && !isCampaign(file)));
}

/** @type {(file: string) => boolean} */
function isLong(file) {
  return LONG.some((name) => file.includes(name));
}

/** @type {(file: string) => boolean} */
function isCampaign(file) {
  return CAMPAIGNS.some((name) => file.includes(name));
}

/** @type {(files: readonly string[]) => string[]} */
function paths(files) {
  return files.map((file) => join(dist, file));
}

/**
 * Files that need a process of their own come first: they are the slow ones.
 * @type {(files: readonly string[]) => number}
 */
function runShared(files) {
  const own = files.filter((file) => NEEDS_A_PROCESS.test(readFileSync(join(dist, file), 'utf8')));
  const shared = files.filter((file) => !own.includes(file));
  const folder = mkdtempSync(join(tmpdir(), 'upcall-tests-'));
  try {
    const groups = [];
    for (let first = 0; first < shared.length; first += FILES_IN_A_PROCESS) {
      const group = join(folder, `files-from-${first}.test.mjs`);
      const imports = paths(shared.slice(first, first + FILES_IN_A_PROCESS)).map(
        (file) => `await import(${JSON.stringify(pathToFileURL(file).href)});\n`,
      );
      writeFileSync(group, imports.join(''));
      groups.push(group);
    }
    return run([...paths(own), ...groups]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @type {(files: readonly string[], budgetSeconds: number) => number} */
function runLong(files, budgetSeconds) {
  if (!(budgetSeconds > 0)) throw new Error('--budget is a number of seconds');
  const seed = Number(process.env.UPCALL_SEED ?? Date.now()) % files.length;
  const order = [...files.slice(seed), ...files.slice(0, seed)];
  if (budgetSeconds === Infinity) return run(paths(order));
  console.log(`from ${order[0]} on (UPCALL_SEED=${seed})`);
  const endMs = Date.now() + budgetSeconds * 1000;
  let status = 0;
  for (const [index, file] of order.entries()) {
    if (Date.now() >= endMs) {
      console.log(`left out after ${budgetSeconds} s: ${order.slice(index).join(', ')}`);
      break;
    }
    status = Math.max(status, run(paths([file])));
  }
  return status;
}

/** @type {(files: readonly string[]) => number} The exit status. */
function run(files) {
  const options = [
    '--test',
    `--test-concurrency=${FILES_AT_ONCE}`,
    `--test-timeout=${FILE_LIMIT_MS}`,
    `--test-reporter=${join(here, 'test-reporter.mjs')}`,
  ];
  const { status } = spawnSync(process.execPath, [...options, ...files.map((file) => relative('', file))], {
    stdio: 'inherit',
  });
  return status ?? 1;
}
