/**
 * MoveGlance: the latest moves of a VM, for somebody who looks now and then (the live page). Unlike `VmTrace.watch` it does
 * not follow: what happened between two looks and does not fit into one is left out and counted. So a look costs the same
 * whether the guest makes a thousand requests a second or a million.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import { MoveSieve, type MoveFilter } from './move-filter.js';
import { MoveAssembler, type Move } from './move.js';
import { RingReader, type RingEvent } from './ring-reader.js';
import type { TraceRing } from './trace-ring.js';

/** Events that one look reads, of all slots that have any. */
export const GLANCE_EVENTS = 1024;

export class MoveGlance {
  readonly #reader: RingReader;
  readonly #sieve: MoveSieve;
  readonly #assembler: MoveAssembler;
  readonly #release: () => void;

  /** `release` is called once, at the end. */
  constructor(
    ring: TraceRing,
    filter: MoveFilter,
    clientName: (client: number) => string | undefined,
    originMs: number,
    release: () => void,
  ) {
    this.#reader = new RingReader(ring);
    this.#sieve = new MoveSieve(filter);
    this.#assembler = new MoveAssembler(clientName, originMs);
    this.#release = release;
  }

  /** The latest `most` moves since the last look, oldest first, and how many were left out. */
  look(most: number): { readonly moves: readonly Move[]; readonly lost: number } {
    const busy = Array.from({ length: SLOT_COUNT }, (_, vcpu) => vcpu).filter((vcpu) => this.#reader.hasMore(vcpu));
    const share = Math.floor(GLANCE_EVENTS / Math.max(1, busy.length));
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
        this.#sieve.sift(move, (wanted) => moves.push(wanted));
      };
      lost += this.#reader.read(vcpu, take, false, share);
    }
    moves.sort((a, b) => a.timeNs - b.timeNs);
    const rest = Math.max(0, moves.length - most);
    return { moves: moves.slice(rest), lost: lost + rest };
  }

  close(): void {
    this.#release();
  }
}
