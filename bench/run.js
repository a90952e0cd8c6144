// @ts-check
/**
 * npm run bench: measures the request path against references on the same machine in the same run.
 * Prints medians, spread and ratios with their targets. `-- --help` lists the options. A missed
 * target is not an error: the regression test is `npm run bench:check`.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runRounds } from './rounds.js';
import { allGroups, select } from './rows.js';
import { summarise } from './summary.js';
import { table } from './table.js';

const ROUNDS = 7;
const QUICK_ROUNDS = 2;
/** Longest wait of all starts together for a quiet machine, in ms. */
const QUIET_BUDGET_MS = 300_000;
const QUICK_QUIET_BUDGET_MS = 5000;
const JSON_FILE = fileURLToPath(new URL('../.cache/bench/last.json', import.meta.url));

const HELP = `Usage: npm run bench -- [options]

Each round runs every case once, each in a process of its own, after waiting for a quiet machine. A ratio is the median
of the rounds' ratios. Ctrl-C ends it and prints what it has.

  --quick        the most informative rows, ${QUICK_ROUNDS} rounds, in less than a minute
  --only WORD    rows whose name or group contains WORD, and what they are compared with; may be given more than once
  --rounds N     default ${ROUNDS}
  --json FILE    where to keep every figure (default .cache/bench/last.json)
  --list         names the rows and measures nothing
  --help         this text

UPCALL_DIST names another folder than dist/ to measure; CC another C compiler.

Examples:
  npm run bench -- --quick
  npm run bench -- --only "16 ranges" --rounds 15
  npm run bench -- --only "two threads" --only futex --json before.json
`;

const options = parseOptions();
const groups = select(
  await allGroups(),
  (row, { title }) =>
    options.only.length === 0
      ? !options.quick || row.quick === true
      : options.only.some((word) => row.name.includes(word) || title.includes(word)),
  options.quick,
);
const rows = groups.flatMap((group) => group.rows);
if (rows.length === 0) fail(`no row contains ${options.only.join(' or ')}; --list prints all rows`);
if (options.list) {
  for (const group of groups) console.log(`${group.title}\n${group.rows.map((row) => `  ${row.name}`).join('\n')}`);
  process.exit(0);
}

const interrupt = new AbortController();
process.once('SIGINT', () => interrupt.abort());
const results = await runRounds({
  rows,
  rounds: options.rounds,
  quietBudgetMs: options.quick ? QUICK_QUIET_BUDGET_MS : QUIET_BUDGET_MS,
  onProgress: printProgress,
  signal: interrupt.signal,
});
if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
const summaries = new Map(summarise(rows, results).map((row) => [row.name, row]));
const report = [...summaries.values()];
for (const group of groups)
  console.log(
    table(
      group.title,
      group.rows.flatMap(({ name }) => summaries.get(name) ?? []),
    ),
  );
const failures = [...results.missing].filter(([, { isFailure }]) => isFailure);
for (const [key, { reason }] of failures) console.log(`failed: ${key}: ${reason}`);
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
  platform: `${process.platform} ${process.arch}`,
};
console.log(
  `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ` +
    `${results.rounds} of ${options.rounds} rounds, ${results.noisyStarts} starts on a busy machine`,
);
mkdirSync(dirname(options.json), { recursive: true });
const { rounds, noisyStarts } = results;
writeFileSync(options.json, `${JSON.stringify({ machine, rounds, noisyStarts, rows: report }, null, 2)}\n`);
console.log(`all numbers: ${options.json}`);
process.exit(interrupt.signal.aborted ? 130 : failures.length > 0 ? 1 : 0);

function parseOptions() {
  try {
    const { values } = parseArgs({
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string' },
        json: { type: 'string', default: JSON_FILE },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const count = Number(values.rounds ?? (values.quick ? QUICK_ROUNDS : ROUNDS));
    if (!Number.isInteger(count) || count < 1) fail(`--rounds ${values.rounds}: expected a whole number of at least 1`);
    return { ...values, rounds: count };
  } catch (error) {
    return fail(/** @type {Error} */ (error).message);
  }
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`${message}\n\n${HELP}`);
  process.exit(2);
}

/** @param {{ round: number, at: number, of: number, key: string }} progress */
function printProgress({ round, at, of, key }) {
  const where = `round ${round} of ${options.rounds}, ${at} of ${of}`;
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${where}: ${key}`);
  else if (at === 1) process.stderr.write(`round ${round} of ${options.rounds}: ${of} processes\n`);
}
