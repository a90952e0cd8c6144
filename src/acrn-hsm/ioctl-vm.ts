/**
 * IoctlVm: the VM of one open file of /dev/acrn_hsm. It is a UserVm with what the file's ioctls set
 * up around it: memory segments, ioeventfds, irqfds, rings, and the client of ACRN userspace.
 *
 * Called by: HsmFile and event-ioctls.ts, for each ioctl; refused-ioctls.ts, which reads its state.
 * HsmDevice creates it for CREATE_VM. Methods for an ioctl return its result: 0 or −errno.
 */

import type { InterruptLine } from '../device-model/device.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import { RingId } from '../hypervisor/async-io-hypercalls.js';
import { INTERRUPT_LINES } from '../hypervisor/interrupt-lines.js';
import { AsyncIoEvents } from '../hsm/async-io.js';
import type { AcrnVmEvents } from '../hsm/acrn-vm-events.js';
import { Errno } from '../io-request/errno.js';
import { IoEventFds } from '../hsm/ioeventfd.js';
import { IrqFds } from '../hsm/irqfd.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import type { ManualLifeCycle } from '../vm/manual-life-cycle.js';
import type { UpcallError } from '../io-request/upcall-error.js';
import type { UserVm } from '../vm/user-vm.js';
import type { AddressSpace } from './address-space.js';
import type { Hardware } from './hardware.js';
import { MemorySegments } from './memory-segments.js';
import { UserspaceClient } from './userspace-client.js';

/**
 * The levels that each operation of SET_IRQLINE drives, in order. The index is the operation: 0
 * high, 1 low, 2 a rising pulse, 3 a falling pulse.
 */
const LEVELS: readonly (readonly boolean[])[] = [[true], [false], [true, false], [false, true]];

export interface IoctlVmParts {
  readonly userVm: UserVm;
  readonly lifeCycle: ManualLifeCycle;
  readonly caller: AddressSpace;
  readonly hardware: Hardware;
  /** See HsmDeviceOptions.onRefused. */
  readonly onRefused: (error: UpcallError) => void;
}

export class IoctlVm {
  readonly userVm: UserVm;
  readonly lifeCycle: ManualLifeCycle;
  readonly ioEvents: IoEventFds;
  readonly irqEvents: IrqFds;
  readonly segments: MemorySegments;
  /** Asynchronous I/O. Undefined where the hypervisor makes a request of every write. */
  readonly asyncIo: AsyncIoEvents | undefined;
  readonly #caller: AddressSpace;
  /**
   * The lines that SET_IRQLINE has driven, for the operator's table of lines. Levels are set
   * through these outputs only in a VM with a fault plan.
   */
  readonly #drivenLines = new Map<number, InterruptLine>();
  #userspace: UserspaceClient | undefined;

  constructor({ userVm, lifeCycle, caller, hardware, onRefused }: IoctlVmParts) {
    this.userVm = userVm;
    this.lifeCycle = lifeCycle;
    this.#caller = caller;
    const { id, hypercalls, requests, acrnEvents } = userVm;
    this.ioEvents = new IoEventFds(id, userVm);
    this.irqEvents = new IrqFds(({ address, data }) => {
      caller.collectWritten?.();
      if (userVm.injectMsi('irqfd', address, data) < 0) userVm.emit({ kind: 'injection-failed', vmId: id });
    }, hypercalls.messageEvents);
    this.segments = new MemorySegments({ vmId: id, memory: hypercalls.memory, caller, hardware, onRefused });
    userVm.createClient(this.ioEvents);
    userVm.onEvent(({ kind }) => {
      if (kind === 'ended') this.irqEvents.close();
    });
    if (hypercalls.asyncIo === undefined || acrnEvents === undefined) return;
    this.asyncIo = new AsyncIoEvents(hypercalls.asyncIo);
    requests.work.add(this.asyncIo);
    requests.work.add(acrnEvents);
  }

  get hypercalls(): Hypercalls {
    return this.userVm.hypercalls;
  }

  get requests(): VmRequests {
    return this.userVm.requests;
  }

  get vmEvents(): AcrnVmEvents | undefined {
    return this.userVm.acrnEvents;
  }

  /** The client of CREATE_IOREQ_CLIENT. Undefined before that ioctl and after its removal. */
  get userspace(): UserspaceClient | undefined {
    const client = this.#userspace;
    return client !== undefined && this.userVm.inspection.isDefault(client) ? client : undefined;
  }

  /** CREATE_IOREQ_CLIENT. */
  createUserspace(): number {
    const { userVm, requests, hypercalls } = this;
    if (requests.clients.default !== undefined) return Errno.EEXIST;
    const client: UserspaceClient = new UserspaceClient({
      vcpuCount: hypercalls.vcpuCount,
      buffer: userVm.buffer,
      assignedSlots: () => userVm.inspection.assignedSlots(client),
    });
    this.#userspace = client;
    return userVm.createDefaultClient(client);
  }

  /** DESTROY_IOREQ_CLIENT. */
  destroyUserspace(): void {
    if (this.userspace !== undefined) this.userVm.destroyClient(this.userspace);
  }

  /**
   * NOTIFY_REQUEST_FINISH. An answer that a breakpoint may hold or a fault plan alter goes
   * through its client.
   */
  finishRequest(vcpu: number): number {
    const { userspace } = this;
    return userspace?.takesAnswer(vcpu) === true ? userspace.finish(vcpu) : this.requests.finishDefault(vcpu);
  }

  /**
   * SET_IRQLINE. In a VM with a fault plan, levels go through its faulty line, so that fault rules
   * can apply to the edges.
   */
  setIrqLine(gsi: number, operation: number): number {
    const { faults, hypercalls } = this.userVm;
    const levels = LEVELS[operation];
    if (levels === undefined || gsi >= INTERRUPT_LINES) return hypercalls.setIrqLine(gsi, operation);
    let line = this.#drivenLines.get(gsi);
    if (line === undefined) this.#drivenLines.set(gsi, (line = this.userVm.interruptLine(gsi, 'SET_IRQLINE')));
    if (faults === undefined) return hypercalls.setIrqLine(gsi, operation);
    for (const isHigh of levels) line.set(isHigh);
    return 0;
  }

  /** SETUP_ASYNCIO and SETUP_VM_EVENT_RING: the caller's page becomes the ring. */
  setupRing(id: RingId, address: bigint): number {
    const { asyncIo } = this.hypercalls;
    const page = new Uint8Array(PAGE_BYTES);
    if (!this.#caller.read(address, page)) return Errno.EFAULT;
    if (asyncIo === undefined || address % BigInt(PAGE_BYTES) !== 0n) return Errno.EPERM;
    const result = asyncIo.setupRing(id, page);
    if (result < 0) return result;
    return this.#caller.share(address, asyncIo.ringBytes(id)) ? 0 : Errno.EFAULT;
  }
}
