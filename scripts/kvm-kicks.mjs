// Campaign of kicks: vCPUs that are in the guest on KVM, or about to enter it, leave it at random
// moments. Exit status: 0 if each round ended as it should within a second, otherwise 1, or 2
// without KVM.
//
//   npm run kvm:kicks                                  1,000 rounds of each kind
//   npm run kvm:kicks -- --rounds 100 --kind exit      processes that end
//   npm run kvm:kicks -- --kind exit --seed 7          repeats a run
//
// UPCALL_DIST selects a build other than dist/.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readOptions } from './script-options.mjs';

/** The exit status of a process of each kind. That of a program that is interrupted is its own. */
const PROCESSES = { exit: 7, throw: 1, terminate: 0, interrupt: 0 };
const KINDS = ['pause', 'reset', 'destroy', ...Object.keys(PROCESSES)];
const HELP = `kvm-kicks [--rounds N] [--kind KIND]... [--seed N]: vCPUs on KVM leave the guest
  --rounds N    rounds of each kind (default: 1000)
  --kind KIND   pause: paused, then reset; reset: reset while it runs; destroy: a new VM each round;
                exit, throw, terminate: a process that ends so, or a thread that is terminated;
                interrupt: Ctrl-C of upcall run (default: all)
  --seed N      seed of the moments and guests (default: a new one, which is printed)
  --quiet       no progress
`;
const LIMIT_MS = 1000;
/** A round that takes as long has lost its kick: nothing ends a vCPU without ticks. */
const LOST_MS = 30 * LIMIT_MS;
/** What a process may take until its guest runs, where there is hardly a core for it. */
const START_MS = 300_000;
/** The guest runs on for a random time up to this, in microseconds, before it is kicked. */
const LONGEST_RUN_US = 300;
/** Of a process: its other vCPU, which waits for a start-up message, may still be starting. */
const LONGEST_PROCESS_US = 20_000;
const PROGRESS_MS = 10_000;

const { values: options } = readOptions(HELP, {
  options: {
    rounds: { type: 'string', default: '1000' },
    kind: { type: 'string', multiple: true, default: KINDS },
    seed: { type: 'string' },
    quiet: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(options.seed);
const isRight = Number.isInteger(rounds) && rounds > 0 && Number.isInteger(seed);
if (!isRight || !options.kind.every((kind) => KINDS.includes(kind))) {
  process.stderr.write(HELP);
  process.exit(2);
}
const dist = process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url));
/** @param {string} file */
const load = (file) => import(pathToFileURL(join(dist, file)).href);
/** @type {typeof import('../dist/hypervisor/kvm/fixtures/endless-vm.js')} */
const { createEndlessVm, ENDLESS, runOn } = await load('hypervisor/kvm/fixtures/endless-vm.js');
/** @type {typeof import('../dist/hypervisor/kvm/fixtures/needed-kvm.js')} */
const { whyNoKvm, SLOWNESS } = await load('hypervisor/kvm/fixtures/needed-kvm.js');
/** @type {typeof import('../dist/io-request/fixtures/random.js')} */
const { random } = await load('io-request/fixtures/random.js');
const reason = await whyNoKvm();
if (reason !== false) {
  process.stderr.write(`KVM cannot be used: ${reason}\n`);
  process.exit(2);
}

/** @typedef {import('../dist/hypervisor/kvm/fixtures/endless-vm.js').EndlessKind} EndlessKind */
/** @typedef {import('../dist/hypervisor/kvm/fixtures/endless-vm.js').EndlessVm} EndlessVm */
/** @typedef {{ readonly guest: EndlessKind; readonly runOnUs: number }} Round */
/** @type {readonly EndlessKind[]} */
const GUESTS = ['looping', 'sleeping', 'chatting'];
const folder = mkdtempSync(join(tmpdir(), 'upcall-kicks-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
let isFailed = false;

/** @param {() => Promise<unknown>} work */
async function timed(work) {
  const startMs = performance.now();
  const timer = setTimeout(() => {
    process.stderr.write(`not within ${LOST_MS} ms: the kick was lost (seed ${seed})\n`);
    process.kill(process.pid, 'SIGKILL');
  }, LOST_MS * SLOWNESS);
  await work();
  clearTimeout(timer);
  return performance.now() - startMs;
}

/** @param {EndlessVm} endless */
async function entered({ vm, entered }) {
  const isEntered = entered();
  await vm.start();
  await isEntered;
}

/**
 * Plays rounds of `pause` and `reset`: with one VM for each kind of guest, which goes on.
 * @param {string} kind
 */
function vmRounds(kind) {
  /** @type {Map<EndlessKind, EndlessVm>} */
  const vms = new Map();
  return {
    /** @param {Round} round */
    play: async ({ guest, runOnUs }) => {
      const known = vms.get(guest);
      const one = known ?? (await createEndlessVm(guest, { tickMs: 0 }));
      vms.set(guest, one);
      if (known === undefined) await entered(one);
      runOn(runOnUs);
      const isEntered = one.entered();
      const ms = await timed(() => (kind === 'pause' ? one.vm.pause() : one.vm.reset()));
      if (kind === 'pause') await one.vm.reset();
      await isEntered;
      return ms;
    },
    close: async () => {
      for (const { serviceVm } of vms.values()) await timed(() => serviceVm.close());
    },
  };
}

/** @param {Round} round */
async function destroyOnce({ guest, runOnUs }) {
  const one = await createEndlessVm(guest, { tickMs: 0 });
  await entered(one);
  runOn(runOnUs);
  const ms = await timed(() => one.vm.destroy());
  await one.serviceVm.close();
  return ms;
}

/**
 * Starts a process and measures from the first thing it prints to its end.
 * @param {keyof typeof PROCESSES} kind
 * @param {Round} round
 */
function endProcess(kind, { guest, runOnUs }) {
  const program = join(dist, 'hypervisor/kvm/fixtures/ending-process.js');
  const args = kind === 'interrupt' ? runArguments(guest) : [program, kind, guest, String(runOnUs)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let timer = setTimeout(() => child.kill('SIGKILL'), START_MS * SLOWNESS);
  let enteredMs = Infinity;
  let errors = '';
  child.stderr.on('data', (text) => (errors += text));
  child.stdout.once('data', () => {
    enteredMs = performance.now();
    clearTimeout(timer);
    timer = setTimeout(() => child.kill('SIGKILL'), LOST_MS * SLOWNESS);
    if (kind !== 'interrupt') return;
    runOn(runOnUs);
    child.kill('SIGINT');
  });
  return new Promise((resolve) => {
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const isExpected = signal === null && (kind === 'interrupt' || status === PROCESSES[kind]);
      if (!isExpected) process.stderr.write(`\n${kind} ${guest} ended with ${signal ?? status}:\n${errors}\n`);
      resolve(isExpected ? Math.max(0, performance.now() - enteredMs) : Infinity);
    });
  });
}

/** mov al, '.'; mov dx, 0x3f8; out dx, al; then the guest. @param {EndlessKind} guest */
function runArguments(guest) {
  const image = join(folder, `${guest}.bin`);
  writeFileSync(image, Uint8Array.from([0xb0, 0x2e, 0xba, 0xf8, 0x03, 0xee, ...ENDLESS[guest]]));
  return [join(dist, 'bundle/upcall.js'), 'run', '--hypervisor', 'kvm', '--vcpus', '2', image];
}

/** @param {string} kind @param {number} count */
async function play(kind, count) {
  const next = random(seed);
  const isProcess = kind in PROCESSES;
  // The end of a process does not wait for a request, which `chatting` is for.
  const guests = isProcess ? GUESTS.slice(0, 2) : GUESTS;
  const vms = vmRounds(kind);
  const times = [];
  let shownMs = performance.now();
  for (let round = 0; round < count; round++) {
    const guest = /** @type {EndlessKind} */ (guests[Math.floor(next() * guests.length)]);
    const runOnUs = Math.floor(next() * (isProcess ? LONGEST_PROCESS_US : LONGEST_RUN_US));
    const one = { guest, runOnUs };
    if (isProcess) times.push(await endProcess(/** @type {keyof typeof PROCESSES} */ (kind), one));
    else times.push(await (kind === 'destroy' ? destroyOnce(one) : vms.play(one)));
    if (options.quiet || performance.now() - shownMs < PROGRESS_MS) continue;
    shownMs = performance.now();
    process.stderr.write(`${kind}: ${round + 1} of ${count}\n`);
  }
  await vms.close();
  return times;
}

process.stdout.write(`${rounds} rounds of ${options.kind.join(', ')}, seed ${seed}\n`);
for (const kind of options.kind) {
  const sorted = (await play(kind, rounds)).sort((a, b) => a - b);
  /** @param {number} part */
  const at = (part) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN).toFixed(1);
  const lost = sorted.filter((ms) => ms === Infinity).length;
  const late = sorted.filter((ms) => ms >= LIMIT_MS * SLOWNESS && ms !== Infinity).length;
  if (lost + late > 0) isFailed = true;
  process.stdout.write(
    `${kind.padEnd(9)} ${sorted.length} rounds: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms, ${late} late, ${lost} ended wrongly\n`,
  );
}
process.exitCode = isFailed ? 1 : 0;
