/**
 * UserVm: one guest machine, as the program that operates it sees it: attach devices, start, reset,
 * destroy, listen, trace, hold requests. Most programs attach devices, whose ranges may not
 * overlap. I/O clients are the kernel document's own level: their ranges may overlap, and the
 * newest wins.
 *
 * Called by: the operator's program; devices, through `power` and `emit`; its creator, ServiceVm.
 * Threads: the Service VM's.
 */

import { wrappersFor, type ClientWrappers } from './client-wrappers.js';
import { SystemClock } from '../device-model/clock.js';
import { VmDebugger } from '../debugging/vm-debugger.js';
import { DefaultClient } from '../device-model/default-client.js';
import type { Device, InterruptLine, PowerControl } from '../device-model/device.js';
import type { LineOwner } from '../device-model/line-owners.js';
import { PciBus } from '../device-model/devices/pci/pci-bus.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import type { PciAddress, PciFunction } from '../device-model/pci-function.js';
import type { ThreadPlacement } from '../device-model/placement/thread-placement.js';
import type { FaultInjection } from '../fault-injection/fault-injection.js';
import type { AddressRange } from '../hsm/address-range.js';
import { AcrnVmEvents, POWER_OFF, rtcChanged } from '../hsm/acrn-vm-events.js';
import type { IoClient } from '../hsm/io-client.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { GuestMemory } from '../hypervisor/guest-memory.js';
import { HYPERCALL_REFUSED, type Hypercalls } from '../hypervisor/hypercalls.js';
import type { HypervisorEvent } from '../hypervisor/hypervisor.js';
import type { VcpuCounters } from '../hypervisor/vm-shared-state.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { MoveFilter } from '../trace/move-filter.js';
import type { Move } from '../trace/move.js';
import { expectAccepted, type LifeCycle } from './life-cycle.js';
import type { StatisticsSnapshot } from '../trace/statistics-snapshot.js';
import { expectSavable, takeSnapshot, type SavableVm, type SaveOptions } from './snapshot/take-snapshot.js';
import type { UserVmEvent, VmEnd } from './user-vm-events.js';
import type { UserVmParts } from './user-vm-parts.js';
import { UserVmListeners } from './user-vm-listeners.js';
import type { AttachedCard } from './vm-cards.js';
import { VmDevices } from './vm-devices.js';
import { injectFaults } from './vm-faults.js';
import { VmInspection } from './vm-inspection.js';

export class UserVm {
  /** 1…65534; used again after the VM has ended. */
  readonly id: number;
  readonly name: string;
  readonly hypervisorName: string;
  /** The hypervisor's side of this VM. */
  readonly hypercalls: Hypercalls;
  /** The HSM's side of this VM. */
  readonly requests: VmRequests;
  /** Guest memory, which starts at guest physical address 0. */
  readonly memory: GuestMemory;
  /** The shared page. */
  readonly buffer: SharedBuffer;
  /** ACRN's VM events, where the hypervisor has a ring for them. */
  readonly acrnEvents: AcrnVmEvents | undefined;
  readonly clock = new SystemClock();
  readonly pci = new PciBus();
  readonly defaultClient = new DefaultClient(this.pci);
  /** How a device, for example the reset port, powers off or resets the machine for the guest. */
  readonly power: PowerControl;
  /** Resolves once, when the VM has ended and is destroyed. */
  readonly ended: Promise<VmEnd>;
  /** Injects the faults of the VM's fault plan. Undefined if it was created without one. */
  readonly faults: FaultInjection | undefined;
  /** Breakpoints on requests and interrupts, and the requests that it holds for the operator. */
  readonly debugger: VmDebugger;
  /** Clients, slots and registers, read without side effects. */
  readonly inspection: VmInspection;
  readonly #parts: UserVmParts;
  readonly #devices: VmDevices;
  readonly #savable: SavableVm;
  readonly #listeners = new UserVmListeners();
  readonly #lifeCycle: LifeCycle;
  readonly #wrappers: ClientWrappers;

  constructor(parts: UserVmParts) {
    const { module, hypercalls } = parts;
    this.#parts = parts;
    ({ id: this.id, name: this.name } = parts);
    this.hypervisorName = parts.hypervisor.name;
    ({ requests: this.requests, buffer: this.buffer, hypercalls: this.hypercalls } = parts);
    this.memory = hypercalls.memory;
    this.acrnEvents = hypercalls.asyncIo === undefined ? undefined : new AcrnVmEvents(hypercalls.asyncIo);
    this.debugger = new VmDebugger({
      ...parts,
      queuePass: () => module.worker.queuePass(),
      openInterrupts: () => this.#devices.interrupts.read(parts.trace.startMs),
    });
    this.faults = parts.faults && injectFaults(parts.faults, this, (client) => this.#wrappers.of(client));
    this.#wrappers = wrappersFor(parts.lateStacks, this.faults);
    // A rule of the fault plan acts on requests, and a doorbell makes none.
    const hasDoorbells = this.faults === undefined;
    this.#devices = new VmDevices({ ...parts, pci: this.pci, wrappers: this.#wrappers, hasDoorbells, vm: this });
    const ownerOf = (vcpu: number) => this.inspection.ownerOf(vcpu)?.name;
    this.#savable = { ...parts, clock: this.clock, devices: this.#devices, ownerOf };
    this.#lifeCycle = this.#createLifeCycle();
    this.ended = this.#lifeCycle.ended;
    this.power = {
      powerOff: (reason) => this.#lifeCycle.guestPowerOff(reason),
      reset: (reason) => this.#lifeCycle.guestReset(reason),
    };
    if (parts.hasDefaultClient) this.createDefaultClient(this.defaultClient);
    this.inspection = new VmInspection({
      ...parts,
      vcpuCount: hypercalls.vcpuCount,
      wrappers: this.#wrappers,
      deviceOf: (client) => this.#devices.deviceOf(client),
      pci: this.pci,
      interrupts: this.#devices.interrupts,
    });
  }

  /**
   * A new output to line `gsi`, 0…47. The line is high while one of its outputs is. `owner`: the
   * device that drives it, for the operator. Throws LINE_INVALID.
   */
  interruptLine(gsi: number, owner?: LineOwner): InterruptLine {
    const output = this.#devices.output(gsi, owner);
    return this.faults?.line(gsi, output) ?? output;
  }

  /**
   * Puts a device at a range. It may be a device, which then runs in the Service VM's thread, or
   * `inOwnThread(…)`. Throws RANGE_INVALID, DEVICE_INVALID, RANGE_OVERLAP if another device or the
   * hypervisor is there, and what `createClient` throws. Returns a function that removes it.
   */
  attach(range: AddressRange, device: Device | ThreadPlacement): () => void {
    return this.#devices.attach(range, device);
  }

  /**
   * Puts a function into PCI configuration space, which the VM's own default client serves. Throws
   * VM_STATE when ACRN userspace attaches the default client, RANGE_INVALID for an impossible
   * address and RANGE_OVERLAP for one that is taken.
   */
  attachPci(address: PciAddress, fn: PciFunction): void {
    this.#devices.attachPci(address, fn);
  }

  /**
   * Puts a PCI card into the VM, by default at the first free device number of bus 0, also while it
   * runs. Throws DEVICE_INVALID, what `attachPci` and `createClient` throw, VM_LIMIT if bus 0 is
   * full, and what its `connect` throws. The card is then closed, except after DEVICE_INVALID and
   * the VM_STATE of `attachPci`. A promise also rejects as `start` does.
   */
  attachCard(card: PciCard, address?: PciAddress): AttachedCard;
  attachCard(card: ThreadPlacement, address?: PciAddress): Promise<AttachedCard>;
  attachCard(card: PciCard | ThreadPlacement, address?: PciAddress): AttachedCard | Promise<AttachedCard> {
    return this.#devices.attachCard(card, address);
  }

  /**
   * Adds an I/O client. The newest one wins. Ranges may be added and removed while the VM runs.
   * Throws VM_STATE once the end has begun, DEVICE_INVALID if the VM has this client, VM_LIMIT if
   * it cannot have that many more ranges, and what the client's `connect` throws.
   */
  createClient(client: IoClient, ranges: readonly AddressRange[] = []): void {
    this.#expectNotEnding();
    this.requests.clients.add(this.#wrappers.of(client), ranges);
  }

  /** Adds the client for all other requests. Returns 0 or −EEXIST. Throws as `createClient`. */
  createDefaultClient(client: IoClient): number {
    this.#expectNotEnding();
    return this.requests.clients.addDefault(this.#wrappers.ofDefault(client));
  }

  /** Returns false if the VM does not have this client or cannot have more ranges. */
  addRange(client: IoClient, range: AddressRange): boolean {
    return this.requests.clients.addRange(this.#wrappers.of(client), range);
  }

  /** Returns false if the client has no range with the same bounds. */
  removeRange(client: IoClient, range: AddressRange): boolean {
    return this.requests.clients.removeRange(this.#wrappers.of(client), range);
  }

  /** Removes a client, once or again. Requests that it has not finished read as all ones. */
  destroyClient(client: IoClient): void {
    this.#parts.module.destroyClient(this.requests, this.#wrappers.of(client));
  }

  /** HC_INJECT_MSI for ACRN userspace, counted for `source`. Returns the hypercall's result. */
  injectMsi(source: string, address: number, data: number): number {
    return this.#devices.interrupts.inject(source, address, data);
  }

  /** Calls back for each event. Returns a function that removes the listener. */
  onEvent(listener: (event: UserVmEvent) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Loads and starts the guest. Rejects with VM_STATE, or as a device or the snapshot refuses. */
  start(): Promise<void> {
    return this.#lifeCycle.start();
  }

  /** Stops the vCPUs. As in ACRN, only `reset` leads on from here. Rejects with VM_STATE. */
  pause(): Promise<void> {
    return this.#lifeCycle.pause();
  }

  /** Restarts the guest from the machine's power-on state. Rejects with VM_STATE. */
  reset(): Promise<void> {
    return this.#lifeCycle.reset();
  }

  /**
   * Saves the running VM to `file`, for ServiceVm.restore, and returns the file's length. Rejects
   * with VM_STATE or SNAPSHOT_REFUSED, and leaves `file` as it was. The guest runs on.
   */
  async save(file: string, options?: SaveOptions): Promise<number> {
    const snapshot = await this.#lifeCycle.whileRunning('be saved', () => takeSnapshot(this.#savable, options));
    return snapshot.write(file);
  }

  /** Rejects with SNAPSHOT_REFUSED, as `save` would if the VM ran as it is now. */
  async expectSavable(): Promise<void> {
    await expectSavable(this.#savable);
  }

  /** Ends the VM and frees everything. May be called again. */
  async destroy(): Promise<void> {
    await this.#lifeCycle.end({ reason: 'destroyed', message: 'destroyed by its operator' });
  }

  /** For the hypervisor. */
  onHypervisorEvent(event: HypervisorEvent): void {
    this.#lifeCycle.onHypervisorEvent(event);
  }

  /** For the HSM and devices. */
  emit(event: UserVmEvent): void {
    const { statistics } = this.#parts;
    if (event.kind === 'device-error' || event.kind === 'device-lost') statistics?.countError(event.device);
    else if (event.kind === 'client-failed') statistics?.countError(event.client);
    else if (event.kind === 'client-late') statistics?.countLate(event.client);
    else if (event.kind === 'rtc-changed') this.acrnEvents?.send(rtcChanged(event.lastTime, event.delta));
    this.#listeners.emit(event);
  }

  /** Every move (change of a slot's state) until the VM ends, or those that the filter selects. */
  trace(filter?: MoveFilter): AsyncGenerator<Move, void, undefined> {
    return this.#parts.trace.watch(filter);
  }

  /** Undefined if the VM was created without `statistics`. */
  statistics(): StatisticsSnapshot | undefined {
    return this.#parts.statistics?.snapshot(this.counters().failed);
  }

  /** How many traps there were and how they were answered, summed over the vCPUs. */
  counters(): VcpuCounters {
    const { shared, vcpuCount } = this.hypercalls;
    return shared.totals(vcpuCount);
  }

  /** Nothing would end the thread of a client that is added now. */
  #expectNotEnding(): void {
    if (this.#lifeCycle.isEnding) expectAccepted(this.name, 'take a client', HYPERCALL_REFUSED);
  }

  #createLifeCycle(): LifeCycle {
    return this.#parts.createLifeCycle({
      ...this.#parts,
      emit: (event) => this.emit(event),
      devicesReady: () => this.#devices.ready(),
      resetDevices: () => {
        this.faults?.reset();
        this.#devices.reset();
      },
      restoreDevices: ({ parts }) => {
        this.clock.resume(parts.clockMs);
        this.#devices.restore(parts);
      },
      closeDevices: () => this.#devices.close(),
      onPausing: () => {
        this.#devices.interrupts.keep();
        this.debugger.suspend();
      },
      onStarting: () => {
        this.#devices.interrupts.release();
        this.faults?.begin();
        this.debugger.resume();
      },
      sendPowerOff: () => void this.acrnEvents?.send(POWER_OFF),
      onEnd: () => {
        this.debugger.close();
        this.faults?.reset();
        this.#parts.lateStacks?.close();
        this.#parts.trace.close();
        this.#parts.onEnd();
      },
    });
  }
}
