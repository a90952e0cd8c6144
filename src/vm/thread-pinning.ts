/**
 * ThreadPinning: on which CPUs the threads of a Service VM run, by `ServiceVmOptions.pin`.
 *
 * - `auto`: no thread is pinned. A thread that wakes another one and spins for its answer wakes it
 *   on another CPU, and one that parks next on its own (sync/waker.ts), while there are more CPUs
 *   than vCPUs. Does nothing where the host cannot place threads, where a fixed time is spun, and
 *   on one CPU.
 * - `none`: the scheduler alone decides.
 * - a list of CPUs: the Service VM's thread is pinned to the first, the vCPUs of each VM to the
 *   others, in their order and again from the second one. With one CPU all share it.
 *
 * Called by: ServiceVm. `upcall doctor` describes it.
 * Threads: the Service VM's. vCPU threads pin themselves (hypervisor/vcpu-thread.ts).
 */

import { host } from '../host/current.js';
import type { CpuPlacement } from '../host/host.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { PlacingWaker } from '../sync/waker.js';

/** CPU numbers as the operating system counts them. */
export type Pin = 'auto' | 'none' | readonly number[];

/** glibc's cpu_set_t has as many bits. */
export const MAX_CPUS = 1024;

export class ThreadPinning {
  /** Of the Service VM's thread. Undefined where threads are not woken apart. */
  readonly waker: PlacingWaker | undefined;
  readonly #cpus: readonly number[];
  /** What pinned this thread. Undefined if it is not pinned. */
  readonly #pinned: CpuPlacement | undefined;
  /** By the VM's ID. */
  readonly #vcpus = new Map<number, number>();

  /** Throws OPTION_INVALID. `spinUs`: the fixed time to spin, or undefined. */
  constructor(pin: Pin, spinUs: number | undefined) {
    this.#cpus = pin === 'auto' || pin === 'none' ? [] : checkCpus(pin);
    if (this.#cpus.length > 0) this.#pinned = pinThisThread(this.#cpus);
    if (pin !== 'auto' || spinUs !== undefined || host.cores === 1) return;
    const placement = host.placeThreads();
    if (placement !== undefined) this.waker = new PlacingWaker(placement);
  }

  /** The CPU of vCPU `vcpu` of any VM. Undefined: not pinned. */
  cpuOf(vcpu: number): number | undefined {
    const [first, ...others] = this.#cpus;
    return others.length === 0 ? first : others[vcpu % others.length];
  }

  /** VM `id` is created, with `vcpus` vCPUs. */
  add(id: number, vcpus: number): void {
    this.#vcpus.set(id, vcpus);
    this.#update();
  }

  /** VM `id` has ended, or was not created. */
  remove(id: number): void {
    this.#vcpus.delete(id);
    this.#update();
  }

  /**
   * Calls `start` while this thread may run where it could before it was pinned. Threads and
   * processes that `start` makes before it returns are not pinned.
   */
  unpinned<T>(start: () => T): T {
    this.#pinned?.unpin();
    try {
      return start();
    } finally {
      this.#pinned?.pin(this.#cpus[0] as number);
    }
  }

  /** This thread may again run where it could before. Call in the thread that was pinned. */
  close(): void {
    this.#pinned?.unpin();
  }

  #update(): void {
    const vcpus = [...this.#vcpus.values()].reduce((sum, count) => sum + count, 0);
    if (this.waker !== undefined) this.waker.isOn = vcpus < host.cores;
  }
}

/** What `auto` does here, in one line. */
export function describePinning(cores = host.cores, placement = host.placeThreads()): string {
  if (cores === 1) return 'auto does nothing: there is one CPU';
  if (placement === undefined)
    return 'auto does nothing: it needs Linux and the optional package koffi (npm install koffi)';
  return `auto wakes threads that wait for each other on different CPUs, up to ${cores - 1} vCPU${cores > 2 ? 's' : ''}`;
}

function checkCpus(cpus: unknown): readonly number[] {
  if (!Array.isArray(cpus))
    throw new UpcallError('OPTION_INVALID', `pin: ${String(cpus)}`, { remedy: 'Give auto, none or a list of CPUs' });
  return checkNumbers(cpus as readonly number[]);
}

function checkNumbers(cpus: readonly number[]): readonly number[] {
  const wrong = cpus.find((cpu) => !Number.isInteger(cpu) || cpu < 0 || cpu >= MAX_CPUS);
  if (cpus.length > 0 && wrong === undefined) return cpus;
  throw new UpcallError('OPTION_INVALID', `pin: ${wrong === undefined ? 'no CPU' : `no CPU ${wrong}`}`, {
    remedy: `Give CPU numbers from 0 to ${MAX_CPUS - 1}, auto or none`,
  });
}

function pinThisThread(cpus: readonly number[]): CpuPlacement {
  const placement = host.placeThreads();
  if (placement === undefined)
    throw new UpcallError('OPTION_INVALID', 'pin: threads cannot be pinned here', {
      remedy: 'Use Linux, and install the optional package koffi: npm install koffi',
    });
  // All of them are tried, so that an error comes before the first VM.
  const refused = [...cpus].reverse().find((cpu) => !placement.pin(cpu));
  if (refused === undefined) return placement;
  placement.unpin();
  throw new UpcallError('OPTION_INVALID', `pin: this process may not run on CPU ${refused}`, {
    remedy: 'Give CPUs that `taskset -p` lists for it',
  });
}
