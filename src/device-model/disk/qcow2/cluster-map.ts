/**
 * ClusterMap: where the clusters of a disk are, from the L1 table and L2 tables of its image.
 *
 * Called by: Qcow2Image.
 */

import { readEntry, type Geometry } from './qcow2-layout.js';
import type { L2Table, L2Tables } from './l2-tables.js';

/** Adjacent bytes of the disk that have the same source. */
export interface Run {
  readonly position: number;
  readonly length: number;
  /** `absent`: in the base, or zeros without a base. */
  readonly kind: 'data' | 'zero' | 'absent';
  /** Of `data`: where it is in the file. Meaningless for the other kinds. */
  readonly offset: number;
}

export class ClusterMap {
  readonly #geometry: Geometry;
  /** Places of the L2 tables. 0: the table does not exist. */
  readonly #l1: Float64Array;
  readonly #tables: L2Tables;

  constructor(geometry: Geometry, l1: Float64Array, tables: L2Tables) {
    this.#geometry = geometry;
    this.#l1 = l1;
    this.#tables = tables;
  }

  /** The parts of a range that one L2 table each maps. */
  *parts(position: number, length: number): Generator<readonly [position: number, length: number]> {
    const { tableSpan } = this.#geometry;
    for (let at = position; at < position + length;) {
      const end = Math.min(position + length, (Math.floor(at / tableSpan) + 1) * tableSpan);
      yield [at, end - at];
      at = end;
    }
  }

  /**
   * The L2 table for a position. Undefined if it does not exist: all of its clusters are absent.
   */
  async tableAt(position: number): Promise<L2Table | undefined> {
    const offset = this.#l1[this.tableNumber(position)] as number;
    return offset === 0 ? undefined : this.#tables.load(offset);
  }

  /** The index in the L1 table of the entry for a position. */
  tableNumber(position: number): number {
    return Math.floor(position / this.#geometry.tableSpan);
  }

  /**
   * Records that the table for `position` is at `offset` of the file, where the caller has written
   * it, all zeros.
   */
  setTable(position: number, offset: number): void {
    this.#l1[this.tableNumber(position)] = offset;
  }

  /** The index in its L2 table of the entry for a position. */
  entryIndex(position: number): number {
    return Math.floor(position / this.#geometry.clusterBytes) % this.#geometry.entries;
  }

  /**
   * The runs of one of the `parts`, whose table is `table`. Data in clusters that are adjacent in
   * the file is one run.
   */
  runs(table: L2Table | undefined, position: number, length: number): readonly Run[] {
    if (table === undefined) return [{ position, length, kind: 'absent', offset: 0 }];
    const { clusterBytes } = this.#geometry;
    const runs: { position: number; length: number; kind: Run['kind']; offset: number }[] = [];
    for (let at = position; at < position + length;) {
      const within = at % clusterBytes;
      const bytes = Math.min(clusterBytes - within, position + length - at);
      const entry = readEntry(table.entries, this.entryIndex(at));
      const kind = entry.isZero ? 'zero' : entry.offset !== 0 ? 'data' : 'absent';
      const last = runs.at(-1);
      const isAdjacent = kind !== 'data' || last?.offset === entry.offset + within - (last?.length ?? 0);
      if (last?.kind === kind && isAdjacent) last.length += bytes;
      else runs.push({ position: at, length: bytes, kind, offset: entry.offset + within });
      at += bytes;
    }
    return runs;
  }
}
