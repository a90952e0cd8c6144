/**
 * The two large pieces of the core's linear memory: the guest's RAM and the core's heap.
 *
 * Called by: Core, at its creation.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import type { CoreExports } from './core-exports.js';
import type { MemoryRange } from './pristine-state.js';

/** Of a page of WebAssembly's memory. */
export const MEMORY_PAGE_BYTES = 0x1_0000;
/**
 * Heap that the core gets at the start, so that its compiler does not grow the memory after each
 * reset.
 */
const HEAP_BYTES = 16 << 20;
/** More than the allocator's own words at an end of a free piece. */
const HEAP_EDGE_BYTES = 4096;

/**
 * The guest's RAM, behind all that the core has. The core's own function cannot give 2 GiB: its
 * allocator's blocks are smaller.
 */
export function allocateRam(memory: WebAssembly.Memory, bytes: number): number {
  try {
    return memory.grow(Math.ceil(bytes / MEMORY_PAGE_BYTES)) * MEMORY_PAGE_BYTES;
  } catch {
    throw noMemory(bytes);
  }
}

/** Returns the inside of the heap's free piece, without the allocator's words at its ends. */
export function reserveHeap(core: CoreExports, memoryBytes: number): MemoryRange {
  const heap = core.v86_malloc(HEAP_BYTES);
  if (heap === 0) throw noMemory(memoryBytes);
  core.v86_free(heap);
  return { start: (heap >>> 0) + HEAP_EDGE_BYTES, end: (heap >>> 0) + HEAP_BYTES - HEAP_EDGE_BYTES };
}

function noMemory(bytes: number): UpcallError {
  return new UpcallError('VM_LIMIT', `no memory for a guest of ${bytes} bytes`, { remedy: 'Give the VM less memory' });
}
