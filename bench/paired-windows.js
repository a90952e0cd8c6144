// @ts-check
/**
 * How much slower a guest is while something is on: windows of one run with and without it follow
 * each other, and each is compared with its neighbour, because a machine's speed drifts more than
 * what is looked for.
 */

import { median } from './summary.js';

/** The first part of a window belongs to the change. */
const SETTLE_MS = 30;
const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {{ requests: () => number, turn: (isOn: boolean) => unknown, pairs: number, windowMs: number }} options
 * @returns {Promise<{ onNs: number, offNs: number, addedNs: number, slowdown: number, onMs: number }>}
 *   medians, of a request; `slowdown` in percent; `onMs`: how long it was on each time, about
 */
export async function pairedWindows({ requests, turn, pairs, windowMs }) {
  const window = async (/** @type {boolean} */ isOn) => {
    await turn(isOn);
    await wait(SETTLE_MS);
    const [since, before] = [performance.now(), requests()];
    await wait(windowMs);
    return ((performance.now() - since) * 1e6) / (requests() - before);
  };
  /** @type {{ on: number, off: number }[]} */
  const all = [];
  for (let i = 0; i < pairs; i++) all.push({ on: await window(true), off: await window(false) });
  const middle = (/** @type {(pair: { on: number, off: number }) => number} */ of) => median(all.map(of)) ?? NaN;
  return {
    onNs: middle(({ on }) => on),
    offNs: middle(({ off }) => off),
    addedNs: middle(({ on, off }) => on - off),
    slowdown: middle(({ on, off }) => (1 - off / on) * 100),
    onMs: SETTLE_MS + windowMs,
  };
}
