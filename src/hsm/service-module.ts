/**
 * HypervisorServiceModule: the module of the Service VM. It knows the User VMs, owns the worker, and makes and destroys
 * clients with the worker paused where the driver pauses it.
 */

import type { Upcall } from '../hypervisor/upcall.js';
import { DispatchWorker } from './dispatch-worker.js';
import type { IoClient } from './io-client.js';
import type { VmRequests } from './vm-requests.js';

export interface ServiceModuleOptions {
  readonly upcall: Upcall;
  readonly turn: () => Promise<void>;
  /** Of the worker; adaptive when left out. */
  readonly spinUs?: number | undefined;
}

export class HypervisorServiceModule {
  readonly worker: DispatchWorker;
  #vms: readonly VmRequests[] = [];

  constructor({ upcall, turn, spinUs }: ServiceModuleOptions) {
    this.worker = new DispatchWorker({
      upcall,
      turn,
      vms: () => this.#vms,
      spinUs,
    });
  }

  /** Newest first. */
  get vms(): readonly VmRequests[] {
    return this.#vms;
  }

  /** A VM is listed only once its page is stamped FREE. */
  addVm(vm: VmRequests): void {
    this.#vms = [vm, ...this.#vms];
  }

  removeVm(vm: VmRequests): void {
    this.#vms = this.#vms.filter((candidate) => candidate !== vm);
    vm.close();
  }

  destroyClient(vm: VmRequests, client: IoClient): void {
    this.worker.pause();
    try {
      vm.clients.destroy(client);
    } finally {
      this.worker.resume();
    }
  }
}
