/**
 * L2Tables: the L2 tables of an image that are in memory: the most recently used ones, and those
 * that differ from the file.
 *
 * Called by: Qcow2Image, which changes a table only while no other operation runs.
 */

import type { DiskFile } from '../../../host/disk-file.js';
import type { Geometry } from './qcow2-layout.js';
import { MIN_CACHED_TABLES, TABLE_CACHE_BYTES } from './qcow2-limits.js';

export interface L2Table {
  /** Where the table is in the file, in bytes. */
  readonly offset: number;
  readonly entries: DataView<ArrayBuffer>;
  /** Whether it differs from what was last written, or is being written. */
  isDirty: boolean;
  /** Whether it is being written. */
  isWriting: boolean;
}

/** A table as `takeDirty` found it. */
interface Snapshot {
  readonly table: L2Table;
  readonly bytes: Uint8Array;
}

export class L2Tables {
  readonly #file: DiskFile;
  readonly #clusterBytes: number;
  readonly #limit: number;
  /** By their offsets, the least recently used one first. */
  readonly #tables = new Map<number, L2Table>();
  readonly #loading = new Map<number, Promise<L2Table>>();
  readonly #dirty = new Set<L2Table>();

  constructor(file: DiskFile, { clusterBytes }: Geometry) {
    this.#file = file;
    this.#clusterBytes = clusterBytes;
    this.#limit = Math.max(MIN_CACHED_TABLES, Math.floor(TABLE_CACHE_BYTES / clusterBytes));
  }

  /** Whether so many tables are dirty that they should be written before more are changed. */
  get isFull(): boolean {
    return this.#dirty.size >= this.#limit / 2;
  }

  /**
   * The table at `offset` of the file, from memory if it is there. Rejects with the host's error.
   */
  async load(offset: number): Promise<L2Table> {
    const table = this.#tables.get(offset);
    if (table !== undefined) {
      this.#tables.delete(offset);
      this.#tables.set(offset, table);
      return table;
    }
    let loading = this.#loading.get(offset);
    if (loading === undefined) {
      loading = this.#read(offset).finally(() => this.#loading.delete(offset));
      this.#loading.set(offset, loading);
    }
    return loading;
  }

  markDirty(table: L2Table): void {
    table.isDirty = true;
    this.#dirty.add(table);
  }

  /**
   * Copies of all tables that differ from the file. These tables are clean from then on, and stay
   * in memory until `finish`. Callers then call `write`, sync the file, and call `finish`.
   */
  takeDirty(): readonly Snapshot[] {
    return [...this.#dirty].map((table) => {
      this.#dirty.delete(table);
      table.isDirty = false;
      table.isWriting = true;
      return { table, bytes: new Uint8Array(table.entries.buffer).slice() };
    });
  }

  /** Rejects with the host's error. */
  async write(snapshots: readonly Snapshot[]): Promise<void> {
    await Promise.all(snapshots.map(({ table, bytes }) => this.#file.write(table.offset, bytes)));
  }

  /** `isWritten`: whether the snapshots are on stable storage. */
  finish(snapshots: readonly Snapshot[], isWritten: boolean): void {
    for (const { table } of snapshots) {
      table.isWriting = false;
      if (!isWritten) this.markDirty(table);
    }
  }

  async #read(offset: number): Promise<L2Table> {
    const bytes = new Uint8Array(this.#clusterBytes);
    await this.#file.read(offset, bytes);
    const table = { offset, entries: new DataView(bytes.buffer), isDirty: false, isWriting: false };
    this.#evict();
    this.#tables.set(offset, table);
    return table;
  }

  /** Makes room: evicts tables that are as in the file, the least recently used ones first. */
  #evict(): void {
    for (const [offset, { isDirty, isWriting }] of this.#tables) {
      if (this.#tables.size < this.#limit) return;
      if (!isDirty && !isWriting) this.#tables.delete(offset);
    }
  }
}
