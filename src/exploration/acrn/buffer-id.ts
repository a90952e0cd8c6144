/**
 * The number that a SharedArrayBuffer of the actors has in an explored world, where a buffer is
 * only a number (engine/machine/shared-memory.ts).
 *
 * Called by: word-names.ts and model.ts, which have these buffers typed as SharedArrayBuffer.
 */

import { SharedMemory } from '../engine/machine/shared-memory.js';

export function bufferId(buffer: unknown): number {
  if (!(buffer instanceof SharedMemory)) throw new Error('not a buffer of an explored world');
  return buffer.id;
}
