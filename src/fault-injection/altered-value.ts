/** The value of a request as its two int32 words, and what a fault makes of it. */

import { splitU64 } from '../io-request/io-request.js';
import type { RequestTrigger } from './fault-trigger.js';

export interface Words {
  readonly low: number;
  readonly high: number;
}

/**
 * The value of an access of `size` bytes after a fault. An effect that does not alter values leaves
 * it unchanged.
 */
export function alter(value: Words, trigger: RequestTrigger, size: number, stale: Words | undefined): Words {
  const { effect } = trigger.rule;
  switch (effect.kind) {
    case 'ones':
      return { low: -1, high: -1 };
    case 'value':
      return splitU64(effect.value);
    case 'flip': {
      const mask = splitU64(effect.mask ?? 1n << BigInt(trigger.choose(8 * size)));
      return { low: value.low ^ mask.low, high: value.high ^ mask.high };
    }
    case 'stale':
      return stale ?? value;
    default:
      return value;
  }
}
