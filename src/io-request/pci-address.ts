/**
 * PCI address: bus, device and function of a configuration access, packed into one int32 or as
 * text.
 *
 * On the request path the fields are at most 8, 5 and 3 bits wide. On a corrupted page they are any
 * word, so `packPciAddress` saturates each to a byte and `pciAddressName` takes any number.
 *
 * Called by: the trace and its statistics, for packed addresses; messages and the live page, for
 * texts.
 */

const BYTE_MASK = 0xff;

/** `bus << 16 | device << 8 | function`. A field that does not fit saturates to all ones. */
export function packPciAddress(bus: number, device: number, pciFunction: number): number {
  return (saturate(bus) << 16) | (saturate(device) << 8) | saturate(pciFunction);
}

/** The text of a packed address: `00:1f.2`. */
export function packedPciName(packed: number): string {
  return pciAddressName((packed >> 16) & BYTE_MASK, (packed >> 8) & BYTE_MASK, packed & BYTE_MASK);
}

/** `00:1f.2`, as lspci prints it, or `00:1f` without a function. */
export function pciAddressName(bus: number, device: number, pciFunction?: number): string {
  const slot = `${twoDigits(bus)}:${twoDigits(device)}`;
  return pciFunction === undefined ? slot : `${slot}.${pciFunction}`;
}

function saturate(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}

function twoDigits(value: number): string {
  return value.toString(16).padStart(2, '0');
}
