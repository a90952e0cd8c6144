/**
 * The place of a PCI card in `--device FILE@pci[:BB:DD.F]`: `pci` is the first free device number
 * of bus 0, `pci:00:05.0` an address as lspci prints it, in hexadecimal.
 *
 * Called by: parseDevice.
 */

import type { PciAddress } from '../device-model/pci-function.js';
import { UpcallError } from '../io-request/upcall-error.js';

export interface PciPlace {
  /** Undefined: the first free one. */
  readonly address: PciAddress | undefined;
}

/** Undefined if the text is not a place of a card. Throws RANGE_INVALID for a wrong address. */
export function parsePciPlace(text: string): PciPlace | undefined {
  if (text === 'pci') return { address: undefined };
  if (!text.startsWith('pci:')) return undefined;
  const match = /^([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(text.slice(4));
  const [bus = NaN, device = NaN, fn = NaN] = match?.slice(1).map((digits) => parseInt(digits, 16)) ?? [];
  if (match === null || device > 0x1f)
    throw new UpcallError('RANGE_INVALID', `invalid PCI address "${text.slice(4)}"`, {
      remedy: 'Write pci for a free one, or pci:BB:DD.F in hexadecimal, for example pci:00:05.0, up to pci:ff:1f.7',
    });
  return { address: { bus, device, function: fn } };
}
