/**
 * MoveSampler: the latest moves of a VM, for somebody who looks now and then (the live page). Unlike `VmTrace.watch` it does
 * not follow: what happened between two looks and does not fit into one is left out and counted. So a look costs the same
 * whether the guest makes a thousand requests a second or a million.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import { CompiledMoveFilter, type MoveFilter } from './move-filter.js';
import { MoveAssembler, type Move } from './move.js';
import { RingReader, type RingEvent } from './ring-reader.js';
import type { TraceRing } from './trace-ring.js';

/** Events that one look reads, of all slots that have any. */
export const SAMPLE_EVENTS = 1024;
/** What the reader may leave out of a slot's events before it knows how the lanes belong together. */
const LEEWAY_EVENTS = 8;

export class MoveSampler {
  readonly #reader: RingReader;
  readonly #sieve: CompiledMoveFilter;
  readonly #assembler: MoveAssembler;
  readonly #release: () => void;
  readonly #isFiltered: boolean;

  /** `release` is called once, at the end. */
  constructor(
    ring: TraceRing,
    filter: MoveFilter,
    clientName: (client: number) => string | undefined,
    originMs: number,
    release: () => void,
  ) {
    this.#reader = new RingReader(ring);
    this.#sieve = new CompiledMoveFilter(filter);
    this.#assembler = new MoveAssembler(clientName, originMs);
    this.#release = release;
    this.#isFiltered = Object.keys(filter).length > 0;
  }

  /**
   * The latest `most` moves since the last look, oldest first, and how many were left out; `mostOfFlood` when there were
   * more than SAMPLE_EVENTS: then hardly any are seen, and a few more are not worth their time.
   */
  take(most: number, mostOfFlood = most): { readonly moves: readonly Move[]; readonly lost: number } {
    const unread = Array.from({ length: SLOT_COUNT }, (_, vcpu) => this.#reader.unread(vcpu));
    const isFlood = unread.reduce((sum, count) => sum + count, 0) > SAMPLE_EVENTS;
    return this.#look(
      unread.flatMap((count, vcpu) => (count > 0 ? [vcpu] : [])),
      isFlood ? mostOfFlood : most,
    );
  }

  #look(busy: readonly number[], most: number): { readonly moves: readonly Move[]; readonly lost: number } {
    // Without a filter, what is read beyond `most` would only be left out below.
    const wanted = this.#isFiltered ? SAMPLE_EVENTS : most + LEEWAY_EVENTS;
    const share = Math.min(wanted, Math.floor(SAMPLE_EVENTS / Math.max(1, busy.length)));
    const moves: Move[] = [];
    let lost = 0;
    for (const vcpu of busy) {
      let skipped = this.#reader.skip(vcpu, share);
      lost += skipped;
      const take = (event: RingEvent, before: number): void => {
        lost += before;
        // Whose request began before is not known any more.
        const move = this.#assembler.assemble(event, before + skipped);
        skipped = 0;
        this.#sieve.apply(move, (wanted) => moves.push(wanted));
      };
      // Not `lost += read()`: that would take the sum from before what `take` adds.
      const after = this.#reader.read(vcpu, take, false, share);
      lost += after;
    }
    moves.sort((a, b) => a.timeNs - b.timeNs);
    const rest = Math.max(0, moves.length - most);
    return { moves: moves.slice(rest), lost: lost + rest };
  }

  close(): void {
    this.#release();
  }
}
