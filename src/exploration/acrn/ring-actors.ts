/**
 * The producer and the consumer of a SharedRing, as threads of a model. Called by: the explorer,
 * for the test of the ring.
 */

import { RingResult, SharedRing } from '../../sync/shared-ring.js';
import { PAGE_BYTES } from '../../io-request/layout.js';

const ELEMENT_BYTES = 8;
/** One element always stays unused. */
const ELEMENTS = 3;
/** More than fit into the ring, so that both sides go around its end. */
const PUTS = 4;
/** Attempts of a side in all. One that finds the ring full or empty counts, too. */
const TRIES = 6;

export interface RingWorld {
  readonly page: SharedArrayBuffer;
}

export function makeRing(): RingWorld {
  return { page: new SharedArrayBuffer(PAGE_BYTES) };
}

export function ringProducer({ page }: RingWorld): void {
  const ring = new SharedRing(page, ELEMENT_BYTES, ELEMENTS);
  let next = 1;
  for (let i = 0; i < TRIES && next <= PUTS; i++) if (ring.put(Int32Array.of(next, -next)) === RingResult.DONE) next++;
}

export function ringConsumer({ page }: RingWorld): void {
  const ring = new SharedRing(page, ELEMENT_BYTES, ELEMENTS);
  const element = new Int32Array(2);
  let next = 1;
  for (let i = 0; i < TRIES; i++) {
    if (ring.take(element) !== RingResult.DONE) continue;
    if (element[0] !== next || element[1] !== -next)
      throw new Error(`element ${next} is ${String(element[0])}, ${String(element[1])}`);
    next++;
  }
}
