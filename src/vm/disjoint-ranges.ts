/**
 * DisjointRanges: a set of things with address ranges that do not overlap. Finds one that overlaps
 * a new range in logarithmic time.
 *
 * Called by: Attachments, for the devices of a VM.
 * Callers must: add only what `overlapping` has found to be free.
 */

import { overlaps, type AddressRange } from '../hsm/address-range.js';

interface Ranged {
  readonly range: AddressRange;
}

export class DisjointRanges<Item extends Ranged> {
  /** By the ranges' type: the items by ascending start, so also by ascending end. */
  readonly #byType = new Map<AddressRange['type'], Item[]>();

  /**
   * An item whose range overlaps. The items are disjoint, so if any does, one of the two around
   * `range.start` does.
   */
  overlapping(range: AddressRange): Item | undefined {
    const items = this.#itemsOf(range);
    const after = firstAfter(items, range.start);
    return [items[after - 1], items[after]].find((item) => item !== undefined && overlaps(item.range, range));
  }

  add(item: Item): void {
    const items = this.#itemsOf(item.range);
    items.splice(firstAfter(items, item.range.start), 0, item);
  }

  delete(item: Item): void {
    const items = this.#itemsOf(item.range);
    const index = firstAfter(items, item.range.start) - 1;
    if (items[index] === item) items.splice(index, 1);
  }

  clear(): void {
    this.#byType.clear();
  }

  #itemsOf({ type }: AddressRange): Item[] {
    let items = this.#byType.get(type);
    if (items === undefined) this.#byType.set(type, (items = []));
    return items;
  }
}

/** Index of the first item that starts after `address`, by binary search. */
function firstAfter(items: readonly Ranged[], address: bigint): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items[middle] as Ranged).range.start <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}
