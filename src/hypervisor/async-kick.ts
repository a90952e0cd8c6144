/**
 * AsyncKick: the vCPU's side of asynchronous I/O. A write that matches an assigned descriptor is
 * complete as soon as the descriptor's handle is in the ring. It never becomes a request.
 *
 * Called by: the vCPU's IoHandler, while a ring is set up.
 * Threads: the vCPU's, which it may block.
 */

import type { Doorbell } from '../sync/doorbell.js';
import { OrderedPoll } from '../sync/poll.js';
import { RingResult } from '../sync/shared-ring.js';
import type { Upcall } from './upcall.js';
import { VcpuCounter, VmState, type VmSharedState } from './vm-shared-state.js';

/** A vCPU parks up to MAX_WAITS times, WAIT_MS each, for room in a full ring: 1 s in all. */
const WAIT_MS = 1;
const MAX_WAITS = 1000;

export class AsyncKick {
  readonly #vcpu: number;
  readonly #shared: VmSharedState;
  readonly #upcall: Upcall;
  readonly #doorbell: Doorbell;
  readonly #stopped: Error;
  /** Ends a wait for room. A ring that gets room does not: the wait ends after WAIT_MS. */
  readonly #stop = new OrderedPoll(() => this.#shared.vmState !== VmState.RUNNING);

  /** `stopped`, a VcpuStopped, is thrown if the VM stops running while the vCPU waits for room. */
  constructor(vcpu: number, shared: VmSharedState, upcall: Upcall, stopped: Error) {
    this.#vcpu = vcpu;
    this.#shared = shared;
    this.#upcall = upcall;
    this.#doorbell = shared.doorbell(vcpu);
    this.#stopped = stopped;
  }

  /**
   * Returns false if the write must become a request: no descriptor matches it, or the table keeps
   * changing. The kick is lost if the ring's owner has corrupted it, as in ACRN, or if the ring
   * stays full. Throws `stopped` if the VM stops running meanwhile. The parameters are those of
   * AsyncIo.find.
   */
  send(type: number, addressLow: number, addressHigh: number, valueLow: number, valueHigh: number): boolean {
    const { asyncIo } = this.#shared;
    const handle = asyncIo.find(type, addressLow, addressHigh, valueLow, valueHigh);
    if (handle === 0) return false;
    for (let waits = 0; asyncIo.kick(handle) === RingResult.BUSY; waits++) {
      // ACRN spins here forever. The Service VM empties the ring at each upcall. If it does not,
      // the kick is lost.
      if (waits === MAX_WAITS) {
        this.#shared.count(this.#vcpu, VcpuCounter.failed);
        return true;
      }
      this.#upcall.raise();
      this.#doorbell.wait(this.#stop, WAIT_MS);
      if (!this.#shared.isRunning) throw this.#stopped;
    }
    this.#shared.count(this.#vcpu, VcpuCounter.asyncWrites);
    this.#upcall.raise();
    return true;
  }
}
