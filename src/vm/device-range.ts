/**
 * The check of the range for a new device: the hypervisor must not answer it itself, and no other
 * device of the VM may be there.
 *
 * Called by: Attachments, before it adds a device; VmDevices and VmCards, for the ranges that no
 * device may have.
 */

import { describeRange, mmio, overlaps, ports, type AddressRange } from '../hsm/address-range.js';
import type { Hypercalls, ReservedRange } from '../hypervisor/hypercalls.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { DisjointRanges } from './disjoint-ranges.js';

/** A device that is attached already. */
export interface PlacedDevice {
  readonly range: AddressRange;
  readonly client: { readonly name: string };
}

/** Throws RANGE_OVERLAP, with both names, if another device is at `range`. */
export function expectFree(range: AddressRange, name: string, placed: DisjointRanges<PlacedDevice>): void {
  const other = placed.overlapping(range);
  if (other === undefined) return;
  throw new UpcallError(
    'RANGE_OVERLAP',
    `${name} at ${describeRange(range)} overlaps ${other.client.name} at ${describeRange(other.range)}`,
    { remedy: 'Attach one of them elsewhere, or use an I/O client, whose ranges may overlap' },
  );
}

/** Bits of a physical address, at most, as the architecture (x86-64) has them. */
const MAX_ADDRESS_BITS = 52;

/**
 * The ranges that the hypervisor answers itself, and the addresses that the guest's CPU does not
 * have.
 */
export function unreachableRanges({ reservedRanges = [], addressBits = MAX_ADDRESS_BITS }: Hypercalls) {
  if (addressBits >= MAX_ADDRESS_BITS) return reservedRanges;
  const beyond: ReservedRange = {
    type: 'mmio',
    start: 2 ** addressBits,
    end: 2 ** MAX_ADDRESS_BITS - 1,
    what: `beyond the ${addressBits}-bit addresses of the VM's processor`,
  };
  return [...reservedRanges, beyond];
}

/**
 * Throws RANGE_OVERLAP if `range` touches one of `reservedRanges`, as `unreachableRanges` returns
 * them: a device there would be attached but never reached.
 */
export function expectReachable(range: AddressRange, name: string, reservedRanges: readonly ReservedRange[]): void {
  for (const { type, start, end, what } of reservedRanges) {
    // `end` is inclusive.
    const reserved = type === 'port' ? ports(start, end - start + 1) : mmio(start, end - start + 1);
    if (overlaps(reserved, range))
      throw new UpcallError(
        'RANGE_OVERLAP',
        `${name} at ${describeRange(range)} would never be reached: ${describeRange(reserved)} is ${what}`,
        { remedy: 'Attach it elsewhere' },
      );
  }
}
