/** The values of a request as their two int32 words: what a fault makes of them, and one request copied to another. */

import type { AssignedRequest } from '../hsm/assigned-request.js';
import { splitU64 } from '../io-request/io-request.js';
import type { RequestTrigger } from './fault-injection.js';

export interface Words {
  readonly low: number;
  readonly high: number;
}

/** `value` of an access of `size` bytes after the fault of `trigger`; ways that are not about values leave it as it is. */
export function alter(value: Words, trigger: RequestTrigger, size: number, stale: Words | undefined): Words {
  const { way } = trigger.rule;
  switch (way.kind) {
    case 'ones':
      return { low: -1, high: -1 };
    case 'value':
      return splitU64(way.value);
    case 'flip': {
      const mask = splitU64(way.mask ?? 1n << BigInt(trigger.choose(8 * size)));
      return { low: value.low ^ mask.low, high: value.high ^ mask.high };
    }
    case 'stale':
      return stale ?? value;
    default:
      return value;
  }
}

/** Everything but whose it is: vCPU and `finish` stay, the ticket is copied. */
export function copyRequest(from: AssignedRequest, to: AssignedRequest): void {
  to.ticket = from.ticket;
  to.type = from.type;
  to.direction = from.direction;
  to.addressLow = from.addressLow;
  to.addressHigh = from.addressHigh;
  to.size = from.size;
  to.valueLow = from.valueLow;
  to.valueHigh = from.valueHigh;
  to.bus = from.bus;
  to.device = from.device;
  to.pciFunction = from.pciFunction;
  to.register = from.register;
}
