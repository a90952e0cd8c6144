// @ts-check
/**
 * npm run bench:check [-- --write]: the regression test of the request path.
 *
 * It measures the rows of bench/baseline.json and compares ratios, which differ little between
 * machines. A ratio fails only if three tries in a row exceed its tolerance. Each try takes the
 * fastest batch of a few rounds, because other programs can only slow a batch down. Exit status: 0
 * if all ratios hold, otherwise 1. `--write` stores the measured ratios as the new baseline and
 * keeps the tolerances.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { fileURLToPath } from 'node:url';
import { keyOf } from '../bench/process.js';
import { runRounds } from '../bench/rounds.js';
import { allGroups } from '../bench/rows.js';

const TRIES = 3;
/** Of each try. */
const ROUNDS = 2;
/** Longest wait of all starts of a try for a quiet machine: a check has to end soon. */
const QUIET_BUDGET_MS = 500;
const FILE = fileURLToPath(new URL('../bench/baseline.json', import.meta.url));

/**
 * `ratio` is the time of `row` divided by that of `to`. It holds up to `ratio` times `tolerance`.
 * Without `to` the row's value itself must not exceed `max`.
 * @typedef {{ row: string, to?: string, ratio?: number, tolerance?: number, max?: number }} Expected
 */
const write = process.argv.includes('--write');
/** @type {{ ratios: Expected[] }} */
const baseline = JSON.parse(readFileSync(FILE, 'utf8'));
const byName = new Map((await allGroups()).flatMap(({ rows }) => rows.map((row) => [row.name, row])));

let open = baseline.ratios;
for (let attempt = 1; attempt <= TRIES && open.length > 0; attempt++) {
  console.log(`try ${attempt} of ${TRIES}`);
  const rows = [...new Set(open.flatMap(({ row, to }) => (to === undefined ? [row] : [row, to])))].map(find);
  const results = await runRounds({ rows, rounds: ROUNDS, quietBudgetMs: QUIET_BUDGET_MS });
  open = open.filter((expected) => !holds(expected, results));
  if (write) break;
}
if (write) {
  const config = await resolveConfig(FILE);
  writeFileSync(FILE, await format(JSON.stringify(baseline), { ...config, parser: 'json' }));
  console.log(`written: ${FILE}`);
} else if (open.length > 0) {
  console.error(`slower than the baseline, ${TRIES} times in a row: ${open.map(({ row }) => row).join('; ')}`);
  console.error('If this is intended, write a new baseline on a quiet machine: npm run bench:check -- --write');
  process.exit(1);
}
process.exit(0);

/** @param {string} name */
function find(name) {
  const row = byName.get(name);
  if (row === undefined) throw new Error(`bench/baseline.json names an unknown row: ${name}`);
  return row;
}

/**
 * Prints the measured ratio. Returns whether it holds or cannot be measured here.
 * @param {Expected} expected
 * @param {import('../bench/rounds.js').Results} results
 */
function holds(expected, results) {
  const { row, to, tolerance = 1 } = expected;
  const value = quickest(row, results);
  const other = to === undefined ? 1 : quickest(to, results);
  if (typeof value === 'string' || typeof other === 'string') {
    const reason = [value, other].find((one) => typeof one === 'string');
    const isFailure = [row, to].some(
      (name) => name !== undefined && results.missing.get(keyOf(find(name).process))?.isFailure,
    );
    console.log(`  ${isFailure ? 'FAILED' : 'not compared'}: ${row}: ${reason}`);
    return !isFailure;
  }
  const seen = value / other;
  if (write && expected.ratio !== undefined) expected.ratio = Number(seen.toPrecision(3));
  const limit = to === undefined ? (expected.max ?? Infinity) : (expected.ratio ?? Infinity) * tolerance;
  const isHeld = seen <= limit;
  const what = to === undefined ? row : `${row} / ${to}`;
  console.log(`  ${isHeld ? 'holds ' : 'BEYOND'} ${seen.toFixed(2)}, at most ${limit.toFixed(2)}: ${what}`);
  return isHeld;
}

/**
 * The smallest number of the rounds, or the reason why it is missing.
 * @param {string} name
 * @param {import('../bench/rounds.js').Results} results
 */
function quickest(name, results) {
  const { process: one, value = 'value' } = find(name);
  const values = (results.values.get(keyOf(one)) ?? []).flatMap(
    (numbers) => (value === 'value' ? numbers?.quickest : undefined) ?? numbers?.[value] ?? [],
  );
  return values.length > 0 ? Math.min(...values) : (results.missing.get(keyOf(one))?.reason ?? 'not measured');
}
