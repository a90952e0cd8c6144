/**
 * readCached: reads what the system has of a file in memory, in the calling thread, and never waits
 * for storage. Node's thread pool takes two wake-ups for each read, which are longer than the copy.
 *
 * Called by: disk-file.ts, which leaves the rest to the pool.
 * Threads: any. Each has its own limit.
 *
 * A copy takes time, too. So one turn of the event loop copies at most CACHED_BYTES_PER_TURN, for
 * all files together.
 *
 * Source: preadv2(2), RWF_NOWAIT.
 */

import { loadLibc, type Libc, type NativeFunction } from './libc.js';

/** Limit of the bytes that are read in one turn of the event loop: some 200 µs. */
export const CACHED_BYTES_PER_TURN = 1024 * 1024;
/** The file cannot be read so: its file system or the kernel has no such reads. */
export const NEVER_CACHED = -1;

const RWF_NOWAIT = 8;
const EAGAIN = 11;

interface Calls {
  readonly libc: Libc;
  readonly preadv2: NativeFunction;
}

/** Null: this host has none. */
let calls: Calls | null | undefined;
let leftInTurn = CACHED_BYTES_PER_TURN;
/** `struct iovec`: an address and a number of bytes. */
const vector = new BigUint64Array(2);

/**
 * Fills `target` from its start. Returns the number of bytes, also 0, or NEVER_CACHED. Fewer than
 * asked for mean nothing: storage has the others, the limit is reached, or the file ends.
 */
export function readCached(fd: number, position: number, target: Uint8Array): number {
  calls ??= findCalls();
  if (calls === null) return NEVER_CACHED;
  if (target.length === 0 || target.length > leftInTurn) return 0;
  vector[0] = calls.libc.address(target);
  vector[1] = BigInt(target.length);
  const count = Number(calls.preadv2(fd, vector, 1, position, RWF_NOWAIT));
  if (count < 0) return calls.libc.errno() === EAGAIN ? 0 : NEVER_CACHED;
  if (leftInTurn === CACHED_BYTES_PER_TURN) setImmediate(refill).unref();
  leftInTurn -= count;
  return count;
}

function refill(): void {
  leftInTurn = CACHED_BYTES_PER_TURN;
}

function findCalls(): Calls | null {
  const libc = loadLibc();
  if (libc === undefined) return null;
  try {
    // Throws if the C library is older than the function.
    const declaration = 'int64_t preadv2(int fd, const void *vector, int n, int64_t offset, int flags)';
    return { libc, preadv2: libc.func(declaration) };
  } catch {
    return null;
  }
}
