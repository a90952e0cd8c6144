// @ts-check
/**
 * A request that a C program of another process handles, by `upcall hsm`, beside the least cost of
 * a switch between two processes. How long that takes depends on the CPUs of the two: where the
 * scheduler places both, it is 11 to 94 µs from one run to the next. So the target is twice the one
 * between two CPUs, which a request crosses, too. In rows with pinned threads the Service VM is on
 * CPU 0, the vCPU on CPU 1, and the program on either. With ACRN_DM=FILE also Debian under ACRN's
 * own device model, beside `upcall run debian` with the same kernel, RAM disk, parameters and
 * memory.
 */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { compile } from '../compile-c.js';
import { commandFile, product } from '../product.js';

export const title = 'Programs written for ACRN';

const FILE = 'cases/programs.js';
const run = promisify(execFile);

/** @type {import('../rows.js').Row[]} */
export const rows = [
  {
    name: 'C program, notified',
    unit: 'ns',
    process: { file: FILE, args: ['filter'], cores: 2 },
    compare: [
      { to: 'C: futex, two processes on two CPUs', max: 2 },
      { to: 'C: futex, two processes' },
      { to: 'Unix socket' },
      { to: 'two threads, both sleep' },
    ],
    quick: true,
  },
  {
    name: 'C program, notified, on the CPU of the Service VM',
    unit: 'ns',
    process: { file: FILE, args: ['same'], cores: 2 },
    // The vCPU is on the other CPU: each request crosses once there and back.
    compare: [{ to: 'C: futex, two processes on two CPUs' }, { to: 'C: futex, two processes on one CPU' }],
  },
  {
    name: 'C program, notified, on the CPU of the vCPU',
    unit: 'ns',
    process: { file: FILE, args: ['apart'], cores: 2 },
    // Both calls of the program cross, too.
    compare: [{ to: 'C: futex, two processes on two CPUs' }],
  },
  {
    name: 'C program, preloaded shim',
    unit: 'ns',
    process: { file: FILE, args: ['shim'], cores: 2 },
    compare: [{ to: 'C program, notified' }],
  },
  {
    name: 'acrn-dm: Debian',
    unit: 'ms',
    process: { file: FILE, args: ['acrn-dm'] },
    compare: [{ to: 'upcall run debian', max: 2 }],
  },
  { name: 'upcall run debian', unit: 'ms', process: { file: FILE, args: ['run'] } },
  {
    name: 'acrn-dm: Debian, which unpacks its kernel',
    unit: 'ms',
    process: { file: FILE, args: ['acrn-dm-packed'] },
    compare: [{ to: 'acrn-dm: Debian' }],
  },
];

/** As `upcall run debian` has it by default. */
const MEMORY_MIB = 128;
/**
 * Besides the parameters of `upcall run debian`. `lastbus`: acrn-dm announces 256 PCI buses, on
 * which Linux would look for 8,192 devices. It has devices on one.
 */
const ARGUMENTS = 'pci=lastbus=0 hpet=disable upcall.run="true"';
const TIMEOUT_MS = 110_000;

/**
 * Options of `upcall hsm`, and the arguments of the program. CPU 0 is the Service VM's, CPU 1 the
 * vCPU's.
 * @type {Record<string, { options: readonly string[], args: readonly string[] }>}
 */
const WAYS = {
  filter: { options: [], args: [] },
  shim: { options: ['--shim'], args: [] },
  same: { options: ['--pin', '0,1'], args: ['0'] },
  apart: { options: ['--pin', '0,1'], args: ['1'] },
};

/** @param {'filter' | 'shim' | 'same' | 'apart' | 'acrn-dm' | 'acrn-dm-packed' | 'run'} how */
export async function measure(how) {
  if (how === 'acrn-dm' || how === 'acrn-dm-packed' || how === 'run') return bootDebian(how);
  const compiled = await compile('reference/acrn-requests.c');
  if ('unavailable' in compiled) return compiled;
  const { options = [], args = [] } = WAYS[how] ?? {};
  return JSON.parse(await upcall(['hsm', ...options, '--', compiled.program, ...args]));
}

/** @param {'acrn-dm' | 'acrn-dm-packed' | 'run'} how */
async function bootDebian(how) {
  const deviceModel = process.env['ACRN_DM'];
  if (deviceModel === undefined) return { unavailable: 'ACRN_DM names no acrn-dm' };
  const { debianCommandLine } = await product('cli/debian/command-line.js');
  const { fetchDebian } = await product('cli/debian/fetch-debian.js');
  const { initrd, kernel: packed, unpackedKernel } = await fetchDebian({ progress: () => undefined });
  const kernel = how === 'acrn-dm' ? unpackedKernel : packed;
  if (kernel === undefined) return { unavailable: "Debian's kernel is not in the cache unpacked" };
  const startedMs = performance.now();
  if (how === 'run') await upcall(['run', 'debian', '--run', 'true']);
  else
    await upcall([
      ...['hsm', '--memory', `${MEMORY_MIB}`, '--as-service-vm', '--', deviceModel, '--cpu_affinity', '0'],
      ...['-m', `${MEMORY_MIB}M`, '-k', kernel, '-r', initrd, '-B', debianCommandLine(ARGUMENTS)],
      ...['-s', '0:0,hostbridge', '-s', '1:0,lpc', '-l', 'com1,stdio', 'bench'],
    ]);
  return { value: performance.now() - startedMs };
}

/** @param {readonly string[]} args */
async function upcall(args) {
  const running = run(process.execPath, [commandFile, ...args], { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' });
  running.child.stdin?.end();
  return (await running).stdout;
}
