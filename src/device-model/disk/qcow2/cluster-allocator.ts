/**
 * ClusterAllocator: gives out clusters of an image file, and keeps its reference counts.
 *
 * Called by: Qcow2Image. Callers must not allocate while another allocation is pending.
 *
 * Order on stable storage: a cluster's count of 1 comes before the first reference to it, and its
 * count of 0 after the last one is gone. So a crash leaves clusters that are counted and not used,
 * never the reverse. A freed cluster is not used again before the removal of its last reference is
 * on stable storage: after a crash, the reference there would be to the data of another part of the
 * disk.
 */

import type { DiskFile } from '../../../host/disk-file.js';
import type { ClusterBitmap } from './cluster-bitmap.js';
import type { Qcow2Tables } from './load-tables.js';
import type { Qcow2Header } from './qcow2-header.js';
import { ENTRY_BYTES, REFCOUNT_BYTES, type Geometry } from './qcow2-layout.js';
import { MAX_FILE_CLUSTERS, MAX_UNFLUSHED_FREES } from './qcow2-limits.js';

export interface ClusterRun {
  /** The number of the first cluster. */
  readonly first: number;
  readonly count: number;
}

export class ClusterAllocator {
  readonly #file: DiskFile;
  readonly #geometry: Geometry;
  readonly #refcountTableOffset: number;
  readonly #blocks: Float64Array;
  readonly #used: ClusterBitmap;
  /** Refcount blocks that differ from the file. */
  readonly #dirty = new Set<number>();
  /** Clusters whose last reference is gone, but not yet on stable storage. */
  #freed: number[] = [];

  constructor(file: DiskFile, header: Qcow2Header, { refcountBlocks, used }: Qcow2Tables) {
    this.#file = file;
    this.#geometry = header.geometry;
    this.#refcountTableOffset = header.refcountTableOffset;
    this.#blocks = refcountBlocks;
    this.#used = used;
  }

  /** Whether the caller should flush before it frees more: too many clusters wait for that. */
  get isFull(): boolean {
    return this.#freed.length >= MAX_UNFLUSHED_FREES;
  }

  /**
   * Returns 1 to `count` adjacent clusters, whose bytes are undefined. Their counts are written by
   * the next `writeCounts`. Rejects with the host's error, or if the image is full.
   */
  async allocate(count: number): Promise<ClusterRun> {
    let first = this.#used.lowestFree();
    while (!this.#isCounted(first)) {
      await this.#addBlock(first);
      first = this.#used.lowestFree();
    }
    let end = first;
    while (end < first + count && this.#isCounted(end) && this.#used.add(end)) this.#markDirty(end++);
    return { first, count: end - first };
  }

  /** Undoes an allocation to which no table ever referred. */
  release({ first, count }: ClusterRun): void {
    for (let cluster = first; cluster < first + count; cluster++) this.#drop(cluster);
  }

  /** No table refers to the cluster any more. It is used again after the next flush. */
  free(cluster: number): void {
    this.#freed.push(cluster);
  }

  /** Removes and returns the clusters that were freed until now. `finishFreed` must get them. */
  takeFreed(): readonly number[] {
    return this.#freed.splice(0);
  }

  /** Writes the counts that have changed. Rejects with the host's error. */
  async writeCounts(): Promise<void> {
    const blocks = [...this.#dirty];
    this.#dirty.clear();
    try {
      for (const block of blocks) await this.#file.write(this.#blocks[block] as number, this.#countsOf(block));
    } catch (error) {
      for (const block of blocks) this.#dirty.add(block);
      throw error;
    }
  }

  /**
   * Makes the clusters of `takeFreed` available again if `isDone`: the tables without references to
   * them are on stable storage. Otherwise they stay freed, for the next flush. Their storage is
   * given back first, where the file system can: a hole that came later would hit the next user's
   * data.
   */
  async finishFreed(freed: readonly number[], isDone: boolean): Promise<void> {
    if (!isDone) {
      this.#freed.push(...freed);
      return;
    }
    const { clusterBytes } = this.#geometry;
    for (const { first, count } of runsOf(freed)) {
      await this.#file.deallocate(first * clusterBytes, count * clusterBytes);
      this.release({ first, count });
    }
  }

  #drop(cluster: number): void {
    this.#used.delete(cluster);
    this.#markDirty(cluster);
  }

  #isCounted(cluster: number): boolean {
    return (this.#blocks[this.#blockOf(cluster)] ?? 0) !== 0;
  }

  #blockOf(cluster: number): number {
    return Math.floor(cluster / this.#geometry.blockSpan);
  }

  #markDirty(cluster: number): void {
    this.#dirty.add(this.#blockOf(cluster));
  }

  /** Makes the block that counts `cluster`, in this cluster. It counts itself and nothing else. */
  async #addBlock(cluster: number): Promise<void> {
    const block = this.#blockOf(cluster);
    if (block >= this.#blocks.length || !this.#used.add(cluster))
      throw new Error(`${this.#file.name} is full: it has ${Math.min(cluster, MAX_FILE_CLUSTERS)} clusters`);
    const offset = cluster * this.#geometry.clusterBytes;
    try {
      await this.#file.write(offset, this.#countsOf(block));
      // Nothing may refer to it before it is there.
      await this.#file.sync();
    } catch (error) {
      this.#used.delete(cluster);
      throw error;
    }
    const entry = new DataView(new ArrayBuffer(ENTRY_BYTES));
    entry.setBigUint64(0, BigInt(offset));
    // On stable storage with the next sync, before any table refers to what the block counts.
    await this.#file.write(this.#refcountTableOffset + block * ENTRY_BYTES, new Uint8Array(entry.buffer));
    this.#blocks[block] = offset;
  }

  /** The bytes of a refcount block. `block`: its index in the refcount table. */
  #countsOf(block: number): Uint8Array {
    const { clusterBytes, blockSpan } = this.#geometry;
    const counts = new DataView(new ArrayBuffer(clusterBytes));
    for (let entry = 0; entry < blockSpan; entry++)
      if (this.#used.has(block * blockSpan + entry)) counts.setUint16(entry * REFCOUNT_BYTES, 1);
    return new Uint8Array(counts.buffer);
  }
}

/** Adjacent clusters together, lowest first. */
function runsOf(clusters: readonly number[]): readonly ClusterRun[] {
  const runs: { first: number; count: number }[] = [];
  for (const cluster of [...clusters].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === cluster) last.count++;
    else runs.push({ first: cluster, count: 1 });
  }
  return runs;
}
