/**
 * ServiceVm: one hypervisor, one HSM, and its User VMs. It lives in the thread that makes it, whose event loop runs the
 * HSM's worker and the devices.
 */

import { readFile } from 'node:fs/promises';
import { checkFaultPlan } from './fault-injection/fault-injection.js';
import type { FaultPlan } from './fault-injection/fault-rule.js';
import { CLIENT_TIMEOUT_MS, LATE_POLICIES, type LatePolicy } from './hsm/time-limit.js';
import type { IoClient } from './hsm/io-client.js';
import { HypervisorServiceModule } from './hsm/service-module.js';
import { VmRequests } from './hsm/vm-requests.js';
import { prepareGuestImage, type GuestImage, type GuestImageOptions } from './hypervisor/boot/guest-image.js';
import { MAX_VCPUS, type Hypervisor, type VmEvent } from './hypervisor/hypervisor.js';
import { Upcall } from './hypervisor/upcall.js';
import { AcrnError } from './io-request/acrn-error.js';
import { SharedBuffer } from './io-request/shared-buffer.js';
import { LateStacks } from './late-stacks.js';
import { VmTrace } from './trace/vm-trace.js';
import { UserVm } from './user-vm.js';

const MIB = 1024 * 1024;
export const DEFAULT_MEMORY_MIB = 64;
/** The embedded core's address space leaves MMIO above 3 GiB; more than 2 GiB nobody has tried. */
export const MAX_MEMORY_MIB = 2048;

export interface UserVmOptions {
  /** For messages; "vm" and a number unless given. */
  readonly name?: string;
  /** 1…2048, default 64. */
  readonly memoryMiB?: number;
  /** 1…16 where the hypervisor can; default 1. */
  readonly vcpus?: number;
  /** A file, or bytes with what belongs to them. A VM without an image runs what its hypervisor has (scripts). */
  readonly image?: string | GuestImageOptions;
  /** For an image given as a file. */
  readonly cmdline?: string;
  /** vCPUs poll for completion instead of sleeping: quick, and a core is busy. */
  readonly completionPolling?: boolean;
  /** How long a client may take for a request, in ms (default 5000); Infinity for no limit. */
  readonly clientTimeoutMs?: number;
  /** What becomes of a request that takes longer: `all-ones` (default) takes its client out; `wait` only tells. */
  readonly late?: LatePolicy;
  /** Tells where a late device waits; makes every promise of the process slower. */
  readonly lateStacks?: boolean;
  /** As ACRN's hypervisor does, answer some PCI configuration accesses before they become requests; off unless given. */
  readonly interceptPci?: boolean;
  /** Counts requests and their latency. */
  readonly statistics?: boolean;
  /** Makes chosen requests and interrupts fail in chosen ways; see docs/fault-injection.md. */
  readonly faults?: FaultPlan;
}

export class ServiceVm {
  readonly hypervisor: Hypervisor;
  readonly #upcall = new Upcall();
  readonly #module: HypervisorServiceModule;
  readonly #vms = new Set<UserVm>();
  #nextVmId = 1;
  #isClosed = false;

  constructor(hypervisor: Hypervisor) {
    this.hypervisor = hypervisor;
    this.#module = new HypervisorServiceModule({
      upcall: this.#upcall,
      turn: () => new Promise((resolve) => setImmediate(resolve)),
    });
    this.#module.worker.start();
  }

  /** The User VMs that have not ended. */
  get vms(): readonly UserVm[] {
    return [...this.#vms];
  }

  /** A VM in state CREATED: attach its devices, then start it. Rejects with AcrnError; nothing is left running then. */
  async createUserVm(options: UserVmOptions = {}): Promise<UserVm> {
    const vmId = this.#nextVmId++;
    const name = options.name ?? `vm${vmId}`;
    const memoryBytes = checkMemory(options.memoryMiB ?? DEFAULT_MEMORY_MIB) * MIB;
    const vcpuCount = checkVcpus(options.vcpus ?? 1);
    const late = checkLate(options.late ?? 'all-ones');
    const clientTimeoutMs = checkTimeout(options.clientTimeoutMs ?? CLIENT_TIMEOUT_MS);
    if (options.faults !== undefined) checkFaultPlan(options.faults);
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
        measureLatency: false,
        interceptPci: options.interceptPci ?? false,
      },
      buffer,
      this.#upcall,
      (event) => (vm === undefined ? early.push(event) : vm.hear(event)),
    );
    if (this.#isClosed) {
      await hypercalls.pauseVm();
      await hypercalls.destroyVm();
    }
    this.#expectOpen();
    hypercalls.setIoreqBuffer();
    const trace = new VmTrace(hypercalls.shared.trace);
    for (const slot of buffer.slots) slot.watcher = trace.recorder;
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
        event: (event) => vm?.tell(event),
        dispatched: (_, request, client) => {
          statistics?.dispatched(request, client);
          trace.wake();
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
      faults: options.faults,
      lateStacks: options.lateStacks === true ? new LateStacks() : undefined,
    }));
    this.#module.addVm(requests);
    this.#vms.add(made);
    void made.ended.then(() => this.#vms.delete(made));
    for (const event of early) made.hear(event);
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
    throw new AcrnError('VM_STATE', 'the Service VM is closed', { remedy: 'Make a new ServiceVm' });
  }
}

function checkMemory(memoryMiB: number): number {
  if (Number.isInteger(memoryMiB) && memoryMiB >= 1 && memoryMiB <= MAX_MEMORY_MIB) return memoryMiB;
  throw new AcrnError('OPTION_INVALID', `${memoryMiB} MiB of memory`, {
    remedy: `Give a whole number from 1 to ${MAX_MEMORY_MIB}`,
  });
}

function checkTimeout(timeoutMs: number): number {
  if (timeoutMs > 0) return timeoutMs;
  throw new AcrnError('OPTION_INVALID', `${timeoutMs} ms for a client to answer`, {
    remedy: 'Give a number above 0, or Infinity for no limit',
  });
}

function checkLate(late: LatePolicy): LatePolicy {
  if (LATE_POLICIES.includes(late)) return late;
  throw new AcrnError('OPTION_INVALID', `"${late}" says not what to do with a late client`, {
    remedy: `Give one of ${LATE_POLICIES.join(', ')}`,
  });
}

function checkVcpus(vcpus: number): number {
  if (Number.isInteger(vcpus) && vcpus >= 1 && vcpus <= MAX_VCPUS) return vcpus;
  throw new AcrnError('VM_LIMIT', `${vcpus} vCPUs`, {
    remedy: `A VM has 1 to ${MAX_VCPUS}: its page has so many slots`,
  });
}

async function prepareImage(options: UserVmOptions, memoryBytes: number): Promise<GuestImage | undefined> {
  const { image, cmdline } = options;
  if (image === undefined) return undefined;
  const prepared = await prepareGuestImage(
    typeof image === 'string'
      ? { image: await readImage(image), ...(cmdline === undefined ? {} : { cmdline }) }
      : { ...image, ...(cmdline === undefined ? {} : { cmdline }) },
  );
  prepared.check(memoryBytes);
  return prepared;
}

/** Reads a guest image or one of its parts. Throws IMAGE_NOT_FOUND. */
export async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new AcrnError('IMAGE_NOT_FOUND', `cannot read ${path} (${reason})`, {
      remedy: 'Check the path and its permissions',
      cause: error,
    });
  }
}
