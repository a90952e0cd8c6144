/**
 * HsmDevice: /dev/acrn_hsm of a Service VM. Each `open` gives a file with which its owner creates
 * and runs one User VM, as with the real driver. ServiceVm puts that VM together like any other, so
 * its operator has the same tools: `file.vm` is a UserVm with trace, statistics, faults and
 * breakpoints.
 *
 * Called by: acrn-programs/acrn-server.ts, conformance/, fuzzing/, and programs that drive a VM by
 * ioctls (examples/acrn-hsm.js).
 *
 * The options say what all its VMs have that the ioctl CREATE_VM cannot ask for.
 */

import { checkFaultPlan } from '../fault-injection/fault-injection.js';
import type { FaultPlan } from '../fault-injection/fault-rule.js';
import type { LatePolicy } from '../hsm/late-policy.js';
import { Errno } from '../io-request/errno.js';
import { PAGE_BYTES, SLOT_COUNT } from '../io-request/layout.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { ManualLifeCycle } from '../vm/manual-life-cycle.js';
import type { ServiceVm } from '../vm/service-vm.js';
import { DEVICE_START_MS } from '../vm/user-vm-options.js';
import type { UserVm } from '../vm/user-vm.js';
import type { VmPlan } from '../vm/vm-plan.js';
import type { AddressSpace } from './address-space.js';
import { LocalEventTable, type EventTable } from './event-table.js';
import { noHardware, type Hardware } from './hardware.js';
import { HsmFile } from './hsm-file.js';
import { IoctlVm } from './ioctl-vm.js';
import type { RefusedIoctl } from './refused-ioctls.js';
import { VM_CREATION } from './struct-layout.js';
import type { StructView } from './struct-view.js';

/**
 * Bit of CREATE_VM's `vm_flag`, GUEST_FLAG_IO_COMPLETION_POLLING of ACRN's acrn_common.h: vCPUs
 * poll for completion, and no hypercall wakes them.
 */
const FLAG_COMPLETION_POLLING = 4n;
const DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024;

export interface HsmDeviceOptions {
  /** RAM of each VM. Default: 64 MiB. */
  readonly memoryBytes?: number;
  /** vCPUs of a VM whose creator names no CPUs. Default: 1. */
  readonly vcpuCount?: number;
  /** Whether all VMs poll for completion. Default: those whose creator asks for it. */
  readonly completionPolling?: boolean;
  /**
   * The CPUs that a creator may name in `cpu_affinity`, one bit each. A VM has a vCPU for each CPU
   * that its creator names. Default: the lowest 16.
   */
  readonly cpuMask?: bigint;
  /** Default: none, every call is refused. */
  readonly hardware?: Hardware;
  /**
   * Whether the hypervisor filters PCI configuration accesses before the HSM, as ACRN's does: it
   * answers reads of 0xCF8 itself, and each write of 0xCF8 opens 0xCFC to 0xCFF for one access. See
   * hypervisor/pci-interception.ts. Default: false, all of them are requests.
   */
  readonly interceptPci?: boolean;
  /** Also the ioctls of ACRN's own kernel: asynchronous I/O and VM events. Default: false. */
  readonly hasExtensions?: boolean;
  /** How long a client may take for a request, in ms. Default: Infinity, as in the driver. */
  readonly clientTimeoutMs?: number;
  /** What happens to a request that takes longer. Default: `all-ones`. */
  readonly late?: LatePolicy;
  /** Counts requests and their latency. Default: false. */
  readonly statistics?: boolean;
  /** Makes chosen requests and interrupts fail in chosen ways; see docs/fault-injection.md. */
  readonly faults?: FaultPlan;
  /**
   * Where the page, the rings and the RAM of a VM lie, if their userspace is another process.
   * Default: in memory of this process only.
   */
  readonly memory?: MappableMemory;
  /**
   * Called when an ioctl is refused for a reason that the operator can mend. Its caller gets only
   * an errno. `caller` is the memory of the process that makes it.
   */
  readonly onRefused?: (error: UpcallError, caller: AddressSpace) => void;
  /**
   * Called for each refused ioctl for which `onRefused` was not called. A program may cause any
   * number of calls.
   */
  readonly onRefusedIoctl?: (refusal: RefusedIoctl, caller: AddressSpace) => void;
  /**
   * Called for each VM before CREATE_VM returns: the place to listen to its events or to open its
   * live page. If it returns a promise, CREATE_VM returns when that is settled, and the end of the
   * file waits for it, too. It must not throw or reject.
   */
  readonly onVm?: (vm: UserVm, caller: AddressSpace) => unknown;
  /** How CLEAR_VM_IOREQ sleeps while clients finish. For tests. Default: a timer. */
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Memory that other processes can map. */
export interface MappableMemory {
  /** As VmConfig.allocatePage. Throws if there is no more. */
  allocatePage(name: string): SharedArrayBuffer;
  /**
   * Makes a part of `buffer` mappable. Throws if it cannot. No thread may access the part during
   * the call.
   */
  add(name: string, buffer: SharedArrayBuffer, start: number, length: number): void;
  /** The VM of `buffer` has ended: there will be no new mapping. */
  release(buffer: SharedArrayBuffer): void;
}

export class HsmDevice {
  readonly #serviceVm: ServiceVm;
  readonly #options: HsmDeviceOptions;
  readonly #files = new Set<HsmFile>();

  /** Throws OPTION_INVALID for a fault plan that cannot be read. */
  constructor(serviceVm: ServiceVm, options: HsmDeviceOptions = {}) {
    if (options.faults !== undefined) checkFaultPlan(options.faults);
    this.#serviceVm = serviceVm;
    this.#options = options;
  }

  /**
   * The initialisation of the driver's module. Throws HYPERVISOR_UNAVAILABLE with errno ENODEV if
   * there is no hypervisor.
   */
  async load(): Promise<void> {
    const availability = await this.#serviceVm.hypervisor.available();
    if (!availability.available)
      throw new UpcallError('HYPERVISOR_UNAVAILABLE', availability.reason, {
        remedy: availability.remedy,
        errno: Errno.ENODEV,
      });
  }

  /**
   * The unloading of the module: closes every open file, which destroys its VM. The Service VM goes
   * on.
   */
  async unload(): Promise<void> {
    await Promise.all([...this.#files].map((file) => file.close()));
  }

  /**
   * open(2): a file without a VM. `caller` is the memory of the process that opens it, `events` its
   * file descriptors.
   */
  open(caller: AddressSpace, events: EventTable = new LocalEventTable()): HsmFile {
    const { hardware = noHardware, hasExtensions = false, onRefused, onRefusedIoctl } = this.#options;
    /** Whether `onRefused` was called for the ioctl that is about to be refused. */
    let isReported = false;
    const reported = (error: UpcallError): void => {
      isReported = true;
      onRefused?.(error, caller);
    };
    const refused = (refusal: RefusedIoctl): void => {
      if (!isReported) onRefusedIoctl?.(refusal, caller);
      isReported = false;
    };
    const file = new HsmFile({
      caller,
      events,
      hardware,
      hasExtensions,
      createVm: (creation) => this.#createVm(creation, caller, hardware, reported),
      closed: () => this.#files.delete(file),
      onRefusedIoctl: onRefusedIoctl === undefined ? undefined : refused,
    });
    this.#files.add(file);
    return file;
  }

  /**
   * CREATE_VM: fills in `vmid` and `vcpu_num` of `creation`, a copy of the caller's structure.
   * Resolves with undefined if the structure names a CPU that a VM cannot have, the hypervisor
   * refuses, or the caller's page for requests cannot be used.
   */
  async #createVm(
    creation: StructView<typeof VM_CREATION>,
    caller: AddressSpace,
    hardware: Hardware,
    onRefused: (error: UpcallError) => void,
  ): Promise<IoctlVm | undefined> {
    const { cpuMask = (1n << BigInt(SLOT_COUNT)) - 1n, onVm, memory } = this.#options;
    if ((creation.big('cpu_affinity') & ~cpuMask) !== 0n) {
      onRefused(new UpcallError('VM_LIMIT', 'CREATE_VM names a CPU that a VM cannot have'));
      return undefined;
    }
    // createVm calls createLifeCycle before onCreated.
    let lifeCycle: ManualLifeCycle;
    let vm: IoctlVm | undefined;
    let ready: unknown;
    const buffers: SharedArrayBuffer[] = [];
    const release = (): void => buffers.splice(0).forEach((buffer) => memory?.release(buffer));
    const allocatePage = (name: string): SharedArrayBuffer => {
      const buffer = memory?.allocatePage(name) ?? new SharedArrayBuffer(PAGE_BYTES);
      buffers.push(buffer);
      return buffer;
    };
    try {
      await this.#serviceVm.createVm({
        ...this.#plan(creation),
        createLifeCycle: (parts) => (lifeCycle = new ManualLifeCycle(parts)),
        ...(memory === undefined ? {} : { allocatePage }),
        sharePage: (page) => share(page, caller, creation.big('ioreq_buf')),
        onCreated: (userVm) => {
          const { buffer, byteOffset, byteLength } = userVm.hypercalls.memory.handle;
          memory?.add('ram', buffer, byteOffset, byteLength);
          buffers.push(buffer);
          userVm.onEvent(({ kind }) => {
            if (kind === 'ended') release();
          });
          vm = new IoctlVm({ userVm, lifeCycle, caller, hardware, onRefused });
          creation.set('vmid', userVm.id).set('vcpu_num', userVm.inspection.vcpuCount);
          ready = onVm?.(userVm, caller);
        },
      });
      await ready;
    } catch (error) {
      release();
      // CREATE_VM has one answer for every refusal. Any other error is a bug of this project.
      if (!(error instanceof UpcallError)) throw error;
      onRefused(error);
      return undefined;
    }
    return vm;
  }

  #plan(creation: StructView<typeof VM_CREATION>): Omit<VmPlan, 'createLifeCycle'> {
    const { vcpuCount = 1, sleep, ...options } = this.#options;
    const affinity = creation.big('cpu_affinity');
    return {
      name: nameOf(creation),
      memoryBytes: options.memoryBytes ?? DEFAULT_MEMORY_BYTES,
      vcpuCount: affinity === 0n ? vcpuCount : countBits(affinity),
      completionPolling:
        options.completionPolling === true || (creation.big('vm_flag') & FLAG_COMPLETION_POLLING) !== 0n,
      interceptPci: options.interceptPci ?? false,
      clientTimeoutMs: options.clientTimeoutMs ?? Infinity,
      late: options.late ?? 'all-ones',
      startTimeoutMs: DEVICE_START_MS,
      statistics: options.statistics ?? false,
      faults: options.faults,
      // It is for devices in this process. Such a VM has those of its program.
      lateStacks: false,
      // The default client is that of CREATE_IOREQ_CLIENT.
      hasDefaultClient: false,
      ...(sleep === undefined ? {} : { sleep }),
    };
  }
}

/**
 * The VM's name. Linux calls the 16 bytes of the field `uuid`. ACRN's hypervisor and its device
 * model use them for the VM's name, which ends at the first 0. If these are not all printable
 * ASCII, the name is the field as a UUID. Undefined if the first byte is 0.
 */
function nameOf(creation: StructView<typeof VM_CREATION>): string | undefined {
  const bytes = Array.from({ length: VM_CREATION.fields.uuid.count }, (_, i) => creation.number('uuid', i));
  const end = bytes.indexOf(0);
  const name = String.fromCharCode(...bytes.slice(0, end < 0 ? undefined : end));
  if (name === '') return undefined;
  if (/^[ -~]+$/.test(name)) return name;
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/**
 * Puts the VM's page of slots at the caller's address. The driver accepts an address within a page
 * and uses the whole page around it. Here such an address is refused: most likely it is a mistake.
 */
function share(page: Uint8Array, caller: AddressSpace, address: bigint): boolean {
  return address % BigInt(PAGE_BYTES) === 0n && caller.share(address, page);
}

function countBits(bits: bigint): number {
  let count = 0;
  for (let left = bits; left !== 0n; left &= left - 1n) count++;
  return count;
}
