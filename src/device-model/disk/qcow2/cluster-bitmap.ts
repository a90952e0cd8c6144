/**
 * ClusterBitmap: which clusters of an image file are in use. Reference counts are 0 or 1 in the
 * images that upcall opens, so this is all that refcount blocks say.
 *
 * Called by: loadTables, which fills it from a file; ClusterAllocator.
 */

import { MAX_FILE_CLUSTERS } from './qcow2-limits.js';

export class ClusterBitmap {
  #words = new Uint32Array(32);
  /** No cluster below is free. */
  #lowestFree = 0;

  /** False beyond MAX_FILE_CLUSTERS. */
  has(cluster: number): boolean {
    if (cluster >= MAX_FILE_CLUSTERS) return false;
    return (((this.#words[cluster >>> 5] ?? 0) >>> (cluster & 31)) & 1) === 1;
  }

  /** Returns false if it was in use, or is beyond the limit. */
  add(cluster: number): boolean {
    if (cluster >= MAX_FILE_CLUSTERS || this.has(cluster)) return false;
    const word = cluster >>> 5;
    if (word >= this.#words.length) {
      const larger = new Uint32Array(Math.max(word + 1, 2 * this.#words.length));
      larger.set(this.#words);
      this.#words = larger;
    }
    this.#words[word] = (this.#words[word] as number) | (1 << (cluster & 31));
    return true;
  }

  delete(cluster: number): void {
    const word = cluster >>> 5;
    if (word >= this.#words.length) return;
    this.#words[word] = (this.#words[word] as number) & ~(1 << (cluster & 31));
    this.#lowestFree = Math.min(this.#lowestFree, cluster);
  }

  /** The lowest cluster that is not in use. */
  lowestFree(): number {
    let word = this.#lowestFree >>> 5;
    while (this.#words[word] === 0xffff_ffff) word++;
    let cluster = Math.max(this.#lowestFree, word * 32);
    while (this.has(cluster)) cluster++;
    this.#lowestFree = cluster;
    return cluster;
  }
}
