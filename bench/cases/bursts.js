// @ts-check
/**
 * Bursts of requests after pauses, from the very first request of a process: what a user meets who
 * types a command, waits, and types the next one. Each measurement pools the bursts of several
 * fresh processes.
 *
 * - scripted: a guest that halts for the pause, then reads a port (burst-program.js).
 * - v86: the monitor, to which a line is typed after the pause. It measures its burst itself.
 * - c: the same bursts between two threads of a program in C (reference/bursts.c). There is nothing
 *   to compile or to look up, so its multiples of the best burst are those of the machine.
 */

import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { compile } from '../compile-c.js';
import { createMachine, percentile } from '../machine.js';
import { product } from '../product.js';

export const title = 'Bursts after pauses';

const FILE = 'cases/bursts.js';
const CASE = fileURLToPath(new URL('../case.js', import.meta.url));
const PROCESSES = 10;
/** For the regression test. */
const FEW_PROCESSES = 3;
const ACCESSES = 2000;
/** A burst within this many times the best one is a good one. */
const GOOD = 2;
/** Parts as in burst-program.js, for the monitor too. */
const PLAN = [
  { pauseMs: 1, bursts: 30 },
  { pauseMs: 20, bursts: 20 },
  { pauseMs: 1000, bursts: 2 },
];
const MEMORY_MIB = 16;
/** Bursts of a process that may be slow: the code is compiled in them. */
const FIRST_BURSTS = 2;
const BUSY = 'for (;;);';

/** What shares the CPUs with the process: `busy` is the number of processes that compute. */
const HOSTS = /** @type {const} */ ({
  free: { text: 'threads free', busy: 0 },
  confined: { text: 'one core', busy: 0 },
  busy1: { text: 'one busy beside', busy: 1 },
  busy3: { text: 'three busy beside', busy: 3 },
});
/** @typedef {keyof typeof HOSTS} HostKind */
/** @typedef {'scripted' | 'v86' | 'c'} GuestKind */
/**
 * @typedef {'auto' | 'none' | 'park'} How `auto`: as the product does it, with threads pinned to
 *   CPUs; `none`: without pinning; `park`: also without spinning
 */

/**
 * @param {GuestKind} guest
 * @param {HostKind} host
 * @param {How} how
 */
const processOf = (guest, host, how) => ({ file: FILE, args: ['pool', guest, host, how], cores: 2 });

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'bursts, three processes: p90',
    unit: 'x best',
    process: { file: FILE, args: ['few', 'scripted', 'free', 'auto'], cores: 2 },
    value: 'p90',
  },
  ...freeRows('scripted'),
  .../** @type {const} */ (['confined', 'busy1', 'busy3']).flatMap((host) => sharedRows(host)),
  ...freeRows('v86'),
  ...referenceRows(),
];

/** @param {GuestKind} guest @returns {import('../rows.js').Row[]} */
function freeRows(guest) {
  const process = processOf(guest, 'free', 'auto');
  const row = (/** @type {string} */ name, /** @type {string} */ value, /** @type {number | undefined} */ max) => ({
    name: `bursts, ${guest}: ${name}`,
    unit: 'x best',
    process,
    value,
    ...(max === undefined ? {} : { max }),
    compare: [{ to: `bursts, C: ${name}` }],
  });
  return [
    { name: `bursts, ${guest}: best`, unit: 'us', process, value: 'best' },
    row('the first', 'first', 10),
    row('median', 'median', GOOD),
    row('p90', 'p90', GOOD),
    row('p95', 'p95', GOOD),
    row('worst', 'worst', undefined),
    row('after 1 s, median', 'after1000', 3),
    { name: `bursts, ${guest}: time to the first good one`, unit: 'ms', process, value: 'toGood' },
    {
      name: `bursts, ${guest}: p95, scheduler alone`,
      unit: 'x best',
      process: processOf(guest, 'free', 'none'),
      value: 'p95',
    },
  ];
}

/** @returns {import('../rows.js').Row[]} */
function referenceRows() {
  const process = processOf('c', 'free', 'auto');
  const row = (/** @type {string} */ name, /** @type {string} */ value, unit = 'x best') => ({
    name: `bursts, C: ${name}`,
    unit,
    process,
    value,
  });
  return [
    row('best', 'best', 'us'),
    row('the first', 'first'),
    row('median', 'median'),
    row('p90', 'p90'),
    row('p95', 'p95'),
    row('worst', 'worst'),
    row('after 1 s, median', 'after1000'),
  ];
}

/** @param {HostKind} host @returns {import('../rows.js').Row[]} */
function sharedRows(host) {
  const { text } = HOSTS[host];
  return [
    {
      name: `bursts, ${text}`,
      unit: 'us',
      process: processOf('scripted', host, 'auto'),
      value: 'mean',
      compare: [{ to: `bursts, ${text}, parking at once`, max: 1.1 }],
    },
    {
      name: `bursts, ${text}, parking at once`,
      unit: 'us',
      process: processOf('scripted', host, 'park'),
      value: 'mean',
    },
  ];
}

/**
 * @param {'pool' | 'few' | 'one'} what several processes together, or one of them
 * @param {GuestKind} guest
 * @param {HostKind} host
 * @param {How} how
 */
export async function measure(what, guest, host, how) {
  if (what === 'one') return { bursts: await (guest === 'v86' ? burstsOfMonitor(how) : burstsOfProgram(how)) };
  const busy = Array.from({ length: HOSTS[host].busy }, () =>
    spawn(process.execPath, ['-e', BUSY], { stdio: 'ignore' }),
  );
  /** @type {number[][][]} */
  const processes = [];
  const reference = guest === 'c' ? await compile('reference/bursts.c') : undefined;
  if (reference !== undefined && 'unavailable' in reference) return reference;
  try {
    const count = what === 'few' ? FEW_PROCESSES : PROCESSES;
    for (let n = 0; n < count; n++) processes.push(await oneProcess(guest, host, how, reference?.program));
  } finally {
    for (const child of busy) child.kill('SIGKILL');
  }
  return summary(processes);
}

/**
 * @param {GuestKind} guest @param {HostKind} host @param {How} how
 * @param {string | undefined} reference the program in C
 * @returns {Promise<number[][]>} ms, by the plan's pauses
 */
async function oneProcess(guest, host, how, reference) {
  const plan = [ACCESSES, ...PLAN.flatMap(({ pauseMs, bursts }) => [pauseMs, bursts])].map(String);
  const command =
    reference === undefined ? [process.execPath, CASE, FILE, 'one', guest, host, how] : [reference, ...plan];
  const [program, ...args] = host === 'confined' ? ['taskset', '-c', '0', ...command] : command;
  const { stdout } = await promisify(execFile)(/** @type {string} */ (program), args);
  return JSON.parse(stdout.trim().split('\n').pop() ?? '').bursts;
}

/** @param {readonly (readonly number[][])[]} processes */
function summary(processes) {
  const us = (/** @type {number} */ ms) => (ms * 1000) / ACCESSES;
  const inOrder = processes.map((parts) => parts.flat().map(us));
  const all = inOrder.flat();
  const best = Math.min(...all);
  const later = Float64Array.from(inOrder.flatMap((bursts) => bursts.slice(FIRST_BURSTS))).sort();
  const first = Float64Array.from(inOrder.map(([burst]) => burst ?? NaN)).sort();
  const pauses = PLAN.map(({ pauseMs }) => pauseMs);
  const afterSecond = processes.flatMap((parts) => parts[pauses.indexOf(1000)] ?? []);
  const after1000 = Float64Array.from(afterSecond.map(us)).sort();
  const toGood = Float64Array.from(
    inOrder.map((bursts) => {
      const good = bursts.findIndex((burst) => burst <= GOOD * best);
      return bursts.slice(0, good + 1).reduce((sum, burst) => sum + (burst * ACCESSES) / 1000, 0);
    }),
  ).sort();
  return {
    best,
    first: percentile(first, 0.5) / best,
    median: percentile(later, 0.5) / best,
    p90: percentile(later, 0.9) / best,
    p95: percentile(later, 0.95) / best,
    worst: percentile(later, 1) / best,
    after1000: percentile(after1000, 0.5) / best,
    toGood: percentile(toGood, 0.5),
    mean: later.reduce((sum, burst) => sum + burst, 0) / later.length,
  };
}

/** @param {How} how */
async function burstsOfProgram(how) {
  const sleepsAtOnce = how === 'park';
  const machine = await createMachine({
    vcpus: 1,
    loop: { plan: PLAN, accesses: ACCESSES, sleepsAtOnce },
    ...(sleepsAtOnce ? { spinUs: 0 } : {}),
    pin: how === 'auto' ? 'auto' : 'none',
  });
  const [times] = await machine.run();
  return times;
}

/** @param {How} how */
async function burstsOfMonitor(how) {
  const { guestImage, ServiceVm, standardPc, V86Hypervisor } = await product('index.js');
  const image = await readFile(guestImage('monitor'));
  const serviceVm = new ServiceVm(new V86Hypervisor(), how === 'park' ? { spinUs: 0 } : { pin: how });
  const vm = await serviceVm.createUserVm({ image: { image }, memoryMiB: MEMORY_MIB });
  let text = '';
  let onText = () => {};
  const { uart } = standardPc(vm, {
    console: {
      write: (/** @type {Uint8Array} */ bytes) => {
        text += Buffer.from(bytes).toString('latin1');
        onText();
      },
    },
  });
  /** @param {RegExp} pattern @returns {Promise<RegExpExecArray>} */
  const seen = (pattern) =>
    new Promise((resolve) => {
      onText = () => {
        const found = pattern.exec(text);
        if (found !== null) resolve(found);
      };
      onText();
    });
  await vm.start();
  await seen(/monitor> $/);
  /** @type {number[][]} */
  const times = PLAN.map(() => []);
  for (const [part, { pauseMs, bursts }] of PLAN.entries())
    for (let n = 0; n < bursts; n++) {
      if (part > 0 || n > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      text = '';
      uart.receive(Buffer.from(`time in8 3ff ${ACCESSES}.\r`));
      const [, ns] = await seen(/(\d+) ns each[^>]*monitor> $/);
      times[part]?.push((Number(ns) * ACCESSES) / 1e6);
    }
  await vm.destroy();
  await serviceVm.close();
  return times;
}
