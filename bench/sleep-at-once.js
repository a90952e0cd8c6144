// @ts-check
/**
 * Makes every doorbell of this thread park without spinning first, so that a hand-over between
 * parked threads is measured and nothing else. The product has no such switch: its spin pays off.
 */

import { product } from './product.js';

/** @typedef {import('../dist/sync/doorbell.js').Doorbell} Doorbell */
/** @typedef {import('../dist/sync/poll.js').Poll} Poll */

export async function sleepAtOnce() {
  // Each wait loses its third argument, the adaptive spin: without one a doorbell polls once.
  const { Doorbell } = await product('sync/doorbell.js');
  const { wait, waitAsync } = Doorbell.prototype;
  /** @this {Doorbell} @param {Poll} poll @param {number} [timeoutMs] */
  const park = function (poll, timeoutMs) {
    return wait.call(this, poll, timeoutMs);
  };
  /** @this {Doorbell} @param {Poll} poll @param {number} [timeoutMs] */
  const parkAsync = function (poll, timeoutMs) {
    return waitAsync.call(this, poll, timeoutMs);
  };
  Object.assign(Doorbell.prototype, { wait: park, waitAsync: parkAsync });
}
