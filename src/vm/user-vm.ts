/**
 * UserVm: one guest machine as its operator holds it: attach devices, start, reset, destroy, hear what happens.
 * ServiceVm makes it. Devices are the level for most people: their ranges may not overlap. I/O clients are the
 * document's own level: they may, and the newest wins.
 */

import { Attachments } from './attachments.js';
import { ClientWrappers } from './client-wrappers.js';
import { SystemClock } from '../device-model/clock.js';
import { VmDebugger } from '../debugging/vm-debugger.js';
import { DefaultClient } from '../device-model/default-client.js';
import type { Device, InterruptLine, PowerControl } from '../device-model/device.js';
import { PciBus } from '../device-model/devices/pci/pci-bus.js';
import type { PciAddress, PciFunction } from '../device-model/pci-function.js';
import type { ThreadPlacement } from '../device-model/placement/in-own-thread.js';
import { FaultInjection } from '../fault-injection/fault-injection.js';
import type { FaultPlan } from '../fault-injection/fault-rule.js';
import type { AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { HypervisorServiceModule } from '../hsm/service-module.js';
import type { VmRequests } from '../hsm/vm-requests.js';
import type { GuestImage } from '../hypervisor/boot/guest-image.js';
import type { GuestMemory } from '../hypervisor/guest-memory.js';
import { HYPERCALL_REFUSED, type Hypercalls } from '../hypervisor/hypercalls.js';
import type { VmEvent } from '../hypervisor/hypervisor.js';
import type { VcpuCounters } from '../hypervisor/vm-shared-state.js';
import { errorText } from '../io-request/error-text.js';
import type { SharedBuffer } from '../io-request/shared-buffer.js';
import type { MoveFilter } from '../trace/move-filter.js';
import type { Move } from '../trace/move.js';
import type { LateStacks } from './late-stacks.js';
import type { StatisticsSnapshot } from '../trace/statistics-snapshot.js';
import type { RequestStatistics } from '../trace/statistics.js';
import type { VmTrace } from '../trace/vm-trace.js';
import type { UserVmEvent, VmEnd } from './user-vm-events.js';
import { UserVmListeners } from './user-vm-listeners.js';
import { VmEventRing } from './vm-event-ring.js';
import { VmInspection } from './vm-inspection.js';
import { VmLifeCycle } from './vm-life-cycle.js';

export interface UserVmParts {
  readonly name: string;
  readonly hypercalls: Hypercalls;
  readonly buffer: SharedBuffer;
  readonly module: HypervisorServiceModule;
  readonly requests: VmRequests;
  readonly image: GuestImage | undefined;
  readonly statistics: RequestStatistics<IoClient> | undefined;
  readonly trace: VmTrace;
  readonly startTimeoutMs: number;
  readonly faults: FaultPlan | undefined;
  readonly lateStacks: LateStacks | undefined;
}

export class UserVm {
  readonly name: string;
  readonly clock = new SystemClock();
  readonly pci = new PciBus();
  readonly defaultClient = new DefaultClient(this.pci);
  /** What a guest may do to its own machine; devices like the reset port get it. */
  readonly power: PowerControl;
  /** Resolves once, when the guest has powered off, the VM broke, or it was destroyed. It is destroyed then. */
  readonly ended: Promise<VmEnd>;
  /** What goes wrong on purpose; undefined unless the VM was made with `faults`. */
  readonly faults: FaultInjection | undefined;
  /** Stop and step: breakpoints on requests, and those that are held. */
  readonly debugger: VmDebugger;
  /** Clients, slots and registers, for whoever looks. */
  readonly inspection: VmInspection;
  readonly #parts: UserVmParts;
  readonly #attachments: Attachments;
  readonly #listeners = new UserVmListeners();
  readonly #lifeCycle: VmLifeCycle;
  readonly #clients: ClientWrappers;

  constructor(parts: UserVmParts) {
    this.name = parts.name;
    this.#parts = parts;
    const { requests, buffer, module } = parts;
    this.debugger = new VmDebugger({ requests, buffer, queuePass: () => module.worker.queuePass() });
    this.#lifeCycle = new VmLifeCycle({
      ...parts,
      emit: (event) => this.emit(event),
      devicesReady: () => this.#attachments.ready(),
      resetDevices: () => {
        this.faults?.reset();
        this.#attachments.reset();
        this.pci.reset();
      },
      closeDevices: () => this.#attachments.close(),
      pausing: () => this.debugger.suspend(),
      starting: () => this.debugger.resume(),
      onEnd: () => {
        this.debugger.close();
        this.faults?.reset();
        parts.lateStacks?.close();
        parts.trace.close();
      },
    });
    this.ended = this.#lifeCycle.ended;
    const ring = new VmEventRing(parts.hypercalls.asyncIo);
    this.#listeners.add(ring.onEvent);
    this.power = {
      powerOff: (reason) => {
        if (!this.#lifeCycle.isEnding) ring.powerOff();
        void this.#lifeCycle.end({ reason: 'power-off', message: reason });
      },
      reset: (reason) => this.#lifeCycle.guestReset(reason),
    };
    const faults = (this.faults = parts.faults && this.#inject(parts.faults));
    const { lateStacks } = parts;
    this.#clients = new ClientWrappers([
      ...(lateStacks === undefined ? [] : [(client: IoClient) => lateStacks.wrap(client)]),
      ...(faults === undefined ? [] : [faults.wrap.bind(faults)]),
    ]);
    parts.requests.createDefaultClient(this.#clients.of(this.defaultClient, true));
    this.#attachments = new Attachments({
      memory: this.memory,
      startTimeoutMs: parts.startTimeoutMs,
      ownRanges: parts.hypercalls.ownRanges ?? [],
      clients: () => parts.requests.clients.map((client) => this.#clients.original(client)),
      reportError: (device, error) => this.#emitDeviceError(device, error),
      onLost: (client, reason) => {
        this.emit({ kind: 'device-lost', device: client.name, reason });
        this.destroyClient(client);
      },
      onEnd: (client) => parts.requests.finishAllOf(this.#clients.of(client)),
    });
    this.inspection = new VmInspection({
      ...parts,
      vcpuCount: parts.hypercalls.vcpuCount,
      clients: this.#clients,
      deviceOf: (client) => this.#attachments.deviceOf(client),
      pci: this.pci,
    });
  }

  /** Guest memory, which starts at guest physical address 0. */
  get memory(): GuestMemory {
    return this.#parts.hypercalls.memory;
  }

  /** The page, for those who want to watch it. */
  get buffer(): SharedBuffer {
    return this.#parts.buffer;
  }

  /** Input pin `gsi` of the interrupt controllers: 0…47, of which 0…15 are the ISA lines. */
  interruptLine(gsi: number): InterruptLine {
    const { lines } = this.#parts.hypercalls.shared;
    const line: InterruptLine = { set: (high) => lines.set(gsi, high) };
    return this.faults?.line(gsi, line) ?? line;
  }

  /**
   * Puts a device at a range. It may be a device, which then runs in the Service VM's thread, or `inOwnThread(…)`.
   * Throws RANGE_OVERLAP, naming both, when another device is there. Returns a function that takes it out again.
   */
  attach(range: AddressRange, device: Device | ThreadPlacement): () => void {
    const client = this.#attachments.place(range, device);
    try {
      this.createClient(client, [range]);
    } catch (error) {
      this.#attachments.forget(client);
      throw error;
    }
    return () => {
      if (!this.#attachments.forget(client)) return;
      this.destroyClient(client);
      if (!('kind' in device)) device.close?.();
    };
  }

  /** Puts a function into PCI configuration space. */
  attachPci(address: PciAddress, fn: PciFunction): void {
    this.pci.add(address, fn);
  }

  /** Adds an I/O client; the newest is asked first. Ranges may be added and removed while the VM runs. */
  createClient(client: IoClient, ranges: readonly AddressRange[] = []): void {
    // Nobody would end its thread.
    if (this.#lifeCycle.isEnding) this.#lifeCycle.expect('take a client', HYPERCALL_REFUSED);
    this.#parts.requests.createClient(this.#clients.of(client), ranges);
  }

  addRange(client: IoClient, range: AddressRange): boolean {
    return this.#parts.requests.addRange(this.#clients.of(client), range);
  }

  removeRange(client: IoClient, range: AddressRange): boolean {
    return this.#parts.requests.removeRange(this.#clients.of(client), range);
  }

  /** Takes a client out while the VM runs; requests it has not finished read as all ones. */
  destroyClient(client: IoClient): void {
    this.#parts.module.destroyClient(this.#parts.requests, this.#clients.of(client));
  }

  /** Calls back for everything worth knowing. Returns a function that ends it. */
  onEvent(listener: (event: UserVmEvent) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Loads the guest and lets it run. Rejects when a device's thread could not make its device, or not in `startTimeoutMs`. */
  start(): Promise<void> {
    this.faults?.begin();
    return this.#lifeCycle.start();
  }

  /** Stops the vCPUs for a reset or the end. As in ACRN there is no way to go on from here but `reset`. */
  pause(): Promise<void> {
    return this.#lifeCycle.pause();
  }

  /** Power-on state, and the guest from its beginning. */
  reset(): Promise<void> {
    return this.#lifeCycle.reset();
  }

  /** Stops and frees everything; `ended` resolves. Once is enough, more does no harm. */
  async destroy(): Promise<void> {
    await this.#lifeCycle.end({ reason: 'destroyed', message: 'destroyed by its operator' });
  }

  /** For the hypervisor: what it says about the VM becomes an event, and most of it is the end. */
  onHypervisorEvent(event: VmEvent): void {
    this.#lifeCycle.onHypervisorEvent(event);
  }

  /** For the HSM and devices. */
  emit(event: UserVmEvent): void {
    if (event.kind === 'device-error') this.#parts.statistics?.countError(event.device, false);
    else if (event.kind === 'client-failed') this.#parts.statistics?.countError(event.client, false);
    else if (event.kind === 'client-late') this.#parts.statistics?.countError(event.client, true);
    this.#listeners.emit(event);
  }

  /** Every move of every slot from now on until the VM ends, or those of some requests: `for await (const move of vm.trace())`. */
  trace(filter?: MoveFilter): AsyncGenerator<Move, void, undefined> {
    return this.#parts.trace.watch(filter);
  }

  /** Undefined unless the VM was made with `statistics`. */
  statistics(): StatisticsSnapshot | undefined {
    return this.#parts.statistics?.snapshot(this.counters().failed);
  }

  /** What the vCPUs trapped with, and how it was answered; summed over the vCPUs. */
  counters(): VcpuCounters {
    const { shared, vcpuCount } = this.#parts.hypercalls;
    return shared.totals(vcpuCount);
  }

  #inject(plan: FaultPlan): FaultInjection {
    return new FaultInjection(plan, {
      clock: this.clock,
      emit: (fault) => this.emit({ kind: 'fault-injected', ...fault }),
      remove: (client) => this.destroyClient(client),
    });
  }

  #emitDeviceError(device: string, error: unknown): void {
    this.emit({ kind: 'device-error', device, ...errorText(error) });
  }
}
