/**
 * Ethernet frames: their sizes and addresses. A frame here begins with its destination and has no
 * preamble and no checksum, as in a card's memory.
 *
 * Called by: the ports of this folder, VirtioNet, and the command line (parseMac).
 *
 * Source: IEEE 802.3, clause 3.
 */

import { UpcallError } from '../../io-request/upcall-error.js';

export const MAC_BYTES = 6;
/** Bytes before the payload: destination, source, type. */
export const ETHERNET_HEADER_BYTES = 14;
/** The longest frame: an MTU of 65535, the header and a VLAN tag. */
export const MAX_FRAME_BYTES = 65535 + ETHERNET_HEADER_BYTES + 4;

/** An address as a number of 48 bits, for maps and sets. */
export type Mac = number;

export const BROADCAST: Mac = 2 ** 48 - 1;
/** Bits of an address's first byte. */
const MULTICAST_BIT = 1;
const LOCAL_BIT = 2;

/** The address at `offset` of `bytes`. */
export function macAt(bytes: Uint8Array, offset: number): Mac {
  let mac = 0;
  for (let i = 0; i < MAC_BYTES; i++) mac = mac * 256 + (bytes[offset + i] as number);
  return mac;
}

export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from({ length: MAC_BYTES }, (_, i) => Math.floor(mac / 256 ** (MAC_BYTES - 1 - i)) % 256);
}

export const destinationOf = (frame: Uint8Array): Mac => macAt(frame, 0);
export const sourceOf = (frame: Uint8Array): Mac => macAt(frame, MAC_BYTES);

/** Whether it is the address of a group. So is the broadcast address. */
export function isGroup(mac: Mac): boolean {
  return (Math.floor(mac / 2 ** 40) & MULTICAST_BIT) !== 0;
}

/** The address as text, such as `52:54:00:12:34:56`. */
export function macText(mac: Mac): string {
  return [...macBytes(mac)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Throws OPTION_INVALID for anything but the address of one card. */
export function parseMac(text: string): Mac {
  const isForm = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text);
  const mac = isForm ? Number.parseInt(text.replaceAll(':', ''), 16) : 0;
  if (isForm && mac !== 0 && !isGroup(mac)) return mac;
  const reason = !isForm ? 'is not a MAC address' : mac === 0 ? 'is no address of a card' : 'is the address of a group';
  throw new UpcallError('OPTION_INVALID', `${text} ${reason}`, {
    remedy: 'Write six bytes in hexadecimal, the first of them even, for example 52:54:00:12:34:56',
  });
}

/** A random address out of the 2^40 locally administered ones that begin with 52. */
export function randomMac(): Mac {
  const bytes = crypto.getRandomValues(new Uint8Array(MAC_BYTES));
  bytes[0] = 0x50 | LOCAL_BIT;
  return macAt(bytes, 0);
}
