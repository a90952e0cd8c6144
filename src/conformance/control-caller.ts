/**
 * ControlCaller: a process that uses /dev/acrn_hsm, for tests. It has memory, file descriptors and
 * an open file, and passes structures by field names. Its hypervisor has no vCPUs: the test acts
 * for them (hand-driven-hypervisor.ts) and makes each pass of the worker.
 *
 * Called by: the tests control-*.test.ts in this folder.
 */

import { HsmDevice, type HsmDeviceOptions } from '../acrn-hsm/hsm-device.js';
import type { HsmFile } from '../acrn-hsm/hsm-file.js';
import { LocalEventTable } from '../acrn-hsm/event-table.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { MappedMemory } from '../acrn-hsm/address-space.js';
import { IOEVENTFD, IOREQ_NOTIFY, IRQFD, VM_CREATION, type StructLayout } from '../acrn-hsm/struct-layout.js';
import { StructView } from '../acrn-hsm/struct-view.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import { IoRequestType, PAGE_BYTES } from '../io-request/layout.js';
import { ServiceVm } from '../vm/service-vm.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import { HandDrivenHypervisor, type HandDrivenVm } from './hand-driven-hypervisor.js';

/** Values of a structure's fields, by name. Those that are missing are 0. */
export type Fields = Readonly<Record<string, number | bigint>>;

const MEMORY_BYTES = 1 << 20;

export class ControlCaller {
  readonly hypervisor = new HandDrivenHypervisor();
  readonly memory = new MappedMemory();
  readonly descriptors = new LocalEventTable();
  /** Events of its VMs, except for their end. */
  readonly events: UserVmEvent[] = [];
  readonly serviceVm: ServiceVm;
  readonly device: HsmDevice;
  readonly file: HsmFile;
  /** Where the process has the page of slots that it gives CREATE_VM. */
  readonly page: bigint;

  /** `hypervisor`: in place of the hand-driven one. Then `vm`, `port` and `mmio` cannot be used. */
  constructor({ hypervisor, ...options }: HsmDeviceOptions & { readonly hypervisor?: Hypervisor } = {}) {
    this.serviceVm = new ServiceVm(hypervisor ?? this.hypervisor);
    // The test makes every pass.
    this.serviceVm.module.worker.pause();
    this.device = new HsmDevice(this.serviceVm, {
      memoryBytes: MEMORY_BYTES,
      vcpuCount: 2,
      onVm: (vm) => vm.onEvent((event) => event.kind !== 'ended' && this.events.push(event)),
      sleep: () => Promise.resolve(),
      ...options,
    });
    this.file = this.device.open(this.memory, this.descriptors);
    this.page = this.memory.allocate(PAGE_BYTES);
  }

  /** The VMs that the HSM serves. */
  get served(): number {
    return this.serviceVm.module.vms.length;
  }

  /** One pass of the worker. */
  pass(): void {
    this.serviceVm.module.worker.pass();
  }

  /** The newest VM's hypervisor side. */
  get vm(): HandDrivenVm {
    const vm = this.hypervisor.vms.at(-1);
    if (vm === undefined) throw new Error('no VM was created yet');
    return vm;
  }

  /** The ioctl with a structure as its argument. Returns the structure as the driver left it. */
  async call<Layout extends StructLayout>(
    code: number,
    layout: Layout,
    fields: Fields,
  ): Promise<{ result: number; argument: StructView<Layout> }> {
    const address = this.memory.allocate(layout.bytes);
    const argument = new StructView(layout);
    for (const [name, value] of Object.entries(fields)) argument.set(name, value);
    this.memory.write(address, argument.bytes);
    const result = await this.file.ioctl(code, address);
    this.memory.read(address, argument.bytes);
    return { result, argument };
  }

  /** The result of `call`. */
  async result(code: number, layout: StructLayout, fields: Fields): Promise<number> {
    return (await this.call(code, layout, fields)).result;
  }

  create(fields: Fields = {}): Promise<{ result: number; argument: StructView<typeof VM_CREATION> }> {
    return this.call(Ioctl.CREATE_VM, VM_CREATION, { ioreq_buf: this.page, ...fields });
  }

  notify(fields: Fields): Promise<number> {
    return this.result(Ioctl.NOTIFY_REQUEST_FINISH, IOREQ_NOTIFY, fields);
  }

  ioeventfd(fields: Fields): Promise<number> {
    return this.result(Ioctl.IOEVENTFD, IOEVENTFD, fields);
  }

  irqfd(fields: Fields): Promise<number> {
    return this.result(Ioctl.IRQFD, IRQFD, fields);
  }

  /**
   * vCPU `vcpu` of the newest VM makes a port request, and the worker makes a pass. Returns false
   * if the slot was not FREE: there is no request then, only the pass.
   */
  port(vcpu: number, direction: number, port: number, size: number, value = 0): boolean {
    return this.#request(vcpu, IoRequestType.PORT, direction, port, size, value, 0);
  }

  /** The same for MMIO. */
  mmio(vcpu: number, direction: number, address: number, size: number, low = 0, high = 0): boolean {
    return this.#request(vcpu, IoRequestType.MMIO, direction, address, size, low, high);
  }

  /** `low`, `high`: the two words of the value. Addresses are below 4 GiB here. */
  #request(
    vcpu: number,
    type: number,
    direction: number,
    address: number,
    size: number,
    low: number,
    high: number,
  ): boolean {
    const polling = false;
    const filled = this.vm.buffer.slot(vcpu).fill(type, direction, address, 0, size, low, high, polling);
    this.pass();
    return filled;
  }
}
