// @ts-check
/**
 * Allocations of the request path: bytes per request and garbage collections, in one thread and on
 * both sides of the page.
 */

import { countAllocation } from '../allocation-counter.js';
import { createMachine } from '../machine.js';
import { BATCH, createPath } from '../one-thread-path.js';

export const title = 'Allocation';

const FLAGS = ['--expose-gc'];
const FILE = 'cases/allocation.js';
/** Bytes per request that count as none: the counting itself, and code that is still compiled. */
const NOTHING = 0.05;
/**
 * With threads: also the turns of the event loop, 1.5 KiB in a thousand requests.
 */
const TURNS = 2;

/** @type {import('../rows.js').Row[]} */
export const rows = [
  ...['bare', 'device'].flatMap((client) => {
    const process = { file: FILE, args: ['one', client], flags: FLAGS };
    return [
      {
        name: `allocated in one thread, ${client}`,
        unit: 'B',
        process,
        value: 'bytes',
        max: NOTHING,
        quick: client === 'bare',
      },
      {
        name: `collections in one thread, ${client}`,
        unit: '',
        process,
        value: 'collections',
        max: 0,
        quick: client === 'bare',
      },
    ];
  }),
  ...['vCPU', 'Service VM'].flatMap((side) => {
    const process = { file: FILE, args: ['two'], flags: FLAGS, cores: 2 };
    const isVcpu = side === 'vCPU';
    return [
      {
        name: `allocated by the ${side}’s thread`,
        unit: 'B',
        process,
        value: isVcpu ? 'vcpuBytes' : 'bytes',
        max: TURNS,
      },
      {
        name: `collections in the ${side}’s thread`,
        unit: '',
        process,
        value: isVcpu ? 'vcpuCollections' : 'collections',
        max: 0,
      },
    ];
  }),
];

const REQUESTS = 1_000_000;
const WARM_UP_MS = 600;
const MEASURE_MS = 1000;

/** @param {string} threads `one` or `two` @param {string} [client] of the one-thread path */
export async function measure(threads, client = 'bare') {
  return threads === 'one' ? inOneThread(client) : betweenTwo();
}

/** @param {string} client */
async function inOneThread(client) {
  const { batch } = await createPath(16, 'uniform', client);
  for (let done = 0; done < REQUESTS; done += BATCH) batch();
  const end = countAllocation();
  let done = 0;
  for (; done < REQUESTS; done += BATCH) batch();
  const { bytes, collections } = end();
  return { bytes: bytes / done, collections };
}

async function betweenTwo() {
  const machine = await createMachine({
    vcpus: 1,
    loop: { warmUpMs: WARM_UP_MS, measureMs: MEASURE_MS, countsAllocation: true },
    spinUs: 10_000,
  });
  const finished = machine.run();
  // Within the vCPU's own measurement.
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS + MEASURE_MS / 4));
  const end = countAllocation();
  await new Promise((resolve) => setTimeout(resolve, MEASURE_MS / 2));
  const { bytes, collections } = end();
  const [result] = await finished;
  if (result === undefined) throw new Error('the vCPU measured nothing');
  // The middle half of the vCPU's time has half of its requests.
  const requests = result.accesses / 2;
  return {
    bytes: bytes / requests,
    collections,
    vcpuBytes: result.bytes / result.accesses,
    vcpuCollections: result.collections,
  };
}
