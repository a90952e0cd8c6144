/**
 * loadTables: reads all tables of a qcow2 image once and checks them, before any of it is used.
 *
 * Called by: openQcow2. Rejects with DISK_INVALID, or with the host's error.
 *
 * After it every table and every cluster of data has a place of its own in the file, with a
 * reference count of 1. So no write to the disk can reach a table or another cluster, whatever the
 * image was. Clusters that are counted but not referenced are left by a crash between counting and
 * referencing: they get a count of 0, if the image may be written.
 */

import type { DiskFile } from '../../../host/disk-file.js';
import { ClusterBitmap } from './cluster-bitmap.js';
import { damagedImage, invalidImage, type Qcow2Header } from './qcow2-header.js';
import { ENTRY_BYTES, readEntry, REFCOUNT_BYTES, type TableEntry } from './qcow2-layout.js';
import { MAX_FILE_CLUSTERS } from './qcow2-limits.js';

export interface Qcow2Tables {
  /** Places of the L2 tables in the file. 0: the table does not exist. */
  readonly l1: Float64Array;
  /** Places of the refcount blocks. 0: the block does not exist. */
  readonly refcountBlocks: Float64Array;
  readonly used: ClusterBitmap;
}

export async function loadTables(file: DiskFile, header: Qcow2Header): Promise<Qcow2Tables> {
  return new TableLoader(file, header).load();
}

class TableLoader {
  readonly #file: DiskFile;
  readonly #header: Qcow2Header;
  readonly #used = new ClusterBitmap();
  readonly #fileClusters: number;

  constructor(file: DiskFile, header: Qcow2Header) {
    this.#file = file;
    this.#header = header;
    this.#fileClusters = Math.ceil(file.size / header.geometry.clusterBytes);
    if (this.#fileClusters > MAX_FILE_CLUSTERS)
      throw invalidImage(file.name, `has ${this.#fileClusters} clusters`, 'Convert it: qemu-img convert -O qcow2');
  }

  async load(): Promise<Qcow2Tables> {
    const { l1Offset, l1Size, refcountTableOffset, refcountTableClusters, geometry } = this.#header;
    const { clusterBytes, entries } = geometry;
    this.#claim(0, 1, 'the header');
    this.#claim(refcountTableOffset, refcountTableClusters, 'the refcount table');
    this.#claim(l1Offset, Math.ceil((l1Size * ENTRY_BYTES) / clusterBytes), 'the L1 table');
    const blocks = await this.#readPlaces('refcount table', refcountTableOffset, refcountTableClusters * entries, {
      hasCopied: false,
    });
    for (const offset of blocks) if (offset !== 0) this.#claim(offset, 1, 'a refcount block');
    const l1 = await this.#readPlaces('L1 table', l1Offset, l1Size, { hasCopied: true });
    for (const offset of l1) if (offset !== 0) this.#claim(offset, 1, 'an L2 table');
    for (const offset of l1) if (offset !== 0) await this.#checkL2(offset);
    await this.#checkCounts(blocks);
    return { l1, refcountBlocks: blocks, used: this.#used };
  }

  /** The offsets in a table. `hasCopied`: whether its entries have the COPIED bit, and no other. */
  async #readPlaces(
    what: string,
    offset: number,
    count: number,
    { hasCopied }: { readonly hasCopied: boolean },
  ): Promise<Float64Array> {
    const table = new DataView(new ArrayBuffer(count * ENTRY_BYTES));
    await this.#file.read(offset, new Uint8Array(table.buffer));
    return Float64Array.from({ length: count }, (_, index) => {
      const entry = readEntry(table, index);
      const isRight =
        !entry.hasReserved &&
        !entry.isCompressed &&
        !entry.isZero &&
        entry.isCopied === (hasCopied && entry.offset !== 0);
      if (!isRight) throw this.#damaged(`entry ${index} of the ${what} is ${describe(entry)}`);
      return entry.offset;
    });
  }

  async #checkL2(offset: number): Promise<void> {
    const { clusterBytes, entries } = this.#header.geometry;
    const table = new DataView(new ArrayBuffer(clusterBytes));
    await this.#file.read(offset, new Uint8Array(table.buffer));
    for (let index = 0; index < entries; index++) {
      const entry = readEntry(table, index);
      if (entry.isCompressed)
        throw invalidImage(this.#file.name, 'has compressed clusters', 'Convert it: qemu-img convert -O qcow2');
      if (entry.hasReserved || entry.isCopied !== (entry.offset !== 0))
        throw this.#damaged(`entry ${index} of the L2 table at ${offset} is ${describe(entry)}`);
      if (entry.offset !== 0) this.#claim(entry.offset, 1, 'a cluster of data');
    }
  }

  /** Compares the counts with what was claimed. `blocks`: places of the refcount blocks. */
  async #checkCounts(blocks: Float64Array): Promise<void> {
    const { clusterBytes, blockSpan } = this.#header.geometry;
    const block = new DataView(new ArrayBuffer(clusterBytes));
    const bytes = new Uint8Array(block.buffer);
    const inFile = Math.ceil(this.#fileClusters / blockSpan);
    for (let index = 0; index < Math.max(blocks.length, inFile); index++) {
      const offset = blocks[index] ?? 0;
      // A block that does not exist counts 0, also for the clusters of the file.
      if (offset === 0 && index >= inFile) continue;
      if (offset === 0) bytes.fill(0);
      else await this.#file.read(offset, bytes);
      let hasLeak = false;
      for (let entry = 0; entry < blockSpan; entry++) {
        const cluster = index * blockSpan + entry;
        const references = block.getUint16(entry * REFCOUNT_BYTES);
        const expected = this.#used.has(cluster) ? 1 : 0;
        if (references === expected) continue;
        if (expected === 1) throw this.#damaged(`cluster ${cluster} has one reference and the count ${references}`);
        hasLeak = true;
        block.setUint16(entry * REFCOUNT_BYTES, 0);
      }
      if (hasLeak && this.#file.isWritable) await this.#file.write(offset, bytes);
    }
  }

  /** Throws unless the clusters are in the file and nothing else is there. */
  #claim(offset: number, clusters: number, what: string): void {
    const { clusterBytes } = this.#header.geometry;
    const first = offset / clusterBytes;
    if (!Number.isInteger(first)) throw this.#damaged(`${what} is at ${offset}, not at a cluster`);
    if (first + clusters > this.#fileClusters)
      throw this.#damaged(`${what} is at ${offset}, behind the end of the file`);
    for (let cluster = first; cluster < first + clusters; cluster++)
      if (!this.#used.add(cluster)) throw this.#damaged(`${what} is at ${offset}, where something else is`);
  }

  #damaged(problem: string): Error {
    return damagedImage(this.#file.name, problem);
  }
}

function describe({ offset, isCopied, isCompressed, isZero, hasReserved }: TableEntry): string {
  const flags = [
    ...(isCopied ? ['copied'] : []),
    ...(isCompressed ? ['compressed'] : []),
    ...(isZero ? ['zero'] : []),
    ...(hasReserved ? ['reserved bits'] : []),
  ];
  return `0x${offset.toString(16)}${flags.map((flag) => `, ${flag}`).join('')}`;
}
