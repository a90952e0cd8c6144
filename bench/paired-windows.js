// @ts-check
/**
 * Measures the slowdown of a guest while a feature is on. Windows with and without it alternate in
 * one run, and each is compared with its neighbour: a machine's speed drifts more than the
 * difference to be measured.
 */

import { median } from './summary.js';

/** The start of a window, which is not measured. */
const SETTLE_MS = 30;
const wait = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * `requests` returns the requests so far, `turn` switches the feature on or off.
 * @param {{ requests: () => number, turn: (isOn: boolean) => unknown, pairs: number, windowMs: number }} options
 * @returns {Promise<{ onNs: number, offNs: number, addedNs: number, slowdown: number, onMs: number }>}
 *   medians per request; `slowdown` in percent; `onMs`: approximate length of a window
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
