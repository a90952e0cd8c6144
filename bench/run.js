// @ts-check
/**
 * npm run bench [-- --quick] [--rounds N] [--only WORD] [--json FILE]
 *
 * Interleaved rounds: each round runs every case once, each in a process of its own, after waiting for a quiet machine.
 * Figures are medians with their spread; a ratio compares two cases of the same run, round by round, because machines
 * differ and drift. Targets are printed beside; nothing fails here.
 */

import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import Table from 'cli-table3';

const CASE_TIMEOUT_MS = 120_000;
const QUIET_BUSY_SHARE = 0.15;
const QUIET_WAIT_MS = 15_000;
const SAMPLE_MS = 200;

/** What is measured, and against what: [case, unit, reference, target for the ratio, target for the value]. */
const ROWS = [
  { name: 'guest in, page', unit: 'ns', reference: 'guest in, direct' },
  { name: 'guest in, direct', unit: 'ns' },
  { name: 'guest MMIO read, page', unit: 'ns', reference: 'guest MMIO read, direct' },
  { name: 'guest MMIO read, direct', unit: 'ns' },
  { name: 'Debian boot, page', unit: 'ms', reference: 'Debian boot, direct', maxRatio: 1.15, max: 8000 },
  { name: 'Debian boot, direct', unit: 'ms' },
  { name: 'first request', unit: 'ms', reference: 'empty process' },
  { name: 'empty process', unit: 'ms' },
];

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 2 : 7));
const rows = ROWS.filter(
  (row) =>
    options.only === undefined ||
    row.name.includes(options.only) ||
    ROWS.some((other) => other.reference === row.name && other.name.includes(options.only ?? '')),
);

/** Busy share of all processors over a moment; undefined where the system does not say. */
async function busyShare() {
  const read = () => {
    const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
    const idle = (fields[3] ?? 0) + (fields[4] ?? 0);
    return { idle, total: fields.reduce((sum, value) => sum + value, 0) };
  };
  try {
    const before = read();
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    const after = read();
    return 1 - (after.idle - before.idle) / Math.max(1, after.total - before.total);
  } catch {
    return undefined;
  }
}

/** True when the machine is quiet, or does not say; false when it did not become quiet in time. */
async function waitForQuiet() {
  const end = performance.now() + QUIET_WAIT_MS;
  for (;;) {
    const share = await busyShare();
    if (share === undefined || share < QUIET_BUSY_SHARE) return true;
    if (performance.now() > end) return false;
  }
}

/** @param {number[]} values */
const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
};

/** @type {Map<string, (number | undefined)[]>} */
const results = new Map(rows.map((row) => [row.name, []]));
/** @type {Map<string, string>} */
const failures = new Map();
let noisy = 0;
const run = promisify(execFile);
for (let round = 0; round < rounds; round++) {
  for (const { name } of rows) {
    if (failures.has(name)) continue;
    if (!(await waitForQuiet())) noisy++;
    if (process.stderr.isTTY) process.stderr.write(`\rround ${round + 1} of ${rounds}: ${name.padEnd(30)}`);
    try {
      const { stdout } = await run(process.execPath, [fileURLToPath(new URL('./case.js', import.meta.url)), name], {
        timeout: CASE_TIMEOUT_MS,
      });
      results.get(name)?.push(JSON.parse(stdout.trim().split('\n').pop() ?? '').value);
    } catch (error) {
      failures.set(
        name,
        String(/** @type {any} */ (error).stderr || error)
          .trim()
          .split('\n')
          .slice(-1)[0] ?? '',
      );
    }
  }
}
if (process.stderr.isTTY) process.stderr.write('\r'.padEnd(60) + '\r');

const report = rows.map((row) => {
  const values = /** @type {number[]} */ (results.get(row.name) ?? []);
  const references = row.reference === undefined ? undefined : results.get(row.reference);
  const ratios = values
    .map((value, index) => value / (references?.[index] ?? NaN))
    .filter((ratio) => !Number.isNaN(ratio));
  return {
    ...row,
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    target: row.max,
    ratio: ratios.length === 0 ? undefined : median(ratios),
    failure: failures.get(row.name),
    values,
  };
});
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
  rounds,
  noisyStarts: noisy,
};
const table = new Table({
  head: ['case', 'median', 'min', 'max', 'unit', 'ratio', 'to', 'target'],
  colAligns: ['left', 'right', 'right', 'right', 'left', 'right', 'left', 'left'],
  style: { head: [], border: [] },
});
for (const row of report) {
  const number = (/** @type {number | undefined} */ value) =>
    value === undefined || !Number.isFinite(value) ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(1);
  const targets = [
    row.maxRatio === undefined ? '' : `ratio ≤ ${row.maxRatio}`,
    row.target === undefined ? '' : `≤ ${row.target} ${row.unit}`,
  ];
  table.push([
    row.name,
    row.failure === undefined ? number(row.median) : 'failed',
    number(row.min),
    number(row.max),
    row.unit,
    row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.reference ?? '',
    targets.filter(Boolean).join(', '),
  ]);
}
console.log(table.toString());
for (const [name, failure] of failures) console.log(`${name} failed: ${failure}`);
console.log(
  `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; ${rounds} rounds, ${noisy} starts on a busy machine`,
);
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ machine, report }, null, 2)}\n`);
if (failures.size > 0) process.exitCode = 1;
