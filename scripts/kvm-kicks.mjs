// Campaign of kicks: vCPUs that are in the guest on KVM, or about to enter it, leave it at random
// moments. Exit status: 0 if each round took less than a second, otherwise 1, or 2 without KVM.
//
//   node scripts/kvm-kicks.mjs                            1,000 rounds of pause and destroy
//   node scripts/kvm-kicks.mjs --rounds 100 --kind exit   processes that end
//
// UPCALL_DIST selects a build other than dist/.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const IN_PROCESS = ['pause', 'destroy'];
const PROCESSES = ['exit', 'throw', 'terminate'];
const HELP = `kvm-kicks [--rounds N] [--kind KIND]...: vCPUs on KVM leave the guest
  --rounds N    rounds of each kind (default: 1000)
  --kind KIND   pause: paused, reset and started again; destroy: a new VM each round;
                ${PROCESSES.join(', ')}: a process that ends so (default: pause and destroy)
`;
const LIMIT_MS = 1000;
/** The guest runs on for a random time up to this, in microseconds, before it is kicked. */
const LONGEST_RUN_US = 300;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1000' },
    kind: { type: 'string', multiple: true, default: IN_PROCESS },
    help: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const isKnown = options.kind.every((kind) => [...IN_PROCESS, ...PROCESSES].includes(kind));
if (options.help || !(Number.isInteger(rounds) && rounds > 0) || !isKnown) {
  process.stdout.write(HELP);
  process.exit(options.help ? 0 : 2);
}
const dist = process.env['UPCALL_DIST'] ?? fileURLToPath(new URL('../dist', import.meta.url));
/** @param {string} file */
const load = (file) => import(pathToFileURL(join(dist, 'hypervisor/kvm', file)).href);
/** @type {typeof import('../dist/hypervisor/kvm/fixtures/endless-vm.js')} */
const { createEndlessVm } = await load('fixtures/endless-vm.js');
/** @type {typeof import('../dist/hypervisor/kvm/fixtures/needed-kvm.js')} */
const { whyNoKvm } = await load('fixtures/needed-kvm.js');
const reason = await whyNoKvm();
if (reason !== false) {
  process.stderr.write(`KVM cannot be used: ${reason}\n`);
  process.exit(2);
}

/** @typedef {import('../dist/hypervisor/kvm/fixtures/endless-vm.js').EndlessKind} EndlessKind */
/** @type {readonly EndlessKind[]} */
const GUESTS = ['looping', 'sleeping', 'chatting'];
let isFailed = false;

/** @param {() => Promise<unknown>} work */
async function timed(work) {
  const startMs = performance.now();
  const timer = setTimeout(() => {
    // The kick was lost: nothing ends a vCPU without ticks.
    process.stderr.write(`not within ${LIMIT_MS} ms\n`);
    process.kill(process.pid, 'SIGKILL');
  }, 10 * LIMIT_MS);
  await work();
  clearTimeout(timer);
  return performance.now() - startMs;
}

function runOn() {
  const endMs = performance.now() + (Math.random() * LONGEST_RUN_US) / 1000;
  while (performance.now() < endMs);
}

/** Times in ms of `count` pauses of one VM. @param {EndlessKind} guest @param {number} count */
async function pauses(guest, count) {
  const { serviceVm, vm, entered } = await createEndlessVm(guest, { tickMs: 0 });
  const times = [];
  for (let round = 0; round < count; round++) {
    const isEntered = entered();
    await (round === 0 ? vm.start() : vm.reset());
    await isEntered;
    runOn();
    times.push(await timed(() => vm.pause()));
  }
  await serviceVm.close();
  return times;
}

/** @param {EndlessKind} guest */
async function destroyOnce(guest) {
  const { serviceVm, vm, entered } = await createEndlessVm(guest, { tickMs: 0 });
  const isEntered = entered();
  await vm.start();
  await isEntered;
  runOn();
  const ms = await timed(() => vm.destroy());
  await serviceVm.close();
  return ms;
}

/** Starts a process and measures from its line "entered" to its end. @param {string} ending @param {EndlessKind} guest */
function endProcess(ending, guest) {
  const program = join(dist, 'hypervisor/kvm/fixtures/ending-process.js');
  const child = spawn(process.execPath, [program, ending, guest], { stdio: ['ignore', 'pipe', 'ignore'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 10 * LIMIT_MS);
  let enteredMs = Infinity;
  child.stdout.once('data', () => (enteredMs = performance.now()));
  return new Promise((resolve) => {
    child.on('close', (_, signal) => {
      clearTimeout(timer);
      resolve(signal === null ? Math.max(0, performance.now() - enteredMs) : Infinity);
    });
  });
}

/** @param {string} kind @param {EndlessKind} guest @param {number} count */
async function times(kind, guest, count) {
  if (kind === 'pause') return pauses(guest, count);
  const all = [];
  for (let round = 0; round < count; round++)
    all.push(kind === 'destroy' ? await destroyOnce(guest) : await endProcess(kind, guest));
  return all;
}

for (const kind of options.kind)
  for (const guest of kind === 'pause' || kind === 'destroy' ? GUESTS : GUESTS.slice(0, 2)) {
    const sorted = (await times(kind, guest, rounds)).sort((a, b) => a - b);
    /** @param {number} part */
    const at = (part) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN).toFixed(1);
    const late = sorted.filter((ms) => ms >= LIMIT_MS).length;
    if (late > 0) isFailed = true;
    process.stdout.write(
      `${kind.padEnd(9)} ${guest.padEnd(9)} ${sorted.length} rounds: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms, ${late} late\n`,
    );
  }
process.exitCode = isFailed ? 1 : 0;
