/**
 * ServiceVm: one hypervisor, one HSM, and its User VMs. It lives in the thread that makes it, whose event loop runs the
 * HSM's worker and the devices.
 */

import { host } from '../host/current.js';
import type { IoClient } from '../hsm/io-client.js';
import { HypervisorServiceModule } from '../hsm/service-module.js';
import { VmRequests } from '../hsm/vm-requests.js';
import type { Hypervisor, VmEvent } from '../hypervisor/hypervisor.js';
import { Upcall } from '../hypervisor/upcall.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { LateStacks } from './late-stacks.js';
import { VmTrace } from '../trace/vm-trace.js';
import { checkSpinUs, checkUserVmOptions, prepareImage, type UserVmOptions } from './user-vm-options.js';
import { UserVm } from './user-vm.js';

export interface ServiceVmOptions {
  /**
   * How long the HSM's worker and the vCPUs look for each other's next move before they sleep, in microseconds, 0…10000.
   * Left out it follows what pays (sync/adaptive-spin.ts).
   */
  readonly spinUs?: number;
}

export class ServiceVm {
  readonly hypervisor: Hypervisor;
  readonly #upcall = new Upcall();
  readonly #module: HypervisorServiceModule;
  readonly #spinUs: number | undefined;
  readonly #vms = new Set<UserVm>();
  #nextVmId = 1;
  #isClosed = false;

  /** Throws OPTION_INVALID. */
  constructor(hypervisor: Hypervisor, { spinUs }: ServiceVmOptions = {}) {
    this.hypervisor = hypervisor;
    this.#spinUs = spinUs === undefined ? undefined : checkSpinUs(spinUs);
    this.#module = new HypervisorServiceModule({
      upcall: this.#upcall,
      spinUs: this.#spinUs,
      turn: () => host.turn(),
    });
    this.#module.worker.start();
  }

  /** The User VMs that have not ended. */
  get vms(): readonly UserVm[] {
    return [...this.#vms];
  }

  /** A VM in state CREATED: attach its devices, then start it. Rejects with UpcallError; nothing is left running then. */
  async createUserVm(options: UserVmOptions = {}): Promise<UserVm> {
    const vmId = this.#nextVmId++;
    const name = options.name ?? `vm${vmId}`;
    const { memoryBytes, vcpuCount, late, clientTimeoutMs, startTimeoutMs } = checkUserVmOptions(options);
    this.#expectOpen();
    const image = await prepareImage(options, memoryBytes);
    const buffer = new SharedBuffer();
    // The hypervisor may have something to say before the VM object exists.
    const early: VmEvent[] = [];
    let vm: UserVm | undefined;
    const hypercalls = await this.hypervisor.createVm(
      {
        name,
        memoryBytes,
        vcpuCount,
        completionPolling: options.completionPolling ?? false,
        interceptPci: options.interceptPci ?? false,
        spinUs: this.#spinUs,
      },
      buffer,
      this.#upcall,
      (event) => (vm === undefined ? early.push(event) : vm.onHypervisorEvent(event)),
    );
    if (this.#isClosed) {
      await hypercalls.pauseVm();
      await hypercalls.destroyVm();
    }
    this.#expectOpen();
    hypercalls.setIoreqBuffer();
    const trace = new VmTrace(hypercalls.shared.trace);
    for (const slot of buffer.slots) trace.recorder.watch(slot);
    const statistics =
      options.statistics === true
        ? trace.count<IoClient>({
            rangesOf: (client) => requests.ranges(client),
            isDefault: (client) => client === requests.defaultClient,
          })
        : undefined;
    const requests: VmRequests = new VmRequests({
      vmId,
      buffer,
      hypercalls,
      clientTimeoutMs,
      late,
      observer: {
        event: (event) => vm?.emit(event),
        dispatched: (_, request, client) => {
          statistics?.dispatched(request, client);
          if (trace.dispatched()) this.#module.worker.turnSoon();
        },
        assigning: (client) => trace.assigning(client),
        forcing: (isForced) => (trace.recorder.isForced = isForced),
      },
    });
    const made = (vm = new UserVm({
      name,
      hypercalls,
      buffer,
      module: this.#module,
      requests,
      image,
      statistics,
      trace,
      startTimeoutMs,
      faults: options.faults,
      lateStacks: options.lateStacks === true ? new LateStacks() : undefined,
    }));
    this.#module.addVm(requests);
    this.#vms.add(made);
    void made.ended.then(() => this.#vms.delete(made));
    for (const event of early) made.onHypervisorEvent(event);
    return made;
  }

  /** Destroys every User VM and stops the worker. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.vms.map((vm) => vm.destroy()));
    await this.#module.worker.stop();
  }

  /** Without the worker a VM would wait for its first answer for ever. */
  #expectOpen(): void {
    if (!this.#isClosed) return;
    throw new UpcallError('VM_STATE', 'the Service VM is closed', { remedy: 'Make a new ServiceVm' });
  }
}
