/**
 * alter: applies a fault to the value of a request.
 *
 * Called by: FaultyClient, for a written value before the client gets it and for a read one after
 * the client has answered.
 */

import { splitU64 } from '../io-request/io-request.js';
import type { RequestTrigger } from './fault-trigger.js';

/** A 64-bit value as two int32 words. */
export interface ValueWords {
  readonly low: number;
  readonly high: number;
}

/**
 * The value of an access of `size` bytes after a fault. An effect that does not alter values leaves
 * it unchanged. Bits beyond `size` have no meaning: the receiver truncates. `stale`: the value of
 * the last read of the address, undefined before the first one. If the page is corrupted, `size`
 * may be any number.
 */
export function alter(
  value: ValueWords,
  trigger: RequestTrigger,
  size: number,
  stale: ValueWords | undefined,
): ValueWords {
  const { effect } = trigger.rule;
  switch (effect.kind) {
    case 'ones':
      return { low: -1, high: -1 };
    case 'value':
      return splitU64(effect.value);
    case 'flip': {
      const mask = splitU64(effect.mask ?? 1n << BigInt(trigger.choose(bitsOf(size))));
      return { low: value.low ^ mask.low, high: value.high ^ mask.high };
    }
    case 'stale':
      return stale ?? value;
    default:
      return value;
  }
}

function bitsOf(size: number): number {
  return size === 1 || size === 2 || size === 8 ? 8 * size : 32;
}
