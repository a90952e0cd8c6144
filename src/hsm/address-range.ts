/**
 * AddressRange: a range of ports or guest physical addresses that a client registers. The end is
 * inclusive, as in the driver. The HSM uses u64 bigints with the driver's wrap-around. Devices use
 * numbers.
 *
 * Called by: AddressMap, VmClients, and all that attach devices or clients.
 */

import { Errno } from '../io-request/errno.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { hex } from '../io-request/io-request.js';
import { IoRequestType } from '../io-request/layout.js';

const PORTS = 0x1_0000;
/** One above the highest physical address of the architecture. */
const ADDRESS_END = 2 ** 52;
/** Bits of an address. */
const U64 = 64;

export interface AddressRange {
  readonly type: typeof IoRequestType.PORT | typeof IoRequestType.MMIO;
  readonly start: bigint;
  /** Inclusive. */
  readonly end: bigint;
}

/** `count` ports from `first`. Throws RANGE_INVALID. */
export function ports(first: number, count: number): AddressRange {
  if (!(Number.isInteger(first) && first >= 0 && Number.isInteger(count) && count > 0 && first + count <= PORTS))
    throw new UpcallError('RANGE_INVALID', `ports ${first}, count ${count}: ports are 0…0xffff`, {
      errno: Errno.EINVAL,
    });
  return { type: IoRequestType.PORT, start: BigInt(first), end: BigInt(first + count - 1) };
}

/** `length` bytes of guest physical addresses from `start`. Throws RANGE_INVALID. */
export function mmio(start: number, length: number): AddressRange {
  if (!(
    Number.isInteger(start) &&
    start >= 0 &&
    Number.isInteger(length) &&
    length > 0 &&
    start + length <= ADDRESS_END
  ))
    throw new UpcallError(
      'RANGE_INVALID',
      `MMIO range at ${start} of ${length} bytes: addresses have at most 52 bits`,
      {
        errno: Errno.EINVAL,
      },
    );
  return { type: IoRequestType.MMIO, start: BigInt(start), end: BigInt(start + length - 1) };
}

/**
 * A range as the driver accepts it: any u64, end inclusive. Throws RANGE_INVALID (−EINVAL) if the
 * end lies before the start.
 */
export function addressRange(type: AddressRange['type'], start: bigint, end: bigint): AddressRange {
  const range = { type, start: BigInt.asUintN(U64, start), end: BigInt.asUintN(U64, end) };
  if (range.end < range.start)
    throw new UpcallError('RANGE_INVALID', `${describeRange(range)} ends before it starts`, { errno: Errno.EINVAL });
  return range;
}

export function overlaps(a: AddressRange, b: AddressRange): boolean {
  return a.type === b.type && a.start <= b.end && b.start <= a.end;
}

export function sameRange(a: AddressRange, b: AddressRange): boolean {
  return a.type === b.type && a.start === b.start && a.end === b.end;
}

export function describeRange(range: AddressRange): string {
  return `${range.type === IoRequestType.PORT ? 'ports' : 'MMIO'} ${hex(range.start)}…${hex(range.end)}`;
}
