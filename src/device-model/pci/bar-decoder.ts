/**
 * BarDecoder: decides which base address registers (BARs) of a VM's cards are decoded, and keeps
 * the ranges of their I/O clients in step.
 *
 * Called by: VmCards, when a card comes or goes, or the guest places a BAR, or another client's
 * ranges change. Threads: the Service VM's.
 *
 * A BAR is decoded if the guest has enabled and placed it, and if nothing else is there: RAM, what
 * the hypervisor answers itself, a range of any other I/O client, or another BAR. Of two BARs over
 * each other neither is decoded, as two cards that drive a bus at once give no useful answer. So
 * what is decoded depends on where things are, and not on the order in which they came there.
 *
 * The guest's write to a BAR is finished after the ranges have moved. An access is dispatched
 * before or after that and goes to one place. One that is in flight is finished by its card, which
 * knows it by its ticket and not by its address.
 */

import { overlaps, type AddressRange } from '../../hsm/address-range.js';
import type { CardClient } from './card-client.js';
import type { BarLayout } from './card-description.js';

/** A BAR that is not decoded because of what is in its place. */
export interface BarConflict {
  readonly client: CardClient;
  readonly layout: BarLayout;
  readonly place: AddressRange;
  /** What is in the place, for the operator. */
  readonly other: string;
}

/** The part of a VM's HSM that a decoder needs. */
export interface BarSpace {
  /** What is in `place` beside BARs of cards, for the operator. Undefined: nothing. */
  occupant(place: AddressRange): string | undefined;
  /** Returns false if the client has too many ranges, or is removed. */
  addRange(client: CardClient, range: AddressRange): boolean;
  /** Returns false if the client does not have the range. */
  removeRange(client: CardClient, range: AddressRange): boolean;
  /** Called once for each conflict, until it has ended. */
  onConflict(conflict: BarConflict): void;
}

/** A BAR that the guest has enabled and placed. */
interface Candidate {
  readonly client: CardClient;
  readonly layout: BarLayout;
  readonly place: AddressRange;
  /** What is in its way, for the operator. Undefined: nothing, it is decoded. */
  other: string | undefined;
}

export class BarDecoder {
  readonly #space: BarSpace;
  readonly #clients = new Set<CardClient>();
  /** Keys of the conflicts of the last update: each is reported once while it lasts. */
  #conflicts = new Set<string>();
  #isUpdating = false;

  constructor(space: BarSpace) {
    this.#space = space;
  }

  add(client: CardClient): void {
    this.#clients.add(client);
    this.update();
  }

  remove(client: CardClient): void {
    this.#clients.delete(client);
    this.update();
  }

  has(client: object): boolean {
    return this.#clients.has(client as CardClient);
  }

  /** Decodes what the guest has placed by now. Called when anything has moved. */
  update(): void {
    // A change of ranges that this update makes itself calls it again.
    if (this.#isUpdating || (this.#clients.size === 0 && this.#conflicts.size === 0)) return;
    this.#isUpdating = true;
    const candidates = this.#candidates();
    try {
      findConflicts(candidates, this.#space);
      this.#apply(candidates);
    } finally {
      this.#isUpdating = false;
    }
    // Last, because a listener may change ranges.
    this.#report(candidates);
  }

  #candidates(): Candidate[] {
    const all: Candidate[] = [];
    for (const client of this.#clients)
      for (const { layout, place } of client.fn.bars)
        if (place !== undefined) all.push({ client, layout, place, other: undefined });
    return all;
  }

  #apply(candidates: readonly Candidate[]): void {
    const places = new Map<BarLayout, AddressRange>();
    for (const { layout, place, other } of candidates) if (other === undefined) places.set(layout, place);
    for (const client of this.#clients) {
      for (const { layout } of client.fn.bars) {
        const { bar } = layout;
        const old = client.decoded(bar);
        const place = places.get(layout);
        if (old?.start === place?.start) continue;
        if (old !== undefined) this.#space.removeRange(client, old);
        // No room among the VM's ranges, or the client is gone: nothing is decoded.
        const isAdded = place !== undefined && this.#space.addRange(client, place);
        client.decode(layout, isAdded ? place : undefined);
      }
    }
  }

  #report(candidates: readonly Candidate[]): void {
    const before = this.#conflicts;
    this.#conflicts = new Set();
    const fresh: BarConflict[] = [];
    for (const { client, layout, place, other } of candidates) {
      if (other === undefined) continue;
      const { bus, device, function: number } = client.fn.address;
      const key = [bus, device, number, layout.bar, place.start, other].join();
      this.#conflicts.add(key);
      if (!before.has(key)) fresh.push({ client, layout, place, other });
    }
    for (const conflict of fresh) this.#space.onConflict(conflict);
  }
}

/** Sets `other` of the candidates that something else is in the way of. */
function findConflicts(candidates: Candidate[], space: BarSpace): void {
  candidates.sort(byPlace);
  // Of those before a candidate, the one with the highest end. In this order, a candidate that
  // overlaps any other overlaps that one or the next one.
  let furthest: Candidate | undefined;
  candidates.forEach((candidate, index) => {
    const next = candidates[index + 1];
    const bar = [furthest, next].find((one) => one !== undefined && overlaps(one.place, candidate.place));
    candidate.other = space.occupant(candidate.place) ?? (bar && `BAR ${bar.layout.bar} of ${bar.client.name}`);
    if (furthest?.place.type !== candidate.place.type || candidate.place.end > furthest.place.end) furthest = candidate;
  });
}

function byPlace(a: Candidate, b: Candidate): number {
  if (a.place.type !== b.place.type) return a.place.type - b.place.type;
  return a.place.start < b.place.start ? -1 : a.place.start > b.place.start ? 1 : 0;
}
