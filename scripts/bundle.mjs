// Bundles what a process loads at its start into dist/bundle/: the command, the package's entry
// points, and the programs of threads. Loading two hundred modules one by one takes longer than
// everything else that a start does. The entries share their chunks, so that a process has one copy
// of each class. The modules themselves stay in dist/, for tests and for the explorer.

import { readFile, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const DIST = fileURLToPath(new URL('../dist/', import.meta.url));
const BUNDLE = join(DIST, 'bundle');

/** Modules in dist/, by the name of their bundle. */
const ENTRIES = {
  upcall: 'cli/main.js',
  index: 'index.js',
  hypervisor: 'hypervisor/index.js',
  conformance: 'conformance/hypervisor-suite/index.js',
  testing: 'testing/index.js',
};
/** The programs of threads. A bundle has the name of its module. */
const THREADS = [
  'acrn-programs/program-thread.js',
  'cli/stall-watch-thread.js',
  'device-model/placement/device-thread.js',
  'hypervisor/scripted/scripted-thread.js',
  'hypervisor/v86/v86-thread.js',
];

const nameOf = (/** @type {string} */ thread) => thread.slice(thread.lastIndexOf('/') + 1, -'.js'.length);
/** `new URL('./x.js', import.meta.url)`, and any other `import.meta.url`. */
const FILE_URL = /new URL\('(\.[^']*)', import\.meta\.url\)|import\.meta\.url/g;

/**
 * Files keep their places: a URL that is relative to a module is made relative to its bundle, that
 * of a thread's program becomes that of its bundle.
 * @type {import('esbuild').Plugin}
 */
const fileUrls = {
  name: 'file URLs',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const from = (/** @type {string} */ file) => JSON.stringify(relative(BUNDLE, file));
      const contents = text.replace(FILE_URL, (_, file) => {
        if (file === undefined) return `new URL(${from(path)}, import.meta.url).href`;
        const target = join(dirname(path), file);
        const thread = THREADS.find((one) => join(DIST, one) === target);
        const place = thread === undefined ? relative(BUNDLE, target) : `./${nameOf(thread)}.js`;
        return `new URL(${JSON.stringify(file.endsWith('/') ? `${place}/` : place)}, import.meta.url)`;
      });
      return { contents, loader: 'js' };
    });
  },
};

export async function bundle() {
  await rm(BUNDLE, { recursive: true, force: true });
  const threads = THREADS.map((path) => [nameOf(path), path]);
  await build({
    entryPoints: Object.fromEntries(
      [...Object.entries(ENTRIES), ...threads].map(([name, path]) => [name, join(DIST, String(path))]),
    ),
    outdir: BUNDLE,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.11',
    packages: 'external',
    sourcemap: true,
    logLevel: 'warning',
    plugins: [fileUrls],
  });
}

if (argv[1] === fileURLToPath(import.meta.url)) await bundle();
