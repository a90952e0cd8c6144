/** The number that a SharedArrayBuffer of the actors has in an explored world. */

import { SharedMemory } from '../engine/machine/shared-memory.js';

export function bufferId(buffer: unknown): number {
  if (!(buffer instanceof SharedMemory)) throw new Error('not a buffer of an explored world');
  return buffer.id;
}
