/**
 * flipBit: flips one random bit of a frame, or of a disk's data.
 *
 * Called by: FaultyDisk and FaultyPort. Callers must: own the bytes.
 */

import type { FaultTrigger } from './fault-trigger.js';

export function flipBit(bytes: Uint8Array, trigger: Pick<FaultTrigger, 'choose'>): void {
  if (bytes.length === 0) return;
  const bit = trigger.choose(8 * bytes.length);
  bytes[bit >>> 3] = (bytes[bit >>> 3] as number) ^ (1 << (bit & 7));
}
