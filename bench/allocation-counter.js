// @ts-check
/**
 * Counts the bytes that this thread's JavaScript allocates between two calls, including those that
 * were collected meanwhile: the sum of how much the heap grew up to each collection and after the
 * last. Needs --expose-gc.
 */

import { GCProfiler, getHeapStatistics } from 'node:v8';

/**
 * Starts counting. Returns a function that stops.
 * @returns {() => { bytes: number, collections: number }}
 */
export function countAllocation() {
  if (globalThis.gc === undefined) throw new Error('start node with --expose-gc');
  const profiler = new GCProfiler();
  globalThis.gc();
  profiler.start();
  let from = getHeapStatistics().used_heap_size;
  return () => {
    const last = getHeapStatistics().used_heap_size;
    const { statistics } = profiler.stop();
    let bytes = 0;
    for (const { beforeGC, afterGC } of statistics) {
      bytes += beforeGC.heapStatistics.usedHeapSize - from;
      from = afterGC.heapStatistics.usedHeapSize;
    }
    return { bytes: bytes + last - from, collections: statistics.length };
  };
}
