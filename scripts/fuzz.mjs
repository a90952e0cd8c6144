// Coverage-guided fuzzing of all code that must survive any input (src/fuzzing/). Inputs that reach
// new code are kept and mutated further. A finding is shrunk and written to
// conformance/corpus/TARGET/, where a test replays it from then on.
//
//   npm run fuzz -- devices --seconds 60          one target
//   npm run fuzz -- all --seconds 600 --seed 7    each of them in turn
//
// Exit status: 0 without a finding, otherwise 1. UPCALL_DIST selects a build other than dist/.

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readOptions } from './script-options.mjs';

/** An input that takes longer hangs: it is saved as crash-hang.bin, and the process is killed. */
const HANG_MS = 60_000;
/** Time between two lines of progress. */
const SHOW_MS = 5000;

const dist = process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url));
if (!existsSync(join(dist, 'fuzzing/fuzz-targets.js'))) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}
/** @typedef {import('../dist/fuzzing/campaign.js').CampaignReport} CampaignReport */
/** @type {<T>(file: string) => Promise<T>} */
const load = (file) => import(pathToFileURL(join(dist, 'fuzzing', file)).href);
/** @type {typeof import('../dist/fuzzing/fuzz-targets.js')} */
const { FUZZ_TARGETS } = await load('fuzz-targets.js');
/** @type {typeof import('../dist/fuzzing/campaign.js')} */
const { distill, runCampaign } = await load('campaign.js');
/** @type {typeof import('../dist/fuzzing/corpus.js')} */
const { addToCorpus, corpusFolder, readCorpus } = await load('corpus.js');
/** @type {typeof import('../dist/fuzzing/hang-watch.js')} */
const { HangWatch } = await load('hang-watch.js');

const HELP = `fuzz TARGET [--seconds N] [--seed N] [--keep] [--quiet]
  TARGET       all, or one of:
${FUZZ_TARGETS.map(({ name, about }) => `                 ${name.padEnd(10)} ${about}`).join('\n')}
  --seconds N  time for each target (default: 60); Ctrl-C ends it earlier
  --seed N     seed of the inputs (default: a new one, which is printed)
  --keep       write inputs that reached new code to the corpus
  --quiet      no progress
`;

const { values: options, positionals } = readOptions(HELP, {
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
});
const [word = ''] = positionals;
const targets = FUZZ_TARGETS.filter(({ name }) => word === 'all' || name === word);
const seconds = Number(options.seconds);
const seed = options.seed === undefined ? Math.floor(Math.random() * 0x7fff_ffff) : Number(options.seed);
if (targets.length === 0 || !(seconds > 0) || !Number.isInteger(seed)) {
  process.stderr.write(HELP);
  process.exit(2);
}

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());

/** @type {(report: CampaignReport) => string} */
const describe = ({ inputs, elapsedMs, reached, kept }) =>
  `${inputs} inputs in ${(elapsedMs / 1000).toFixed(0)} s (${((inputs * 1000) / elapsedMs).toFixed(0)}/s), ` +
  `${reached} characters of code reached, ${kept.length} inputs kept`;

for (const target of targets) {
  if (interrupted.signal.aborted) break;
  process.stdout.write(`${target.name}: ${seconds} s, seed ${seed}\n`);
  mkdirSync(corpusFolder(target.name), { recursive: true });
  const watch = new HangWatch(join(corpusFolder(target.name), 'crash-hang.bin'), HANG_MS);
  let shown = performance.now();
  const corpus = readCorpus(target.name).map(({ bytes }) => bytes);
  const report = await runCampaign({
    target,
    corpus,
    seed,
    maxMs: seconds * 1000,
    signal: interrupted.signal,
    playing: (input) => watch.playing(input),
    onProgress: (now) => {
      if (now.finding !== undefined) process.stdout.write(`FOUND ${now.finding.message}\n  shrinking it\n`);
      if (options.quiet || performance.now() - shown < SHOW_MS) return;
      shown = performance.now();
      process.stdout.write(`  ${describe(now)}\n`);
    },
  });
  await watch.close();
  process.stdout.write(`${target.name}: ${describe(report)}\n`);
  if (options.keep)
    for (const input of await distill(target, corpus, report.kept)) addToCorpus(target.name, 'kept', input);
  const { finding } = report;
  if (finding === undefined) continue;
  process.exitCode = 1;
  process.stdout.write(`  ${addToCorpus(target.name, 'crash', finding.input)}\n`);
}
