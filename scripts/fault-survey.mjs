// Boots Debian once with each of several fault plans (fault-survey-plans.mjs) and prints the
// outcome: whether and when user space was reached, what became of its work on a disk or a network,
// the injected faults, and kernel messages that do not appear without faults.
//
//   npm run fault:survey                         all plans, 60 s for each boot
//   npm run fault:survey -- --limit 120 uart     plans that contain a word, after the plain boot
//   npm run fault:survey -- --markdown           the tables for docs/fault-injection.md
//   npm run fault:survey -- --list               the plans
//
// The guest is that of `upcall run debian`, which fetches it once. UPCALL_DIST selects a build
// other than dist/.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GROUPS } from './fault-survey-plans.mjs';
import { readOptions } from './script-options.mjs';

/** Of each plan: a survey is repeated with the same faults. */
const SEED = 1;
const DISK_BYTES = 64 * 2 ** 20;
const SERVED_BYTES = 2 * 2 ** 20;
/** What the commands of a group print. */
const OUTCOME = /^survey: (.*?)\r?\n/m;
const REACHED = /upcall: user space reached \(([\d.]+) s\)/;
/** Lines of a kernel report that matter most, and the lines that delimit it. */
const WORST = /^(?:Kernel panic|kernel BUG|BUG:|Oops|invalid opcode|WARNING:)/;
const SCISSORS = /^-+\[ (?:cut here|end trace|end Kernel)/;
/** Kernel lines shown, and their width. The table for the documentation is narrower. */
const LINES_SHOWN = 2;
const COLUMNS = 110;
const TABLE_COLUMNS = 54;

const HELP = `fault-survey [--limit SECONDS] [--markdown] [--list] [WORD…]: boots Debian with faults
  --limit SECONDS  time for each boot (default: 60)
  --markdown       print tables for docs/fault-injection.md
  --list           only list the plans
  WORD             only plans whose name has one of these words
`;
const { values: options, positionals: words } = readOptions(HELP, {
  allowPositionals: true,
  options: {
    limit: { type: 'string', default: '60' },
    markdown: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});
const limit = Number(options.limit);
if (!(limit > 0)) {
  process.stderr.write(HELP);
  process.exit(2);
}
const main = join(process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url)), 'bundle/upcall.js');
if (!existsSync(main)) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}

/**
 * @typedef {object} Boot
 * @property {number | undefined} seconds from the start of the process until user space ran
 * @property {string} outcome what became of the group's work, and after how long
 * @property {string} end
 * @property {string[]} messages the kernel's lines without their times
 * @property {string} injected
 */

const served = Buffer.alloc(SERVED_BYTES, 'what a guest fetches ');
const md5 = createHash('md5').update(served).digest('hex');
const folder = mkdtempSync(join(tmpdir(), 'upcall-survey-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => process.exit(1));
const server = createServer((_, response) => response.end(served));
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
const address = server.address();
const port = typeof address === 'object' && address !== null ? address.port : 0;

/** What a group's VM has. @type {(needs: 'disk' | 'net' | undefined) => string[]} */
function optionsOf(needs) {
  if (needs === 'net') return ['--net', 'passt,loopback'];
  if (needs === undefined) return [];
  const disk = join(folder, 'disk.img');
  writeFileSync(disk, '');
  truncateSync(disk, DISK_BYTES);
  return ['--disk', disk];
}

/** @type {(rules: readonly string[], group: import('./fault-survey-plans.mjs').Group) => Promise<Boot>} */
function boot(rules, { needs, commands }) {
  const run = ['--run', commands(port, md5), '--timeout', String(limit)];
  const args = ['run', 'debian', '--cmdline', 'loglevel=5', ...optionsOf(needs), ...run];
  for (const rule of rules) args.push('--fault', rule);
  if (rules.length > 0) args.push('--fault-seed', String(SEED));
  const started = performance.now();
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let console = '';
  let errorOutput = '';
  /** @type {number | undefined} */
  let seconds;
  let outcome = '';
  child.stdout.on('data', (/** @type {Buffer} */ bytes) => {
    console += bytes.toString('latin1');
    const now = (performance.now() - started) / 1000;
    if (seconds === undefined && REACHED.test(console)) seconds = now;
    if (seconds === undefined || outcome !== '') return;
    const [, found] = OUTCOME.exec(console) ?? [];
    if (found !== undefined) outcome = `${found}, ${(now - seconds).toFixed(1)} s`;
  });
  child.stderr.on('data', (/** @type {Buffer} */ bytes) => (errorOutput += bytes.toString('utf8')));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      // The command was wrong, or something is missing: no plan will boot.
      if (status === 2) reject(new Error(errorOutput.trim()));
      // The table that the command prints at its end: rule, accesses that match it, faults.
      const rows = [...errorOutput.matchAll(/^ {2}\S.*? {2,}(\d+) {2,}(\d+) /gm)];
      resolve({
        seconds,
        outcome: outcome === '' ? 'no outcome' : outcome,
        // 3: the time of --timeout is over.
        end: status === 0 ? 'powered off' : status === 3 ? `stopped at ${limit} s` : `status ${status}`,
        messages: [...console.matchAll(/^\[ *[\d.]+\] (.*)$/gm)].map(([, line = '']) => line.trim()),
        injected: rows.map(([, matches, injected]) => `${injected} of ${matches}`).join(', '),
      });
    });
  });
}

/** Numbers differ from boot to boot. @type {(line: string) => string} */
const shape = (line) => line.replace(/\d+/g, '0');

/** Without words all plans. The first of a group is the one without faults. */
const chosen = GROUPS.map((group) => ({
  group,
  plans: group.plans.filter(
    (plan, index) =>
      words.length === 0 ||
      words.some((word) => plan.join(' ').toLowerCase().includes(word.toLowerCase())) ||
      (index === 0 && group.plans.some((other) => words.some((word) => other.join(' ').toLowerCase().includes(word)))),
  ),
})).filter(({ plans }) => plans.length > 0);
if (options.list) {
  for (const { plans } of chosen)
    for (const [name, ...rules] of plans) process.stdout.write(`${name.padEnd(44)} ${rules.join(' ')}\n`);
  process.exit(0);
}

for (const { group, plans } of chosen) {
  /** @type {Set<string>} */
  const usual = new Set();
  const hasOutcome = group.needs !== undefined;
  if (options.markdown)
    process.stdout.write(
      `\n| rule | ${hasOutcome ? 'work' : 'user space'} | injected | kernel messages |\n| --- | --- | --- | --- |\n`,
    );
  for (const [name, ...rules] of plans) {
    const { seconds, outcome, end, messages: lines, injected } = await boot(rules, group);
    if (rules.length === 0) for (const line of lines) usual.add(shape(line));
    const unusual = [...new Set(lines.filter((line) => !usual.has(shape(line)) && !SCISSORS.test(line)))];
    // The worst first. The sort is stable.
    unusual.sort((a, b) => Number(WORST.test(b)) - Number(WORST.test(a)));
    // Only user space powers the machine off.
    const isOff = end === 'powered off';
    const unseen = isOff ? 'ran silently, powered off' : `no, ${end}`;
    const reached =
      seconds === undefined ? unseen : `${hasOutcome ? outcome : `${seconds.toFixed(1)} s`}${isOff ? '' : `, ${end}`}`;
    if (options.markdown) {
      const message = cut(unusual[0] ?? '', TABLE_COLUMNS).replaceAll('|', '\\|');
      const rule = rules.length === 0 ? '(none)' : rules.map((text) => `\`${text}\``).join(' ');
      process.stdout.write(`| ${rule} | ${reached} | ${injected} | ${message} |\n`);
      continue;
    }
    process.stdout.write(`${name.padEnd(44)} ${reached.padEnd(28)} ${injected}\n`);
    for (const line of unusual.slice(0, LINES_SHOWN)) process.stdout.write(`    ${cut(line, COLUMNS)}\n`);
    if (unusual.length > LINES_SHOWN) process.stdout.write(`    (${unusual.length - LINES_SHOWN} more lines)\n`);
  }
}
server.close();

/** @type {(line: string, columns: number) => string} */
function cut(line, columns) {
  return line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
}
