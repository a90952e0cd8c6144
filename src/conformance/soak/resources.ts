/**
 * Resources: the threads, descriptors and memory that this process has in use. Compared before and
 * after a test, they show a leak.
 *
 * Called by: soak.ts and scripts/soak.mjs; acrn-programs/fixtures/deaths.ts.
 */

import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Resources {
  /** Undefined on an operating system without /proc. */
  readonly threads: number | undefined;
  readonly descriptors: number | undefined;
  /** After a garbage collection. */
  readonly heapMiB: number;
  /**
   * Shared buffers and other memory outside of the heap. An ArrayBuffer counts twice: `external`
   * and `arrayBuffers` of Node have it both, and only the second has SharedArrayBuffers.
   */
  readonly externalMiB: number;
}

const MIB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export function resourcesInUse(): Resources {
  // Twice: finalizers of the first collection free more.
  collect();
  collect();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return {
    threads: entries('/proc/self/task'),
    descriptors: entries('/proc/self/fd'),
    heapMiB: heapUsed / MIB,
    externalMiB: (external + arrayBuffers) / MIB,
  };
}

function entries(folder: string): number | undefined {
  try {
    return readdirSync(folder).length;
  } catch {
    return undefined;
  }
}
