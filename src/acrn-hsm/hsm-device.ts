/**
 * HsmDevice: /dev/acrn_hsm. It belongs to a Service VM with one hypervisor, and each `open` gives a file with which its
 * owner makes and runs one User VM, as with the real driver. `load` and `unload` are the module's: between them the
 * worker serves upcalls by itself.
 */

import { host } from '../host/current.js';
import type { Hypervisor, VmConfig, VmEvent } from '../hypervisor/hypervisor.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { Upcall } from '../hypervisor/upcall.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { PAGE_BYTES, SLOT_COUNT } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import type { HsmEvent } from '../hsm/hsm-observer.js';
import { HypervisorServiceModule } from '../hsm/service-module.js';
import { VmRequests } from '../hsm/vm-requests.js';
import type { AddressSpace } from './address-space.js';
import { ControlVm } from './control-vm.js';
import { LocalEventTable, type EventTable } from './event-table.js';
import { noHardware, type Hardware } from './hardware.js';
import { HsmFile } from './hsm-file.js';
import type { VM_CREATION } from './struct-layout.js';
import type { StructView } from './struct-view.js';

/** `vmid` of a file without a VM. */
export const INVALID_VM_ID = 0xffff;
/** `vm_flag` bit: vCPUs poll for completion. */
const FLAG_COMPLETION_POLLING = 4n;
const DEFAULT_MEMORY_BYTES = 64 * 1024 * 1024;

/** What the HSM says, what the hypervisor says of a VM (whose owner then pauses and destroys it), and refused injections. */
export type ControlEvent = HsmEvent | VmEvent | { readonly kind: 'injection-failed'; readonly vmId: number };

export interface HsmDeviceOptions {
  readonly hypervisor: Hypervisor;
  /** RAM of each VM; 64 MiB unless given. */
  readonly memoryBytes?: number;
  /** vCPUs of a VM whose creator names no CPUs; 1 unless given. */
  readonly vcpuCount?: number;
  /** The CPUs that a creator may name, one bit each; 16 unless given. */
  readonly cpuMask?: bigint;
  readonly hardware?: Hardware;
  /** The hypervisor looks at PCI configuration accesses before the HSM, as ACRN's does; not unless given. */
  readonly interceptPci?: boolean;
  /** Also the ioctls of ACRN's own kernel: asynchronous I/O and VM events. */
  readonly hasExtensions?: boolean;
  /** How long a client may take for a request; the driver knows no limit, and neither does this unless given. */
  readonly clientTimeoutMs?: number;
  readonly observer?: (event: ControlEvent) => void;
  /** CLEAR's sleep, for tests. */
  readonly sleep?: (ms: number) => Promise<void>;
}

export class HsmDevice {
  readonly module: HypervisorServiceModule;
  readonly upcall = new Upcall();
  readonly #options: HsmDeviceOptions;
  readonly #files = new Set<HsmFile>();
  readonly #vmIds = new Set<number>();

  constructor(options: HsmDeviceOptions) {
    this.#options = options;
    this.module = new HypervisorServiceModule({
      upcall: this.upcall,
      turn: () => host.turn(),
    });
  }

  /** The module's initialisation: upcalls are served from now on. Throws UpcallError (−ENODEV) where the hypervisor is not available. */
  async load(): Promise<void> {
    const availability = await this.#options.hypervisor.available();
    if (!availability.available)
      throw new UpcallError('HYPERVISOR_UNAVAILABLE', availability.reason, { remedy: availability.remedy, errno: -19 });
    this.module.worker.start();
  }

  /** The module's end: closes what is open. */
  async unload(): Promise<void> {
    await Promise.all([...this.#files].map((file) => file.close()));
    await this.module.worker.stop();
  }

  /** A file without a VM. `caller` is the memory of the process that opens it, `events` its descriptors. */
  open(caller: AddressSpace, events: EventTable = new LocalEventTable()): HsmFile {
    const file = new HsmFile({
      caller,
      events,
      hardware: this.#options.hardware ?? noHardware,
      hasExtensions: this.#options.hasExtensions ?? false,
      createVm: (creation) => this.#createVm(creation, caller),
      destroyClient: (vm) => {
        if (vm.userspace !== undefined) this.module.destroyClient(vm.requests, vm.userspace);
      },
      removeVm: (vm) => this.#removeVm(vm),
      closed: () => this.#files.delete(file),
    });
    this.#files.add(file);
    return file;
  }

  /** Undefined when the hypervisor or the caller's page will not do; nothing is left then. Fills in `vmid` and `vcpu_num`. */
  async #createVm(creation: StructView<typeof VM_CREATION>, caller: AddressSpace): Promise<ControlVm | undefined> {
    const vmId = this.#freeVmId();
    const config = this.#configOf(creation, vmId);
    if (vmId === INVALID_VM_ID || config === undefined) return undefined;
    this.#vmIds.add(vmId);
    const buffer = new SharedBuffer(new SharedArrayBuffer(PAGE_BYTES));
    const hypercalls = await this.#create(config, buffer);
    const address = creation.big('ioreq_buf');
    // The driver takes any address and means the page around it; a caller that does not know that is lost, so it is told.
    const isShared =
      hypercalls !== undefined &&
      address % BigInt(PAGE_BYTES) === 0n &&
      caller.share(address, new Uint8Array(buffer.page));
    if (hypercalls === undefined || !isShared || hypercalls.setIoreqBuffer() < 0) {
      this.#vmIds.delete(vmId);
      await hypercalls?.pauseVm();
      await hypercalls?.destroyVm();
      return undefined;
    }
    const { clientTimeoutMs = Infinity, observer, sleep, hardware = noHardware } = this.#options;
    const requests = new VmRequests({
      vmId,
      buffer,
      hypercalls,
      clientTimeoutMs,
      observer: { event: (event) => observer?.(event) },
      ...(sleep === undefined ? {} : { sleep }),
    });
    const injectionFailed = (): void => observer?.({ kind: 'injection-failed', vmId });
    const vm = new ControlVm({ vmId, hypercalls, requests, caller, hardware, injectionFailed });
    this.module.addVm(requests);
    creation.set('vmid', vmId).set('vcpu_num', config.vcpuCount);
    return vm;
  }

  /** Undefined: CPUs that are not there. */
  #configOf(creation: StructView<typeof VM_CREATION>, vmId: number): VmConfig | undefined {
    const {
      memoryBytes = DEFAULT_MEMORY_BYTES,
      vcpuCount = 1,
      cpuMask = (1n << BigInt(SLOT_COUNT)) - 1n,
    } = this.#options;
    const affinity = creation.big('cpu_affinity');
    if ((affinity & ~cpuMask) !== 0n) return undefined;
    const bytes = Array.from({ length: 16 }, (_, i) => creation.number('uuid', i));
    const end = bytes.indexOf(0);
    const name = String.fromCharCode(...bytes.slice(0, end < 0 ? undefined : end)).replace(/[^ -~]/g, '?');
    return {
      name: name === '' ? `vm${vmId}` : name,
      memoryBytes,
      vcpuCount: affinity === 0n ? vcpuCount : countBits(affinity),
      completionPolling: (creation.big('vm_flag') & FLAG_COMPLETION_POLLING) !== 0n,
      interceptPci: this.#options.interceptPci ?? false,
    };
  }

  async #create(config: VmConfig, buffer: SharedBuffer): Promise<Hypercalls | undefined> {
    const { hypervisor, observer } = this.#options;
    try {
      return await hypervisor.createVm(config, buffer, this.upcall, (event) => observer?.(event));
    } catch (error) {
      // CREATE_VM has one answer for every failure; anything but a refusal is a bug of ours.
      if (error instanceof UpcallError) return undefined;
      throw error;
    }
  }

  #removeVm(vm: ControlVm): void {
    this.module.removeVm(vm.requests);
    vm.close();
    this.#vmIds.delete(vm.vmId);
  }

  #freeVmId(): number {
    for (let vmId = 1; vmId < INVALID_VM_ID; vmId++) if (!this.#vmIds.has(vmId)) return vmId;
    return INVALID_VM_ID;
  }
}

function countBits(bits: bigint): number {
  let count = 0;
  for (let left = bits; left !== 0n; left &= left - 1n) count++;
  return count;
}
