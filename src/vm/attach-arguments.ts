/**
 * The check of what a program passes to `attach`, which need not be compiled against the types.
 *
 * Called by: Attachments, before it looks at a range or a device.
 */

import { missingMember } from '../device-model/placement/device-module.js';
import { isThreadPlacement } from '../device-model/placement/thread-placement.js';
import { describeRange, type AddressRange } from '../hsm/address-range.js';
import { Errno } from '../io-request/errno.js';
import { IoRequestType } from '../io-request/layout.js';
import { UpcallError } from '../io-request/upcall-error.js';

const LAST_PORT = 0xffffn;
/** The highest physical address of the architecture. */
const LAST_ADDRESS = 2n ** 52n - 1n;

/** Throws RANGE_INVALID or DEVICE_INVALID. */
export function expectAttachable(range: unknown, device: unknown): void {
  const problem = rangeProblem(range);
  if (problem !== undefined)
    throw new UpcallError('RANGE_INVALID', `attach: the range ${problem}`, {
      errno: Errno.EINVAL,
      remedy: 'Make it by ports(first, count) or mmio(start, length)',
    });
  const missing = deviceProblem(device);
  if (missing !== undefined)
    throw new UpcallError('DEVICE_INVALID', `attach: the device ${missing}`, {
      remedy: 'Give an object with a name, read(offset, size) and write(offset, size, value), or inOwnThread(…)',
    });
}

function rangeProblem(range: unknown): string | undefined {
  if (typeof range !== 'object' || range === null) return `is ${kindOf(range)}`;
  const { type, start, end } = range as Partial<Record<keyof AddressRange, unknown>>;
  if (type !== IoRequestType.PORT && type !== IoRequestType.MMIO)
    return `is of the unknown type ${typeof type === 'number' ? type : kindOf(type)}`;
  if (typeof start !== 'bigint' || typeof end !== 'bigint')
    return `has bounds that are no bigints: ${kindOf(start)} and ${kindOf(end)}`;
  const text = describeRange({ type, start, end });
  if (end < start) return `${text} ends before it starts`;
  const last = type === IoRequestType.PORT ? LAST_PORT : LAST_ADDRESS;
  return start < 0n || end > last ? `${text} exceeds 0…0x${last.toString(16)}` : undefined;
}

function deviceProblem(device: unknown): string | undefined {
  const isPlaced = typeof device === 'object' && device !== null && isThreadPlacement(device);
  if (!isPlaced) return missingMember(device);
  return typeof device.module === 'string' ? undefined : `is for a thread of its own and has no module`;
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
