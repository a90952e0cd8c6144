// @ts-check
/**
 * The slowdown of a guest that makes requests as fast as it can while a live page watches: slots
 * sixty times per second, moves and tables less often, to one WebSocket client in another process.
 * Windows with and without a watcher alternate (paired-windows.js).
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createLoopVm } from '../loop-hypervisor.js';
import { pairedWindows } from '../paired-windows.js';
import { product } from '../product.js';
import { median } from '../summary.js';

export const title = 'The live page';

/** @param {string} what */
const processOf = (what) => ({ file: 'cases/live-page.js', args: [what], cores: 2 });
/**
 * What the page can request.
 * @type {Readonly<Record<string, { slots: boolean, tables: boolean, moves: object | null }>>}
 */
const WATCHES = {
  nothing: { slots: false, tables: false, moves: null },
  slots: { slots: true, tables: false, moves: null },
  tables: { slots: false, tables: true, moves: null },
  moves: { slots: false, tables: false, moves: {} },
  everything: { slots: true, tables: true, moves: {} },
};

/** @type {import('../rows.js').Row[]} */
export const rows = [
  { name: 'live page: slots watched', unit: '% slower', process: processOf('slots'), value: 'slowdown', max: 3 },
  {
    name: 'live page: slots watched, the server alone',
    unit: '% slower',
    process: processOf('slots'),
    value: 'server',
  },
  { name: 'live page: slots watched, frames', unit: '/s', process: processOf('slots'), value: 'frames' },
  { name: 'live page: slots watched, requests', unit: '/s', process: processOf('slots'), value: 'perSecond' },
  { name: 'live page: slots watched, the client', unit: '% of a core', process: processOf('slots'), value: 'client' },
  { name: 'live page: tables watched', unit: '% slower', process: processOf('tables'), value: 'slowdown' },
  { name: 'live page: moves watched', unit: '% slower', process: processOf('moves'), value: 'slowdown' },
  { name: 'live page: everything watched', unit: '% slower', process: processOf('everything'), value: 'slowdown' },
];

const WINDOW_MS = 250;
const PAIRS = 30;
const WARM_UP_MS = 1000;

/** @param {string} what */
export async function measure(what) {
  const { LiveView } = await product('dashboard/live-view.js');
  // The guest warms up until the process ends: what counts is measured here.
  const { vm } = await createLoopVm({ warmUpMs: 3_600_000, measureMs: 0 }, true);
  const view = await LiveView.open({ vm, version: 'bench', hypervisor: 'loop' });
  const client = fork(fileURLToPath(new URL('../page-client.js', import.meta.url)), [view.origin, view.token]);
  await once(client, 'message');
  await vm.start();
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS));
  /**
   * The client's frames and processor time, while it watched and while it did not.
   * @type {{ framesPerSecond: number, cpuUs: number }[]}
   */
  const had = [];
  /** @type {typeof had} */
  const idle = [];
  const result = await pairedWindows({
    requests: () => vm.counters().requests,
    turn: async (isOn) => {
      const answer = once(client, 'message');
      client.send(/** @type {object} */ (WATCHES[isOn ? what : 'nothing']));
      const [before] = await answer;
      (isOn ? idle : had).push(before);
    },
    pairs: PAIRS,
    windowMs: WINDOW_MS,
  });
  client.disconnect();
  const cpuUs = (/** @type {typeof had} */ windows) => median(windows.map((window) => window.cpuUs)) ?? NaN;
  // Microseconds in milliseconds are a thousandth, and in percent a tenth.
  const clientPercent = (cpuUs(had) - cpuUs(idle)) / 10 / result.onMs;
  return {
    perSecond: 1e9 / result.onNs,
    slowdown: result.slowdown,
    // If both cores are busy, the client takes its time from the guest.
    server: result.slowdown - clientPercent,
    frames: median(had.map(({ framesPerSecond }) => framesPerSecond)) ?? NaN,
    client: clientPercent,
  };
}
