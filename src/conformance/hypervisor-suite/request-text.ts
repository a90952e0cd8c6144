/**
 * requestText: the request in a slot as text, which the cases of the suite compare.
 *
 * Called by: TestedVm; cases/vcpus.ts, for slots that it reads itself.
 */

import { Direction, IoRequestType } from '../../io-request/layout.js';
import type { Slot } from '../../io-request/slot.js';

/**
 * The request in a slot: `in PORT/SIZE`, `out PORT/SIZE = VALUE`, and `load` and `store` for MMIO.
 */
export function requestText(slot: Slot): string {
  const { type, direction, sizeLow, sizeHigh } = slot;
  const isRead = direction === Direction.READ;
  const isPort = type === IoRequestType.PORT;
  const isMmio = type === IoRequestType.MMIO;
  if (!(isPort || isMmio) || !(isRead || direction === Direction.WRITE)) return `type ${type}, direction ${direction}`;
  const name = isPort ? (isRead ? 'in' : 'out') : isRead ? 'load' : 'store';
  const size = words(sizeLow, sizeHigh);
  const where = `${name} 0x${words(slot.addressLow, slot.addressHigh).toString(16)}/${size}`;
  if (isRead) return where;
  // A port's value has 32 bits. The next word is a leftover, as in ACRN.
  const value = isPort ? words(slot.valueLow, 0) : words(slot.valueLow, slot.valueHigh);
  return `${where} = 0x${value.toString(16)}`;
}

function words(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
