/**
 * ServiceVm: one hypervisor, one HSM, and its User VMs.
 *
 * Threads: it lives in the thread that creates it, whose event loop runs the HSM's worker and the
 * devices.
 */

import { host } from '../host/current.js';
import type { IoClient } from '../hsm/io-client.js';
import { HypervisorServiceModule } from '../hsm/service-module.js';
import { VmRequests } from '../hsm/vm-requests.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { Hypervisor, HypervisorEvent } from '../hypervisor/hypervisor.js';
import { Upcall } from '../hypervisor/upcall.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { LateStacks } from './late-stacks.js';
import { VmTrace } from '../trace/vm-trace.js';
import { prepareImage } from './image-file.js';
import { checkSpinUs, checkUserVmOptions, type UserVmOptions } from './user-vm-options.js';
import { UserVm } from './user-vm.js';
import { VmLifeCycle } from './vm-life-cycle.js';
import type { VmPlan } from './vm-plan.js';

/** Not the ID of any VM. */
export const INVALID_VM_ID = 0xffff;

export interface ServiceVmOptions {
  /**
   * How long the HSM's worker and the vCPUs spin before they park, in microseconds, 0…10000.
   * Default: adaptive (sync/adaptive-spin.ts).
   */
  readonly spinUs?: number;
  /** The former name of `spinUs`: refused with OPTION_INVALID. */
  readonly lookUs?: never;
}

export class ServiceVm {
  readonly hypervisor: Hypervisor;
  readonly #upcall = new Upcall();
  /** The HSM and its worker. */
  readonly module: HypervisorServiceModule;
  readonly #spinUs: number | undefined;
  readonly #vms = new Set<UserVm>();
  /** Also of VMs that are being created. */
  readonly #ids = new Set<number>();
  #isClosed = false;

  /** Throws OPTION_INVALID. */
  constructor(hypervisor: Hypervisor, options: ServiceVmOptions = {}) {
    this.hypervisor = hypervisor;
    this.#spinUs = checkSpinUs(options);
    this.module = new HypervisorServiceModule({
      upcall: this.#upcall,
      spinUs: this.#spinUs,
      turn: () => host.turn(),
    });
    this.module.worker.start();
  }

  /** The User VMs that have not ended. */
  get vms(): readonly UserVm[] {
    return [...this.#vms];
  }

  /**
   * Creates a VM in state CREATED: attach its devices, then start it. Rejects with UpcallError, and
   * then nothing is left running.
   */
  async createUserVm(options: UserVmOptions = {}): Promise<UserVm> {
    const checked = checkUserVmOptions(options);
    this.#expectOpen();
    const image = await prepareImage(options, checked.memoryBytes);
    return this.createVm({
      name: options.name,
      ...checked,
      completionPolling: options.completionPolling ?? false,
      interceptPci: options.interceptPci ?? false,
      statistics: options.statistics ?? false,
      faults: options.faults,
      lateStacks: options.lateStacks ?? false,
      hasDefaultClient: true,
      createLifeCycle: (parts) => new VmLifeCycle(parts, image),
    });
  }

  /**
   * Puts a VM together; every VM is created here. Rejects with UpcallError, and then nothing is
   * left running.
   */
  async createVm(plan: VmPlan): Promise<UserVm> {
    this.#expectOpen();
    const id = this.#takeId();
    try {
      return await this.#create(id, plan);
    } catch (error) {
      this.#ids.delete(id);
      throw error;
    }
  }

  /** Destroys every User VM and stops the worker. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.vms.map((vm) => vm.destroy()));
    await this.module.worker.stop();
  }

  async #create(id: number, plan: VmPlan): Promise<UserVm> {
    const name = plan.name ?? `vm${id}`;
    const buffer = new SharedBuffer();
    // The hypervisor may report something before the VM object exists.
    const early: HypervisorEvent[] = [];
    let vm: UserVm | undefined;
    const hypercalls = await this.hypervisor.createVm(
      {
        name,
        memoryBytes: plan.memoryBytes,
        vcpuCount: plan.vcpuCount,
        completionPolling: plan.completionPolling,
        interceptPci: plan.interceptPci,
        spinUs: this.#spinUs,
      },
      buffer,
      this.#upcall,
      (event) => (vm === undefined ? early.push(event) : vm.onHypervisorEvent(event)),
    );
    await this.#giveBuffer(hypercalls, buffer, plan.sharePage);
    const trace = new VmTrace(hypercalls.shared.trace);
    for (const slot of buffer.slots) trace.recorder.observe(slot);
    const statistics = plan.statistics
      ? trace.count<IoClient>({
          rangesOf: (client) => requests.clients.ranges(client),
          isDefault: (client) => client === requests.clients.default,
        })
      : undefined;
    const requests: VmRequests = new VmRequests({
      vmId: id,
      buffer,
      hypercalls,
      clientTimeoutMs: plan.clientTimeoutMs,
      late: plan.late,
      observer: {
        event: (event) => vm?.emit(event),
        dispatched: (_, request, client) => {
          statistics?.dispatched(request, client);
          if (trace.dispatched()) this.module.worker.turnSoon();
        },
        assigning: (client) => trace.assigning(client),
        forcing: (isForced) => (trace.recorder.isForced = isForced),
      },
      ...(plan.sleep === undefined ? {} : { sleep: plan.sleep }),
    });
    const created = (vm = new UserVm({
      id,
      name,
      hypervisorName: this.hypervisor.name,
      hypercalls,
      buffer,
      module: this.module,
      requests,
      statistics,
      trace,
      startTimeoutMs: plan.startTimeoutMs,
      faults: plan.faults,
      lateStacks: plan.lateStacks ? new LateStacks() : undefined,
      hasDefaultClient: plan.hasDefaultClient,
      createLifeCycle: plan.createLifeCycle,
      onEnd: () => {
        this.#vms.delete(created);
        this.#ids.delete(id);
      },
    }));
    this.module.addVm(requests);
    this.#vms.add(created);
    try {
      plan.onCreated?.(created);
    } catch (error) {
      await created.destroy();
      throw error;
    }
    for (const event of early) created.onHypervisorEvent(event);
    return created;
  }

  /**
   * Shares the page with its owner, then lets the hypervisor stamp it FREE. A VM without a page is
   * destroyed.
   */
  async #giveBuffer(hypercalls: Hypercalls, buffer: SharedBuffer, share: VmPlan['sharePage']): Promise<void> {
    if (!this.#isClosed && share?.(buffer.bytes) !== false && hypercalls.setIoreqBuffer() >= 0) return;
    await hypercalls.pauseVm();
    await hypercalls.destroyVm();
    this.#expectOpen();
    throw new UpcallError('HYPERCALL_FAILED', 'the VM cannot have its page of request slots', {
      remedy: 'Give the address of a whole, mapped page',
    });
  }

  /** The lowest ID that no VM has, as in ACRN. */
  #takeId(): number {
    for (let id = 1; id < INVALID_VM_ID; id++)
      if (!this.#ids.has(id)) {
        this.#ids.add(id);
        return id;
      }
    throw new UpcallError('VM_LIMIT', `${this.#ids.size} User VMs`, { remedy: 'Destroy some of them' });
  }

  /** Without the worker a VM would wait for its first answer forever. */
  #expectOpen(): void {
    if (!this.#isClosed) return;
    throw new UpcallError('VM_STATE', 'the Service VM is closed', { remedy: 'Make a new ServiceVm' });
  }
}
