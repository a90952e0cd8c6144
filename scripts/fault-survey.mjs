// Boots Debian once with each of several fault plans and prints the outcome: whether and when user
// space was reached, the injected faults, and kernel messages that do not appear without faults.
//
//   npm run fault:survey                         all plans, 60 s for each boot
//   npm run fault:survey -- --limit 120 uart     plans that contain a word, after the plain boot
//   npm run fault:survey -- --markdown           the table for docs/fault-injection.md
//   npm run fault:survey -- --list               the plans
//
// The guest is that of `upcall run debian`, which fetches it once. UPCALL_DIST selects a build
// other than dist/.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** @type {readonly (readonly [name: string, ...rules: string[]])[]} */
const PLANS = [
  ['no faults'],
  ['UART: all ones after 300 reads', 'client=uart16550 read after=300: ones'],
  ['UART: slow', 'client=uart16550: slow=2ms'],
  ['UART: interrupts lost', 'line=4: lose'],
  ['UART: transmitter status flips', 'port=0x3fd read p=0.05: flip=0x60'],
  ['timer: interrupts lost', 'line=0: lose'],
  ['timer: four of five interrupts lost', 'line=0: lose p=0.8'],
  ['timer: chip reads and writes all ones', 'client=pit8254: ones'],
  ['RTC: stale', 'port=0x71 read: stale'],
  ['RTC: all ones', 'port=0x71 read: ones'],
  ['i8042: status all ones', 'port=0x64 read: ones'],
  ['i8042: never answers', 'client=i8042-*: drop'],
  ['PCI: configuration all ones', 'pci read: ones'],
  ['PCI: a bit of each tenth read flips', 'pci read p=0.1: flip'],
  ['PCI: host bridge has another vendor', 'pci=00:00.0 register=0-3 read: value=0x12345678'],
  ['ACPI PM: all ones', 'client=acpi-pm read: ones'],
  ['ACPI PM: crashes', 'client=acpi-pm times=1: crash'],
];
/** Of each plan: a survey is repeated with the same faults. */
const SEED = 1;
const REACHED = /upcall: user space reached \(([\d.]+) s\)/;
/** Lines of a kernel report that matter most, and the lines that delimit it. */
const WORST = /^(?:Kernel panic|kernel BUG|BUG:|Oops|invalid opcode|WARNING:)/;
const SCISSORS = /^-+\[ (?:cut here|end trace|end Kernel)/;
/** Kernel lines shown, and their width. The table for the documentation is narrower. */
const LINES_SHOWN = 2;
const COLUMNS = 110;
const TABLE_COLUMNS = 54;

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    limit: { type: 'string', default: '60' },
    markdown: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const limit = Number(options.limit);
if (options.help || !(limit > 0)) {
  process.stdout.write('fault-survey [--limit SECONDS] [--markdown] [--list] [WORD…]: boots Debian with faults\n');
  process.exit(options.help ? 0 : 2);
}
const main = join(process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url)), 'bundle/upcall.js');
if (!existsSync(main)) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}

/**
 * @typedef {object} Boot
 * @property {number | undefined} seconds from the start of the process until user space ran
 * @property {string} end
 * @property {string[]} messages the kernel's lines without their times
 * @property {string} injected
 */

/** @type {(rules: readonly string[]) => Promise<Boot>} */
function boot(rules) {
  const args = ['run', 'debian', '--cmdline', 'loglevel=5', '--run', 'true', '--timeout', String(limit)];
  for (const rule of rules) args.push('--fault', rule);
  if (rules.length > 0) args.push('--fault-seed', String(SEED));
  const started = performance.now();
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let console = '';
  let errorOutput = '';
  /** @type {number | undefined} */
  let seconds;
  child.stdout.on('data', (/** @type {Buffer} */ bytes) => {
    console += bytes.toString('latin1');
    if (seconds === undefined && REACHED.test(console)) seconds = (performance.now() - started) / 1000;
  });
  child.stderr.on('data', (/** @type {Buffer} */ bytes) => (errorOutput += bytes.toString('utf8')));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      // The table that the command prints at its end: rule, accesses that match it, faults.
      const rows = [...errorOutput.matchAll(/^ {2}\S.*? {2,}(\d+) {2,}(\d+) /gm)];
      resolve({
        seconds,
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

const plans = PLANS.filter(
  (plan, index) =>
    index === 0 ||
    words.length === 0 ||
    words.some((word) => plan.join(' ').toLowerCase().includes(word.toLowerCase())),
);
if (options.list) {
  for (const [name, ...rules] of plans) process.stdout.write(`${name.padEnd(40)} ${rules.join(' ')}\n`);
  process.exit(0);
}

/** @type {Set<string>} */
const usual = new Set();
if (options.markdown)
  process.stdout.write('| rule | user space | injected | kernel messages |\n| --- | --- | --- | --- |\n');
for (const [name, ...rules] of plans) {
  const { seconds, end, messages: lines, injected } = await boot(rules);
  if (rules.length === 0) for (const line of lines) usual.add(shape(line));
  const unusual = [...new Set(lines.filter((line) => !usual.has(shape(line)) && !SCISSORS.test(line)))];
  // The worst first. The sort is stable.
  unusual.sort((a, b) => Number(WORST.test(b)) - Number(WORST.test(a)));
  // Only user space powers the machine off.
  const unseen = end === 'powered off' ? 'ran silently, powered off' : `no, ${end}`;
  const reached = seconds === undefined ? unseen : `${seconds.toFixed(1)} s${end === 'powered off' ? '' : `, ${end}`}`;
  if (options.markdown) {
    const message = cut(unusual[0] ?? '', TABLE_COLUMNS).replaceAll('|', '\\|');
    const rule = rules.length === 0 ? '(none)' : rules.map((text) => `\`${text}\``).join(' ');
    process.stdout.write(`| ${rule} | ${reached} | ${injected} | ${message} |\n`);
    continue;
  }
  process.stdout.write(`${name.padEnd(40)} ${reached.padEnd(28)} ${injected}\n`);
  for (const line of unusual.slice(0, LINES_SHOWN)) process.stdout.write(`    ${cut(line, COLUMNS)}\n`);
  if (unusual.length > LINES_SHOWN) process.stdout.write(`    (${unusual.length - LINES_SHOWN} more lines)\n`);
}

/** @type {(line: string, columns: number) => string} */
function cut(line, columns) {
  return line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
}
