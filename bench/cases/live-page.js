// @ts-check
/**
 * What a page that watches costs a guest that makes requests as fast as it can: slots sixty times a second, moves and
 * tables less often, to one WebSocket client in another process. Windows with and without it follow each other in the same
 * run, and each is compared with the one before: machines drift.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createLoopVm } from '../loop-hypervisor.js';
import { product } from '../product.js';
import { median } from '../summary.js';

export const title = 'The live page';

/** @param {string} what */
const processOf = (what) => ({ file: 'cases/live-page.js', args: [what], cores: 2 });
/** What the page may ask for. @type {Readonly<Record<string, { slots: boolean, tables: boolean, moves: object | null }>>} */
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
  { name: 'live page: slots watched, frames', unit: '/s', process: processOf('slots'), value: 'frames' },
  { name: 'live page: slots watched, requests', unit: '/s', process: processOf('slots'), value: 'watched' },
  { name: 'live page: slots watched, the client', unit: '% of a core', process: processOf('slots'), value: 'client' },
  { name: 'live page: tables watched', unit: '% slower', process: processOf('tables'), value: 'slowdown' },
  { name: 'live page: moves watched', unit: '% slower', process: processOf('moves'), value: 'slowdown' },
  { name: 'live page: everything watched', unit: '% slower', process: processOf('everything'), value: 'slowdown' },
];

const WINDOW_MS = 250;
/** The first part of a window belongs to the change. */
const SETTLE_MS = 50;
const PAIRS = 24;
const WARM_UP_MS = 1000;
const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {string} what */
export async function measure(what) {
  const { LiveView } = await product('dashboard/live-view.js');
  const { vm } = await createLoopVm({ warmUpMs: 3_600_000, measureMs: 0 }, true);
  const view = await LiveView.open({ vm, version: 'bench', hypervisor: 'loop' });
  const client = fork(fileURLToPath(new URL('../page-client.js', import.meta.url)), [view.origin, view.token]);
  await once(client, 'message');
  await vm.start();
  await wait(WARM_UP_MS);

  /** Requests per second, and what the client had and used since the last window. @param {string} watched */
  const window = async (watched) => {
    const answer = once(client, 'message');
    client.send(/** @type {object} */ (WATCHES[watched]));
    const [{ frames, cpuUs }] = await answer;
    await wait(SETTLE_MS);
    const [since, before] = [performance.now(), vm.counters().requests];
    await wait(WINDOW_MS);
    const [until, after] = [performance.now(), vm.counters().requests];
    return {
      perSecond: ((after - before) * 1000) / (until - since),
      frames: Number(frames),
      cpuUs: Number(cpuUs),
      ms: until - since,
    };
  };
  /** @type {{ watched: number, unwatched: number, frames: number, cpu: number }[]} */
  const pairs = [];
  for (let i = 0; i <= PAIRS; i++) {
    const watched = await window(what);
    const unwatched = await window('nothing');
    // The frames of the watched window are told at the beginning of the next; its settling time had some, too.
    const ms = watched.ms + SETTLE_MS;
    const client = { frames: (unwatched.frames * 1000) / ms, cpu: unwatched.cpuUs / 10 / ms };
    if (i > 0) pairs.push({ watched: watched.perSecond, unwatched: unwatched.perSecond, ...client });
  }
  client.disconnect();
  const middle = (/** @type {(pair: (typeof pairs)[number]) => number} */ of) => median(pairs.map(of)) ?? NaN;
  return {
    watched: middle(({ watched }) => watched),
    unwatched: middle(({ unwatched }) => unwatched),
    slowdown: middle(({ watched, unwatched }) => (1 - watched / unwatched) * 100),
    frames: middle(({ frames }) => frames),
    client: middle(({ cpu }) => cpu),
  };
}
