/**
 * ServiceVm: one hypervisor, one HSM (Hypervisor Service Module), and the User VMs that run on
 * them. Every User VM is put together here.
 *
 * Called by: the operator's program, and /dev/acrn_hsm (acrn-hsm/).
 * Threads: the thread that creates it is the Service VM's. The event loop of that thread runs the
 * HSM's worker and the devices.
 */

import { host } from '../host/current.js';
import type { IoClient } from '../hsm/io-client.js';
import { HypervisorServiceModule } from '../hsm/service-module.js';
import { ThreadHolder } from '../hsm/thread-holder.js';
import { VmRequests } from '../hsm/vm-requests.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { Hypervisor, HypervisorEvent } from '../hypervisor/hypervisor.js';
import { Upcall } from '../hypervisor/upcall.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { atMost } from '../sync/bounded-wait.js';
import { LateRequestStacks } from './late-request-stacks.js';
import { VmTrace } from '../trace/vm-trace.js';
import { ThreadPinning, type Pin } from './thread-pinning.js';
import { prepareImage } from './image-file.js';
import { readSnapshot, type Snapshot } from './snapshot/snapshot.js';
import { planOf } from './plan-of-options.js';
import { checkSpinUs, checkUserVmOptions, type RestoreOptions, type UserVmOptions } from './user-vm-options.js';
import { UserVm } from './user-vm.js';
import { VmLifeCycle } from './vm-life-cycle.js';
import type { VmPlan } from './vm-plan.js';

/** ACRN's value for no VM: IDs are below it. */
export const INVALID_VM_ID = 0xffff;

/** How long, in ms, `close` waits for VMs whose creation is in progress. */
const CREATION_LIMIT_MS = 2000;

export interface ServiceVmOptions {
  /**
   * How long the HSM's worker and the vCPUs spin before they park, in microseconds, 0…10000.
   * Default: adaptive (sync/adaptive-spin.ts).
   */
  readonly spinUs?: number;
  /** On which CPUs threads run. Default: auto (thread-pinning.ts). */
  readonly pin?: Pin;
  /** The former name of `spinUs`: refused with OPTION_INVALID. */
  readonly lookUs?: never;
}

export class ServiceVm {
  readonly hypervisor: Hypervisor;
  /** What a vCPU rings to wake the worker. */
  readonly #upcall = new Upcall();
  /** The HSM and its worker. */
  readonly module: HypervisorServiceModule;
  readonly #spinUs: number | undefined;
  /** On which CPUs its threads run. */
  readonly pinning: ThreadPinning;
  /** Names what kept this thread from its event loop, for time limits that fired late. */
  readonly #holder = new ThreadHolder(() => host.processorMs());
  readonly #vms = new Set<UserVm>();
  /** IDs in use, those of VMs that are being created included. */
  readonly #ids = new Set<number>();
  /** Those in progress. */
  readonly #creations = new Set<Promise<UserVm>>();
  #isClosed = false;

  /** Throws OPTION_INVALID. */
  constructor(hypervisor: Hypervisor, options: ServiceVmOptions = {}) {
    this.hypervisor = hypervisor;
    this.#spinUs = checkSpinUs(options);
    this.pinning = new ThreadPinning(options.pin ?? 'auto', this.#spinUs);
    const { waker } = this.pinning;
    if (waker !== undefined) this.#upcall.waker = waker;
    this.module = new HypervisorServiceModule({
      upcall: this.#upcall,
      spinUs: this.#spinUs,
      waker,
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
    const image = await prepareImage(options, { ...checked, longMode: this.hypervisor.longMode });
    return this.createVm({
      ...planOf(options, checked),
      createLifeCycle: (parts) => new VmLifeCycle(parts, image),
    });
  }

  /**
   * Creates a VM from a checked plan. Rejects with UpcallError, and then nothing is left running.
   */
  async createVm(plan: VmPlan): Promise<UserVm> {
    this.#expectOpen();
    const id = this.#takeId();
    this.pinning.add(id, plan.vcpuCount);
    const creation = this.#create(id, plan);
    this.#creations.add(creation);
    try {
      return await creation;
    } catch (error) {
      this.pinning.remove(id);
      this.#ids.delete(id);
      throw error;
    } finally {
      this.#creations.delete(creation);
    }
  }

  /**
   * Creates a VM in state CREATED that goes on from a snapshot, which may be the name of its file:
   * attach the devices that it had, then start it. Rejects with UpcallError, and then nothing is
   * left running.
   */
  async restore(from: string | Snapshot, options: RestoreOptions = {}): Promise<UserVm> {
    const checked = checkUserVmOptions(options);
    this.#expectOpen();
    const snapshot = typeof from === 'string' ? await readSnapshot(from) : from;
    snapshot.expectHypervisor(this.hypervisor.name, await this.hypervisor.stateVersion?.());
    const { name, memoryBytes, vcpuCount, completionPolling, interceptPci } = snapshot.parts;
    const image = await prepareImage(options, { memoryBytes, vcpuCount, longMode: this.hypervisor.longMode });
    return this.createVm({
      ...planOf(options, { ...checked, memoryBytes, vcpuCount }),
      name: options.name ?? name,
      completionPolling,
      interceptPci,
      snapshot,
      createLifeCycle: (parts) => new VmLifeCycle(parts, image, snapshot),
    });
  }

  /**
   * Destroys every User VM and stops the worker. A VM that is being created is destroyed once it
   * is, within CREATION_LIMIT_MS: Node may abort the process if a thread is ended while it loads an
   * addon.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const created = atMost(CREATION_LIMIT_MS, Promise.allSettled([...this.#creations]));
    await Promise.all([created, ...this.vms.map((vm) => vm.destroy())]);
    await this.module.worker.stop();
    this.pinning.close();
  }

  /**
   * Puts the VM together, from the hypervisor up: its side (threads, memory), the page, the trace
   * and the statistics, the HSM's side, the UserVm around them. The worker serves the VM from
   * `addVm` on.
   *
   * Two parts use others that are created after them. The hypervisor may report an event before the
   * UserVm exists: `early` keeps it. The statistics ask the HSM's side for ranges, but not before
   * the first request, so `requests` is only named before it is created.
   */
  async #create(id: number, plan: VmPlan): Promise<UserVm> {
    const name = plan.name ?? `vm${id}`;
    const buffer = new SharedBuffer(plan.allocatePage?.('requests'));
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
        waker: this.pinning.waker,
        cpuOf: (vcpu) => this.pinning.cpuOf(vcpu),
        restored: plan.snapshot?.parts.vcpus,
        allocatePage: plan.allocatePage,
      },
      buffer,
      this.#upcall,
      (event) => (vm === undefined ? early.push(event) : vm.onHypervisorEvent(event)),
    );
    await this.#setBuffer(hypercalls, buffer, plan.sharePage);
    await this.#restoreInto(hypercalls, buffer, plan.snapshot);
    const trace = new VmTrace(hypercalls.shared.trace);
    for (const slot of buffer.slots) trace.recorder.observe(slot);
    if (plan.statistics) hypercalls.shared.lines.countRises();
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
      holder: this.#holder,
      late: plan.late,
      observer: {
        // The HSM reports nothing before `addVm`, when the UserVm exists.
        event: (event) => vm?.emit(event),
        dispatched: (_, request, client) => {
          statistics?.dispatched(request, client);
          // A reader of the trace wants its turn of the event loop, which the worker may keep busy.
          if (trace.dispatched()) this.module.worker.turnSoon();
        },
        assigning: (client) => trace.assigning(client),
        forcing: (isForced) => (trace.recorder.isForced = isForced),
      },
      ...(plan.sleep === undefined ? {} : { sleep: plan.sleep }),
    });
    // A second name, because for TypeScript `vm` may be undefined.
    const created = (vm = new UserVm({
      id,
      name,
      hypervisor: this.hypervisor,
      completionPolling: plan.completionPolling,
      interceptPci: plan.interceptPci,
      hypercalls,
      buffer,
      module: this.module,
      requests,
      statistics,
      trace,
      startTimeoutMs: plan.startTimeoutMs,
      faults: plan.faults,
      lateStacks: plan.lateStacks ? new LateRequestStacks() : undefined,
      hasDefaultClient: plan.hasDefaultClient,
      createLifeCycle: plan.createLifeCycle,
      onEnd: () => {
        this.#vms.delete(created);
        this.#ids.delete(id);
        this.pinning.remove(id);
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
   * Shares the page with ACRN userspace, if the plan has one, then gives it to the hypervisor,
   * which makes every slot FREE. If either refuses, destroys the VM and throws.
   */
  async #setBuffer(hypercalls: Hypercalls, buffer: SharedBuffer, sharePage: VmPlan['sharePage']): Promise<void> {
    if (!this.#isClosed && sharePage?.(buffer.bytes) !== false && hypercalls.setIoreqBuffer() >= 0) return;
    await destroy(hypercalls);
    this.#expectOpen();
    throw new UpcallError('HYPERCALL_FAILED', 'the VM cannot have its page of request slots', {
      remedy: 'Give the address of a whole, mapped page',
    });
  }

  /** Throws SNAPSHOT_INVALID, and then the VM is destroyed. */
  async #restoreInto(hypercalls: Hypercalls, buffer: SharedBuffer, snapshot: Snapshot | undefined): Promise<void> {
    try {
      snapshot?.intoVm(hypercalls, buffer);
    } catch (error) {
      await destroy(hypercalls);
      throw error;
    }
  }

  /** Reserves the lowest free ID, as ACRN does. */
  #takeId(): number {
    for (let id = 1; id < INVALID_VM_ID; id++)
      if (!this.#ids.has(id)) {
        this.#ids.add(id);
        return id;
      }
    throw new UpcallError('VM_LIMIT', `${this.#ids.size} User VMs`, { remedy: 'Destroy some of them' });
  }

  /** Throws after `close`: without the worker a VM would wait for its first answer forever. */
  #expectOpen(): void {
    if (!this.#isClosed) return;
    throw new UpcallError('VM_STATE', 'the Service VM is closed', { remedy: 'Create a new ServiceVm' });
  }
}

/** A VM that no UserVm has yet. */
async function destroy(hypercalls: Hypercalls): Promise<void> {
  await hypercalls.pauseVm();
  await hypercalls.destroyVm();
}
