// Mutation run: makes every mutant of the request path (scripts/mutation/mutations.mjs), runs the
// nearest tests with each, and compares what survives with scripts/mutation/survivors.json. That
// lists the modules that were run completely, and explains each of their survivors.
//
//   npm run build && node scripts/mutation-run.mjs [word…]   all mutants, or those with a word
//   … --listed               only those of the modules that are listed as complete
//   … --sample 40 --seed 7   a random part
//   … --jobs 2               that many tests at a time
//   … --own                  only with the module's own test file, while its tests are written
//   … --budget 60            until that time in seconds is over
//   … --check                only whether each explained survivor still exists
//
// Exits with 1 if a mutant survives without an explanation, or is explained and killed. At its end
// it lists the mutants that a test noticed only by not ending, each with that test: whether such a
// mutant loops or waits for what never comes is for a reader to see.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOptions } from './script-options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = process.env.UPCALL_DIST ?? join(root, 'dist');
if (!existsSync(join(root, 'dist/exploration/engine/compiler.js'))) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}
const { loadCompiler } = await import('../dist/exploration/engine/compiler.js');
const { mutationsOf } = await import('./mutation/mutations.mjs');
const { MutatedCopy, javaScript } = await import('./mutation/mutated-copy.mjs');
const { NearestTests, ownTest } = await import('./mutation/nearest-tests.mjs');
const { TestCoverage } = await import('./mutation/test-coverage.mjs');
const { randomNumbers } = await import('../dist/exploration/engine/search/random-search.js');

/** Folders, and single modules. */
const MUTATED = ['io-request', 'hsm', 'trace', 'trace/exports', 'device-model/placement', 'hypervisor/io-handler'];
const SURVIVORS = join(root, 'scripts/mutation/survivors.json');
/**
 * A test may take this multiple of its time without a mutant, and LEAST_MS. A mutant that is
 * explained and took longer gets a second run with PATIENCE times that: the machine may be busy.
 * Any other mutant gets one if the load is above one process for each CPU, with that many times
 * the limit.
 */
const SLOWDOWN = 4;
const LEAST_MS = 2000;
const PATIENCE = 10;
/** Of the tests in other folders that run a mutant, the quickest that take that long together. */
const MOST_SECONDS = 2;
/** Time between two lines of progress. */
const SHOW_MS = 30_000;

const HELP = `mutation-run [OPTION…] [WORD…]: runs the nearest tests with each mutant of the request path
  WORD          only mutants whose line has one of these words
  --listed      only those of the modules that are listed as complete
  --sample N    a random part of N mutants
  --seed N      its seed (default: a new one, which is printed)
  --jobs N      that many tests at a time (default: 1)
  --own         only with the module's own test file
  --budget S    until that time in seconds is over
  --check       only whether each explained survivor still exists
  --verbose     a line for each mutant
`;
const { values: options, positionals: words } = readOptions(HELP, {
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: '1' },
    sample: { type: 'string' },
    seed: { type: 'string' },
    budget: { type: 'string', default: 'Infinity' },
    listed: { type: 'boolean', default: false },
    own: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

/** @typedef {import('./mutation/mutations.mjs').Mutation & { module: string }} Mutant */

const ts = loadCompiler();

/** @type {Map<string, string>} */
const texts = new Map();

/** @returns {Mutant[]} */
function everyMutant() {
  const modules = MUTATED.flatMap((place) => {
    const folder = join(root, 'src', place);
    if (!existsSync(folder)) return [place];
    const files = readdirSync(folder).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
    return files.sort().map((file) => `${place}/${file.slice(0, -3)}`);
  });
  return modules.flatMap((module) => {
    const text = readFileSync(join(root, `src/${module}.ts`), 'utf8');
    texts.set(module, text);
    return mutationsOf(ts, module, text).map((mutation) => ({ ...mutation, module }));
  });
}

/** @type {<T>(list: readonly T[], seed: number) => T[]} */
function shuffled(list, seed) {
  const random = randomNumbers(seed);
  const left = [...list];
  return list.map(() => left.splice(random(left.length), 1)[0]).filter((one) => one !== undefined);
}

/** @type {{ complete: string[], survivors: Record<string, string> }} */
const { complete, survivors: explained } = JSON.parse(readFileSync(SURVIVORS, 'utf8'));
const all = everyMutant();
const names = new Set(all.map(({ name }) => name));
const gone = Object.keys(explained).filter((name) => !names.has(name));
// Shorter texts are no sentence.
const unexplained = Object.entries(explained).filter(([, why]) => why.length < 10);
for (const name of gone) process.stdout.write(`GONE      ${name}\n`);
for (const [name] of unexplained) process.stdout.write(`NO REASON ${name}\n`);
if (options.check) {
  process.stdout.write(
    `${all.length} mutants, ${Object.keys(explained).length} explained survivors, ${complete.length} modules complete\n`,
  );
  process.exit(gone.length + unexplained.length > 0 ? 1 : 0);
}

const seed = options.seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(options.seed);
const wanted = all.filter(
  ({ name, module }) =>
    (words.length === 0 || words.some((word) => name.includes(word))) && (!options.listed || complete.includes(module)),
);
const chosen = options.sample === undefined ? wanted : shuffled(wanted, seed).slice(0, Number(options.sample));
if (options.sample !== undefined) process.stdout.write(`${chosen.length} of ${wanted.length} mutants, seed ${seed}\n`);

const copies = Array.from({ length: Number(options.jobs) }, () => new MutatedCopy(root, dist));
const nearest = new NearestTests(dist);
const began = performance.now();
const secondsSince = () => (performance.now() - began) / 1000;
let isInterrupted = false;
process.once('SIGINT', () => (isInterrupted = true));

const coverage = new TestCoverage(new MutatedCopy(root, dist), (module) => texts.has(module));

/**
 * The tests that run the code at an offset of a module's JavaScript: its own, then the quick ones.
 * @type {(module: string, offset: number) => Promise<string[]>}
 */
async function testsOf(module, offset) {
  const found = [];
  for (const test of nearest.of(module)) {
    if (options.own && test !== ownTest(module)) continue;
    if (!(await coverage.runs(test, module, offset))) continue;
    found.push({ test, seconds: test === ownTest(module) ? 0 : await coverage.secondsOf(test) });
  }
  let sum = 0;
  return found
    .sort((a, b) => a.seconds - b.seconds)
    .filter(({ test, seconds }) => dirname(test) === dirname(module) || (sum += seconds) <= MOST_SECONDS)
    .map(({ test }) => test);
}

/**
 * How many times its limit a mutant gets for a second run. 1 or less: it gets none.
 * @type {(name: string) => number}
 */
function patienceWith(name) {
  // Of the last minute. 0 on Windows.
  const [load = 0] = loadavg();
  return explained[name] === undefined ? load / availableParallelism() : PATIENCE;
}

/**
 * What fails with a mutant, and in which test file. Undefined: nothing.
 * @typedef {{ by: string, test: string }} Killer
 * @type {(copy: import('./mutation/mutated-copy.mjs').MutatedCopy, mutant: Mutant) => Promise<Killer | undefined>}
 */
async function killerOf(copy, { name, module, from, to, by }) {
  const text = texts.get(module) ?? '';
  const original = copy.textOf(module);
  const program = javaScript(ts, `${module}.ts`, text.slice(0, from) + by + text.slice(to));
  const offset = differsAt(original, program);
  if (offset === undefined) return undefined;
  for (const test of await testsOf(module, offset)) {
    const limitMs = LEAST_MS + SLOWDOWN * 1000 * (await coverage.secondsOf(test));
    let result = await copy.runWith(module, program, [test], limitMs);
    const patience = patienceWith(name);
    if (result.by === 'time' && patience > 1) result = await copy.runWith(module, program, [test], patience * limitMs);
    if (!result.passed) return { by: result.by, test };
  }
  return undefined;
}

/**
 * Where a mutant's JavaScript differs. Undefined: only the TypeScript does, so no test can fail.
 * @type {(original: string, program: string) => number | undefined}
 */
function differsAt(original, program) {
  for (let at = 0; at < program.length; at++) if (original[at] !== program[at]) return at;
  // The compiler ends the original with the name of its source map.
  return original.slice(program.length).trim().startsWith('//# ') ? undefined : program.length;
}

let tried = 0;
let killed = 0;
/** @type {string[]} */
const timedOut = [];
/** @type {string[]} */
const wrong = [];
let shown = performance.now();
const left = chosen.values();
/** @type {(copy: import('./mutation/mutated-copy.mjs').MutatedCopy) => Promise<void>} */
async function runMutants(copy) {
  for (const mutant of left) {
    if (isInterrupted || secondsSince() > Number(options.budget)) break;
    const { name } = mutant;
    const killer = await killerOf(copy, mutant);
    tried++;
    const isExplained = explained[name] !== undefined;
    if (killer !== undefined) killed++;
    if (killer?.by === 'time') timedOut.push(`${name}  [${killer.test}]`);
    if (killer === undefined && !isExplained) wrong.push(`SURVIVED  ${name}`);
    if (killer !== undefined && isExplained) wrong.push(`KILLED    ${name}, which is explained: by ${killer.by}`);
    if (options.verbose)
      process.stdout.write(killer === undefined ? `survived ${name}\n` : `killed   ${name}  [${killer.by}]\n`);
    else if ((killer === undefined) !== isExplained) process.stdout.write(`${wrong.at(-1)}\n`);
    if (performance.now() - shown < SHOW_MS) continue;
    shown = performance.now();
    process.stdout.write(`  ${tried} of ${chosen.length} after ${secondsSince().toFixed(0)} s, ${killed} killed\n`);
  }
}

try {
  await Promise.all(copies.map(runMutants));
} finally {
  for (const copy of copies) copy.close();
  coverage.close();
}
for (const one of timedOut) process.stdout.write(`BY TIME   ${one}\n`);
process.stdout.write(
  `${tried} of ${chosen.length} mutants in ${secondsSince().toFixed(0)} s: ${killed} killed (${timedOut.length} by time), ` +
    `${tried - killed} survived, ${wrong.length} of all not as explained\n`,
);
if (wrong.length + gone.length + unexplained.length > 0) process.exitCode = 1;
