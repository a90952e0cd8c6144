// @ts-check
/**
 * Makes every doorbell of this thread sleep without looking first, so that a hand-over between sleepers is measured and
 * nothing else. The product has no such switch: its look pays.
 */

import { product } from './product.js';

/** @typedef {import('../dist/sync/doorbell.js').Doorbell} Doorbell */

export async function sleepAtOnce() {
  const { Doorbell } = await product('sync/doorbell.js');
  const { sleep, wait } = Doorbell.prototype;
  /** @this {Doorbell} @param {() => boolean} hasWork @param {number} [timeoutMs] */
  const sleepNow = function (hasWork, timeoutMs) {
    return sleep.call(this, hasWork, timeoutMs);
  };
  /** @this {Doorbell} @param {() => boolean} hasWork @param {number} [timeoutMs] */
  const waitNow = function (hasWork, timeoutMs) {
    return wait.call(this, hasWork, timeoutMs);
  };
  Object.assign(Doorbell.prototype, { sleep: sleepNow, wait: waitNow });
}
