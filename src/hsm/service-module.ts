/**
 * HypervisorServiceModule: the HSM of the Service VM. It owns the worker and the list of the User
 * VMs, and pauses the worker where the driver does.
 *
 * Called by: ServiceVm and UserVm; conformance/ and exploration/, which have modules of their own.
 * Threads: the Service VM's.
 */

import type { Upcall } from '../hypervisor/upcall.js';
import type { PlacingWaker } from '../sync/waker.js';
import { DispatchWorker } from './dispatch-worker.js';
import type { IoClient } from './io-client.js';
import type { VmRequests } from './vm-requests.js';

export interface ServiceModuleOptions {
  readonly upcall: Upcall;
  /** Lets the event loop run everything that is due. */
  readonly turn: () => Promise<void>;
  /** How long the worker spins, in microseconds. Default: adaptive. */
  readonly spinUs?: number | undefined;
  /** Of the Service VM's thread, if it wakes vCPUs on other CPUs. */
  readonly waker?: PlacingWaker | undefined;
}

export class HypervisorServiceModule {
  readonly worker: DispatchWorker;
  #vms: readonly VmRequests[] = [];

  constructor({ upcall, turn, spinUs, waker }: ServiceModuleOptions) {
    this.worker = new DispatchWorker({
      upcall,
      turn,
      vms: () => this.#vms,
      spinUs,
      waker,
    });
  }

  /** Newest first. */
  get vms(): readonly VmRequests[] {
    return this.#vms;
  }

  /** Call after the VM's page is stamped FREE: a zeroed page holds sixteen pending requests. */
  addVm(vm: VmRequests): void {
    this.#vms = [vm, ...this.#vms];
  }

  /**
   * Called when the VM ends: its assigned requests finish as all ones, and its clients are removed.
   */
  removeVm(vm: VmRequests): void {
    this.#vms = this.#vms.filter((candidate) => candidate !== vm);
    vm.close();
  }

  /**
   * Removes a client. Also from inside a pass, e.g. in a client's `notify`. The pause is the
   * driver's: no pass begins while the client is removed, and one follows, which finds other
   * clients for waiting requests.
   */
  destroyClient(vm: VmRequests, client: IoClient): void {
    this.worker.pause();
    try {
      vm.clients.destroy(client);
    } finally {
      this.worker.resume();
    }
  }
}
