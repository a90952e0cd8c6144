/**
 * RequestFields: a private copy of a request, as int32 words. A later write to the page cannot
 * change it.
 *
 * Called by: Slot.copyTo fills one from the page. ThreadCard and fault injection copy one to
 * another, and DeviceMailbox passes one through shared words to the thread of a device. PCI fields
 * are copied only for a PCI request, because other requests do not have them.
 */

import type { SharedWords } from '../sync/shared-words.js';
import { IoRequestType } from './layout.js';

export interface RequestFields {
  /** IoRequestType, or from a corrupted page any number. */
  type: number;
  /** Direction, or from a corrupted page any number. */
  direction: number;
  /** Int32 words of the u64 address. */
  addressLow: number;
  addressHigh: number;
  /** Low word of the u64 size: 1, 2, 4 or 8. Sizes above 8 come only from a corrupted page. */
  size: number;
  /** High word: 0, except from a corrupted page. */
  sizeHigh: number;
  /** Int32 words of the value. Of a read: what the page holds, without meaning. */
  valueLow: number;
  valueHigh: number;
  /** Of a PCI request. The register is 0…0xFFF. */
  bus: number;
  device: number;
  pciFunction: number;
  register: number;
}

/** Words that `storeFields` writes, from word `at` on. */
export const REQUEST_FIELD_WORDS = 12;

export function copyFields(from: RequestFields, to: RequestFields): void {
  to.type = from.type;
  to.direction = from.direction;
  to.addressLow = from.addressLow;
  to.addressHigh = from.addressHigh;
  to.size = from.size;
  to.sizeHigh = from.sizeHigh;
  to.valueLow = from.valueLow;
  to.valueHigh = from.valueHigh;
  if (from.type !== IoRequestType.PCI) return;
  to.bus = from.bus;
  to.device = from.device;
  to.pciFunction = from.pciFunction;
  to.register = from.register;
}

/** Relaxed stores: the caller publishes them by an atomic store to another word. */
export function storeFields(words: SharedWords, at: number, from: RequestFields): void {
  words.storeRelaxed(at, from.type);
  words.storeRelaxed(at + 1, from.direction);
  words.storeRelaxed(at + 2, from.addressLow);
  words.storeRelaxed(at + 3, from.addressHigh);
  words.storeRelaxed(at + 4, from.size);
  words.storeRelaxed(at + 5, from.sizeHigh);
  words.storeRelaxed(at + 6, from.valueLow);
  words.storeRelaxed(at + 7, from.valueHigh);
  if (from.type !== IoRequestType.PCI) return;
  words.storeRelaxed(at + 8, from.bus);
  words.storeRelaxed(at + 9, from.device);
  words.storeRelaxed(at + 10, from.pciFunction);
  words.storeRelaxed(at + 11, from.register);
}

/**
 * Atomic loads, in order. A caller whose writer changes the fields meanwhile detects that if it
 * loads a sequence word before and after (the mailbox's ticket).
 */
export function loadFields(words: SharedWords, at: number, to: RequestFields): void {
  to.type = words.load(at);
  to.direction = words.load(at + 1);
  to.addressLow = words.load(at + 2);
  to.addressHigh = words.load(at + 3);
  to.size = words.load(at + 4);
  to.sizeHigh = words.load(at + 5);
  to.valueLow = words.load(at + 6);
  to.valueHigh = words.load(at + 7);
  if (to.type !== IoRequestType.PCI) return;
  to.bus = words.load(at + 8);
  to.device = words.load(at + 9);
  to.pciFunction = words.load(at + 10);
  to.register = words.load(at + 11);
}
