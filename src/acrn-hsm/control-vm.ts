/**
 * ControlVm: everything that belongs to the VM of one open file: its hypercalls, its requests, its events. HsmDevice makes
 * it for CREATE_VM; HsmFile answers the ioctls with it.
 */

import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { RingId } from '../hypervisor/async-io-hypercalls.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { AsyncIoEvents } from '../hsm/async-io.js';
import { IoEventFds } from '../hsm/ioeventfd.js';
import { IrqFds } from '../hsm/irqfd.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import { AcrnVmEvents } from '../hsm/acrn-vm-events.js';
import type { AddressSpace } from './address-space.js';
import { Errno } from '../hsm/errno.js';
import type { Hardware } from './hardware.js';
import { MemorySegments } from './memory-segments.js';
import { UserspaceClient } from './userspace-client.js';

export interface ControlVmParts {
  readonly vmId: number;
  readonly hypercalls: Hypercalls;
  readonly requests: VmRequests;
  readonly caller: AddressSpace;
  readonly hardware: Hardware;
  /** An irqfd's injection was refused; for the log. */
  readonly injectionFailed: () => void;
}

export class ControlVm {
  readonly vmId: number;
  readonly hypercalls: Hypercalls;
  readonly requests: VmRequests;
  readonly ioEvents: IoEventFds;
  readonly irqEvents: IrqFds;
  readonly segments: MemorySegments;
  /** Undefined where the hypervisor makes a request of every write. */
  readonly asyncIo: AsyncIoEvents | undefined;
  readonly vmEvents: AcrnVmEvents | undefined;
  readonly #caller: AddressSpace;
  #userspace: UserspaceClient | undefined;

  constructor({ vmId, hypercalls, requests, caller, hardware, injectionFailed }: ControlVmParts) {
    this.vmId = vmId;
    this.hypercalls = hypercalls;
    this.requests = requests;
    this.#caller = caller;
    this.ioEvents = new IoEventFds(vmId, requests);
    this.irqEvents = new IrqFds(({ address, data }) => {
      if (hypercalls.injectMsi(address, data) < 0) injectionFailed();
    });
    this.segments = new MemorySegments(vmId, hypercalls.memory, caller, hardware);
    requests.createClient(this.ioEvents);
    if (hypercalls.asyncIo === undefined) return;
    this.asyncIo = new AsyncIoEvents(hypercalls.asyncIo);
    this.vmEvents = new AcrnVmEvents(hypercalls.asyncIo);
    requests.addSideWork(this.asyncIo);
    requests.addSideWork(this.vmEvents);
  }

  /** The client of CREATE_IOREQ_CLIENT; undefined when there is none, or when the HSM took it out. */
  get userspace(): UserspaceClient | undefined {
    return this.requests.defaultClient === this.#userspace ? this.#userspace : undefined;
  }

  createUserspace(): number {
    if (this.requests.defaultClient !== undefined) return Errno.EEXIST;
    const client = new UserspaceClient(
      this.hypercalls.vcpuCount,
      (candidate) => this.requests.assignedSlots(candidate) !== 0,
    );
    this.#userspace = client;
    return this.requests.createDefaultClient(client);
  }

  /** SETUP_ASYNCIO and SETUP_VM_EVENT_RING: the caller's page becomes the ring. */
  setupRing(id: RingId, address: bigint): number {
    const { asyncIo } = this.hypercalls;
    const page = new Uint8Array(PAGE_BYTES);
    if (!this.#caller.read(address, page)) return Errno.EFAULT;
    if (asyncIo === undefined || address % BigInt(PAGE_BYTES) !== 0n) return Errno.EPERM;
    const result = asyncIo.setupRing(id, page);
    if (result < 0) return result;
    return this.#caller.share(address, new Uint8Array(asyncIo.ringPage(id))) ? 0 : Errno.EFAULT;
  }

  /** The VM is gone. */
  close(): void {
    this.irqEvents.close();
  }
}
