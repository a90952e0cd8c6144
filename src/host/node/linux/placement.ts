/**
 * LinuxPlacement: which CPUs a thread may run on, by the system calls of libc.
 *
 * Called by: node-host.ts, as `Host.placeThreads`. PlacingWaker says why threads are woken on
 * chosen CPUs.
 * Threads: the one that creates it.
 *
 * Sources: sched_setaffinity(2), sched_getcpu(3), proc(5) about /proc/thread-self.
 */

import { readlinkSync } from 'node:fs';
import type { CpuPlacement } from '../../host.js';
import { loadLibc, type Libc, type NativeFunction } from './libc.js';

/** Bytes of a mask of CPUs, one bit each: 1024 bits, as glibc's cpu_set_t. */
const MASK_BYTES = 128;
/** As a thread's number, to these calls. */
const THIS_THREAD = 0;

/** Returns undefined if this is not Linux or koffi cannot be loaded. */
export function placeThreads(): CpuPlacement | undefined {
  const libc = loadLibc();
  if (libc === undefined) return undefined;
  try {
    return new LinuxPlacement(libc);
  } catch {
    return undefined;
  }
}

class LinuxPlacement implements CpuPlacement {
  readonly thread: number;
  readonly #cpu: NativeFunction;
  readonly #get: NativeFunction;
  readonly #set: NativeFunction;
  /** This thread's mask as it was read last, and the sleeper's. */
  readonly #own = new Uint8Array(MASK_BYTES);
  readonly #sleepers = new Uint8Array(MASK_BYTES);
  /** The sleeper's while it is woken. */
  readonly #wanted = new Uint8Array(MASK_BYTES);
  /** This thread's mask before it was pinned. */
  #unpinned: Uint8Array | undefined;

  constructor(libc: Libc) {
    this.#cpu = libc.func('int sched_getcpu()');
    this.#get = libc.func('int sched_getaffinity(int thread, size_t bytes, _Out_ uint8_t *mask)');
    this.#set = libc.func('int sched_setaffinity(int thread, size_t bytes, const uint8_t *mask)');
    this.thread = Number(readlinkSync('/proc/thread-self').split('/').pop());
    if (!(this.thread > 1)) throw new RangeError('/proc/thread-self names no thread');
  }

  wakeApart(sleeper: number, wake: () => void): void {
    this.#wakeOn(sleeper, wake, this.#leaveOut);
  }

  wakeHere(sleeper: number, wake: () => void): void {
    this.#wakeOn(sleeper, wake, this.#choose);
  }

  /** All CPUs but `cpu`. Returns false if there is no other one: the sleeper keeps its mask. */
  readonly #leaveOut = (cpu: number): boolean => {
    this.#wanted.set(this.#own);
    this.#wanted[cpu >> 3] = (this.#own[cpu >> 3] as number) & ~(1 << (cpu & 7));
    return this.#wanted.some((bits) => bits !== 0);
  };

  /** `cpu` alone. Returns false if there is no other one. */
  readonly #choose = (cpu: number): boolean => {
    this.#wanted.fill(0);
    this.#wanted[cpu >> 3] = 1 << (cpu & 7);
    return Buffer.compare(this.#wanted, this.#own) !== 0;
  };

  /**
   * The sleeper has the mask that `choose` leaves in `#wanted` only while it is woken; none if
   * `choose` returns false. It gets that mask only if it has this thread's own one, which is put
   * back. A sleeper with another one is woken as it is: the operator gave it that mask, or another
   * thread wakes it at this moment. To restore what that thread has narrowed would keep the sleeper
   * from a CPU forever. The mask is put back only if it is still the chosen one: the sleeper may
   * have run before this thread goes on, and the operator may have changed the mask.
   */
  #wakeOn(sleeper: number, wake: () => void, choose: (cpu: number) => boolean): void {
    const cpu = Number(this.#cpu());
    const isNarrowed =
      cpu >= 0 && this.#hasOwnMask(sleeper) && choose(cpu) && this.#set(sleeper, MASK_BYTES, this.#wanted) === 0;
    wake();
    if (isNarrowed && this.#hasMask(sleeper, this.#wanted)) this.#set(sleeper, MASK_BYTES, this.#own);
  }

  /** Reads this thread's mask only if the sleeper's differs: the operator may change both. */
  #hasOwnMask(sleeper: number): boolean {
    if (this.#hasMask(sleeper, this.#own)) return true;
    return this.#get(THIS_THREAD, MASK_BYTES, this.#own) === 0 && this.#hasMask(sleeper, this.#own);
  }

  #hasMask(thread: number, mask: Uint8Array): boolean {
    return this.#get(thread, MASK_BYTES, this.#sleepers) === 0 && Buffer.compare(this.#sleepers, mask) === 0;
  }

  pin(cpu: number): boolean {
    if (this.#unpinned === undefined) {
      const own = new Uint8Array(MASK_BYTES);
      if (this.#get(THIS_THREAD, MASK_BYTES, own) !== 0) return false;
      this.#unpinned = own;
    }
    const mask = new Uint8Array(MASK_BYTES);
    mask[cpu >> 3] = 1 << (cpu & 7);
    return this.#set(THIS_THREAD, MASK_BYTES, mask) === 0;
  }

  unpin(): void {
    if (this.#unpinned !== undefined) this.#set(THIS_THREAD, MASK_BYTES, this.#unpinned);
  }
}
