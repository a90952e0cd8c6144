/**
 * Qcow2Image: a disk image in the qcow2 format, alone or as an overlay: what was never written
 * comes from a base image.
 *
 * Called by: openQcow2, which has checked all tables.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 *
 * - Data and tables are written in an order such that a crash at any moment leaves a consistent
 *   image (cluster-allocator.ts). Data goes to its cluster at once, tables stay in memory until a
 *   flush: counts first, then a sync, which also covers the data, then L2 tables, then a sync.
 * - Reads, and writes to clusters that exist, run together. What changes a table runs alone.
 * - An operation is done in parts of one L2 table each, so that few tables are needed at a time.
 */

import type { DiskFile } from '../../../host/disk-file.js';
import type { DiskImage } from '../disk-image.js';
import { MergedFlush } from '../merged-flush.js';
import { ClusterAllocator } from './cluster-allocator.js';
import { ClusterMap, type Run } from './cluster-map.js';
import { L2Tables, type L2Table } from './l2-tables.js';
import type { Qcow2Tables } from './load-tables.js';
import type { Qcow2Header } from './qcow2-header.js';
import { ENTRY_BYTES, readEntry, writeEntry, writeZeroEntry } from './qcow2-layout.js';
import { ReadWriteLock } from './read-write-lock.js';

export interface Qcow2ImageOptions {
  readonly file: DiskFile;
  readonly header: Qcow2Header;
  readonly tables: Qcow2Tables;
  /** The image owns it, and closes it. */
  readonly base: DiskImage | undefined;
}

export class Qcow2Image implements DiskImage {
  readonly size: number;
  readonly isReadOnly: boolean;
  readonly canDeallocate: boolean;
  readonly #file: DiskFile;
  readonly #header: Qcow2Header;
  readonly #base: DiskImage | undefined;
  readonly #tables: L2Tables;
  readonly #map: ClusterMap;
  readonly #allocator: ClusterAllocator;
  readonly #lock = new ReadWriteLock();
  readonly #flush = new MergedFlush(() => this.#writeTables());

  constructor({ file, header, tables, base }: Qcow2ImageOptions) {
    this.size = header.size;
    this.isReadOnly = !file.isWritable;
    this.canDeallocate = file.isWritable;
    this.#file = file;
    this.#header = header;
    this.#base = base;
    this.#tables = new L2Tables(file, header.geometry);
    this.#map = new ClusterMap(header.geometry, tables.l1, this.#tables);
    this.#allocator = new ClusterAllocator(file, header, tables);
  }

  read(position: number, target: Uint8Array): Promise<void> {
    return this.#lock.shared(async () => {
      for (const [start, length] of this.#map.parts(position, target.length)) {
        const table = await this.#map.tableAt(start);
        const runs = this.#map.runs(table, start, length);
        await settleAll(runs.map((run) => this.#readRun(run, partOf(target, position, run))));
      }
    });
  }

  async write(position: number, source: Uint8Array): Promise<void> {
    for (const [start, length] of this.#map.parts(position, source.length)) {
      const part = source.subarray(start - position, start - position + length);
      const isWritten = await this.#lock.shared(() => this.#writeInPlace(start, part));
      if (!isWritten) await this.#change(() => this.#writeAnywhere(start, part));
    }
  }

  async writeZeroes(position: number, length: number, mayDeallocate: boolean): Promise<void> {
    await this.#clear(position, length, mayDeallocate ? 'deallocate' : 'keep');
  }

  async discard(position: number, length: number): Promise<void> {
    const { clusterBytes } = this.#header.geometry;
    const start = Math.ceil(position / clusterBytes) * clusterBytes;
    // The disk's end may be within a cluster.
    const isLast = position + length === this.size;
    const end = isLast ? this.size : Math.floor((position + length) / clusterBytes) * clusterBytes;
    await this.#clear(start, Math.max(0, end - start), 'deallocate');
  }

  async flush(): Promise<void> {
    if (!this.isReadOnly) await this.#flush.run();
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await settleAll([this.#file.close(), ...(this.#base === undefined ? [] : [this.#base.close()])]);
    }
  }

  /**
   * Runs `work` alone, once there is room for what it changes. The flush before it takes no lock,
   * and may run beside any operation.
   */
  async #change(work: () => Promise<void>): Promise<void> {
    if (this.#tables.isFull || this.#allocator.isFull) await this.#flush.run();
    await this.#lock.exclusive(work);
  }

  async #readRun({ position, kind, offset }: Run, target: Uint8Array): Promise<void> {
    if (kind === 'data') await this.#file.read(offset, target);
    else if (kind === 'absent') await this.#readBase(position, target);
    else target.fill(0);
  }

  /** The base may be shorter than the disk. */
  async #readBase(position: number, target: Uint8Array): Promise<void> {
    const bytes = Math.min(target.length, Math.max(0, (this.#base?.size ?? 0) - position));
    if (bytes > 0) await this.#base?.read(position, target.subarray(0, bytes));
    target.fill(0, bytes);
  }

  /** Returns false, and writes nothing, if one of the clusters has no data yet. */
  async #writeInPlace(position: number, source: Uint8Array): Promise<boolean> {
    const runs = this.#map.runs(await this.#map.tableAt(position), position, source.length);
    if (runs.some(({ kind }) => kind !== 'data')) return false;
    await settleAll(runs.map((run) => this.#file.write(run.offset, partOf(source, position, run))));
    return true;
  }

  /** Writes in place where there is data, otherwise to new clusters. Runs alone. */
  async #writeAnywhere(position: number, source: Uint8Array): Promise<void> {
    const table = await this.#tableFor(position);
    for (const run of this.#map.runs(table, position, source.length)) {
      const part = partOf(source, position, run);
      if (run.kind === 'data') await this.#file.write(run.offset, part);
      else await this.#writeNew(table, run, part);
    }
  }

  /** Gives clusters to a run without data, and fills what `source` leaves of them. */
  async #writeNew(table: L2Table, { position, length, kind }: Run, source: Uint8Array): Promise<void> {
    const { clusterBytes } = this.#header.geometry;
    const end = position + length;
    for (let at = position; at < end;) {
      const start = Math.floor(at / clusterBytes) * clusterBytes;
      const clusters = await this.#allocator.allocate(Math.ceil((end - start) / clusterBytes));
      const dataEnd = Math.min(end, start + clusters.count * clusterBytes);
      const offset = clusters.first * clusterBytes;
      try {
        await settleAll([
          this.#fill(kind, start, at, offset),
          this.#file.write(offset + at - start, source.subarray(at - position, dataEnd - position)),
          this.#fill(kind, dataEnd, start + clusters.count * clusterBytes, offset + dataEnd - start),
        ]);
      } catch (error) {
        this.#allocator.release(clusters);
        throw error;
      }
      // The data is written. From here on a flush may write the table.
      for (let cluster = 0; cluster < clusters.count; cluster++)
        this.#setEntry(table, this.#map.entryIndex(start) + cluster, offset + cluster * clusterBytes);
      at = dataEnd;
    }
  }

  /**
   * Copies what the disk has from `start` to `end` to `offset` of the file. It is of one `kind`.
   */
  async #fill(kind: Run['kind'], start: number, end: number, offset: number): Promise<void> {
    if (start === end) return;
    const bytes = new Uint8Array(end - start);
    if (kind === 'absent') await this.#readBase(start, bytes);
    await this.#file.write(offset, bytes);
  }

  /**
   * Replaces an entry, and frees the cluster that it had. `offset`: 0 makes the cluster read as
   * zeros.
   */
  #setEntry(table: L2Table, index: number, offset: number): void {
    const old = readEntry(table.entries, index).offset;
    if (offset === 0) writeZeroEntry(table.entries, index);
    else writeEntry(table.entries, index, offset);
    this.#tables.markDirty(table);
    if (old !== 0) this.#allocator.free(old / this.#header.geometry.clusterBytes);
  }

  /**
   * The table that maps `position`. Makes it if it does not exist. If that fails, its cluster stays
   * counted until the image is opened again (load-tables.ts).
   */
  async #tableFor(position: number): Promise<L2Table> {
    const existing = await this.#map.tableAt(position);
    if (existing !== undefined) return existing;
    const { clusterBytes } = this.#header.geometry;
    const cluster = await this.#allocator.allocate(1);
    const offset = cluster.first * clusterBytes;
    await this.#file.write(offset, new Uint8Array(clusterBytes));
    // Its count and its bytes are on stable storage before the L1 table refers to it.
    await this.#flush.run();
    const number = this.#map.tableNumber(position);
    const entry = new DataView(new ArrayBuffer(ENTRY_BYTES));
    writeEntry(entry, 0, offset);
    await this.#file.write(this.#header.l1Offset + number * ENTRY_BYTES, new Uint8Array(entry.buffer));
    this.#map.setTable(position, offset);
    return this.#tables.load(offset);
  }

  /** Makes a range read as zeros. `keep`: clusters with data are overwritten and stay. */
  async #clear(position: number, length: number, storage: 'deallocate' | 'keep'): Promise<void> {
    for (const [start, bytes] of this.#map.parts(position, length))
      await this.#change(() => this.#clearPart(start, bytes, storage));
  }

  async #clearPart(position: number, length: number, storage: 'deallocate' | 'keep'): Promise<void> {
    const { clusterBytes } = this.#header.geometry;
    // Without a base absent clusters are zeros already.
    if (this.#base === undefined && (await this.#map.tableAt(position)) === undefined) return;
    const table = await this.#tableFor(position);
    for (const run of this.#map.runs(table, position, length)) {
      if (run.kind === 'zero' || (run.kind === 'absent' && this.#base === undefined)) continue;
      const end = run.position + run.length;
      for (let at = run.position; at < end;) {
        const next = Math.min(end, (Math.floor(at / clusterBytes) + 1) * clusterBytes);
        const isWhole = at % clusterBytes === 0 && (next % clusterBytes === 0 || next === this.size);
        if (isWhole && (run.kind === 'absent' || storage === 'deallocate'))
          this.#setEntry(table, this.#map.entryIndex(at), 0);
        else await this.#writeAnywhere(at, new Uint8Array(next - at));
        at = next;
      }
    }
  }

  /** The flush. MergedFlush runs one at a time. What is changed meanwhile is for the next one. */
  async #writeTables(): Promise<void> {
    const freed = this.#allocator.takeFreed();
    const tables = this.#tables.takeDirty();
    let isDone = false;
    try {
      await this.#allocator.writeCounts();
      await this.#file.sync();
      if (tables.length > 0) {
        await this.#tables.write(tables);
        await this.#file.sync();
      }
      isDone = true;
    } finally {
      this.#tables.finish(tables, isDone);
      await this.#allocator.finishFreed(freed, isDone);
    }
  }
}

/** The part of `bytes`, which begin at `position` of the disk, that is the run's. */
function partOf(bytes: Uint8Array, position: number, run: Run): Uint8Array {
  return bytes.subarray(run.position - position, run.position - position + run.length);
}

/** Waits for all of them, also if one rejects. Then rejects as the first one did. */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
