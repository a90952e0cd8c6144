/**
 * MoveSampler: samples the latest moves (changes of a slot's state) of a VM.
 *
 * Called by: the live page, a few times a second.
 * Callers must: `close()` it, which ends the recording.
 *
 * Unlike `VmTrace.watch` it does not return every move: if there were more since the last sample
 * than fit into one, the oldest are skipped and counted. So a sample costs the same whether the
 * guest makes a thousand requests a second or a million.
 */

import { SLOT_COUNT } from '../io-request/layout.js';
import { CompiledMoveFilter, type MoveFilter } from './move-filter.js';
import type { Move } from './move.js';
import { MoveAssembler } from './move-assembler.js';
import { RingReader, type RingEntry } from './ring-reader.js';
import type { TraceRing } from './trace-ring.js';

/** How many entries of the ring one sample reads, of all slots together. */
export const SAMPLE_ENTRIES = 1024;
/**
 * How many entries more than wanted are read of a slot: after a skip the reader drops entries until
 * one has a link (ring-reader.ts).
 */
const LEEWAY_ENTRIES = 8;

export class MoveSampler {
  readonly #reader: RingReader;
  readonly #filter: CompiledMoveFilter;
  readonly #assembler: MoveAssembler;
  readonly #release: () => void;
  readonly #isFiltered: boolean;

  /** `close` calls `release`. The others are as in MoveAssembler. */
  constructor(
    ring: TraceRing,
    filter: MoveFilter,
    clientName: (client: number) => string | undefined,
    originMs: number,
    release: () => void,
  ) {
    this.#reader = new RingReader(ring);
    this.#filter = new CompiledMoveFilter(filter);
    this.#assembler = new MoveAssembler(clientName, originMs);
    this.#release = release;
    this.#isFiltered = Object.keys(filter).length > 0;
  }

  /**
   * The latest moves since the last call, oldest first, and `lost`, how many others there were. It
   * includes all skipped and lost entries of the ring, whatever the filter selects. Returns at most
   * `most` moves, or `mostInFlood` in a flood, which is more than SAMPLE_ENTRIES new entries: a
   * sample then shows only a small part of the moves anyway.
   */
  take(most: number, mostInFlood = most): { readonly moves: readonly Move[]; readonly lost: number } {
    const unread = Array.from({ length: SLOT_COUNT }, (_, vcpu) => this.#reader.unread(vcpu));
    const isFlood = unread.reduce((sum, count) => sum + count, 0) > SAMPLE_ENTRIES;
    return this.#sample(
      unread.flatMap((count, vcpu) => (count > 0 ? [vcpu] : [])),
      isFlood ? mostInFlood : most,
    );
  }

  #sample(busy: readonly number[], most: number): { readonly moves: readonly Move[]; readonly lost: number } {
    // Without a filter, moves beyond `most` would be dropped below.
    const wanted = this.#isFiltered ? SAMPLE_ENTRIES : most + LEEWAY_ENTRIES;
    const share = Math.min(wanted, Math.floor(SAMPLE_ENTRIES / Math.max(1, busy.length)));
    const moves: Move[] = [];
    let lost = 0;
    for (const vcpu of busy) {
      let skipped = this.#reader.skip(vcpu, share);
      lost += skipped;
      const take = (entry: RingEntry, before: number): void => {
        lost += before;
        // The requests of the skipped entries are unknown, as if they were lost.
        const move = this.#assembler.assemble(entry, before + skipped);
        skipped = 0;
        this.#filter.apply(move, (wanted) => moves.push(wanted));
      };
      // Not `lost += read()`: that would read `lost` before `take` adds to it.
      const isLast = false;
      const after = this.#reader.read(vcpu, take, isLast, share);
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
