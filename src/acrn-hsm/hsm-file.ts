/**
 * HsmFile: one open file of /dev/acrn_hsm. `ioctl` answers every code as the driver does: the same
 * checks in the same order, the same results or −errno. A hypercall's own −1 arrives as −1 (EPERM).
 *
 * Called by: the program that opened it with HsmDevice.open. For a program in another process, that
 * is acrn-programs/.
 * Threads: the Service VM's.
 *
 * Calls that wait return a promise: CREATE_VM, ATTACH_IOREQ_CLIENT, CLEAR_VM_IOREQ, and those that
 * stop vCPUs. All others answer at once. Calls are not serialised against each other. Where two at
 * once would harm the driver (create, destroy, close), the second one is refused or waits.
 */

import { RingId } from '../hypervisor/async-io-hypercalls.js';
import type { AddressSpace } from './address-space.js';
import type { UserVm } from '../vm/user-vm.js';
import { Errno } from '../io-request/errno.js';
import { configureIoEvent, configureIrqEvent, setVmEventFd } from './event-ioctls.js';
import type { EventTable } from './event-table.js';
import type { Hardware, HardwareCall } from './hardware.js';
import type { IoctlVm } from './ioctl-vm.js';
import { ExtensionIoctl, Ioctl } from './ioctl-codes.js';
import { cpuState, monitorInterrupts } from './platform-ioctls.js';
import { refusedIoctl, type RefusedIoctl } from './refused-ioctls.js';
import {
  IOEVENTFD,
  IOREQ_NOTIFY,
  IRQFD,
  MMIODEV,
  MSI_ENTRY,
  PCIDEV,
  PTDEV_IRQ,
  VCPU_REGS,
  VDEV,
  VM_CREATION,
  VM_MEMMAP,
  type StructLayout,
} from './struct-layout.js';
import { StructView } from './struct-view.js';
import type { InterruptSignal, UserspaceHandle } from './userspace-client.js';
import { decodeRegisters, hasReservedBits } from './vcpu-register-set.js';

const LOW_WORD = 0xffff_ffffn;
const U64_BITS = 64;

export interface HsmFileParts {
  /** The memory of the calling process. */
  readonly caller: AddressSpace;
  /** Its file descriptors. */
  readonly events: EventTable;
  readonly hardware: Hardware;
  /** Whether ExtensionIoctl is known. */
  readonly hasExtensions: boolean;
  /** Resolves with undefined if CREATE_VM is refused. */
  readonly createVm: (creation: StructView<typeof VM_CREATION>) => Promise<IoctlVm | undefined>;
  /** Called when the file is closed and its VM has ended. */
  readonly closed: () => void;
  /** See HsmDeviceOptions.onRefusedIoctl. */
  readonly onRefusedIoctl?: ((refusal: RefusedIoctl) => void) | undefined;
}

/** An ioctl's result: 0 or more, or −errno. */
type Result = number | Promise<number>;

export class HsmFile {
  readonly #parts: HsmFileParts;
  #vm: IoctlVm | undefined;
  /** A CREATE_VM in progress; there is at most one. */
  #creating: Promise<number> | undefined;
  /** Defined once `close` was called. */
  #closing: Promise<void> | undefined;

  constructor(parts: HsmFileParts) {
    this.#parts = parts;
  }

  /**
   * What a UserspaceThread needs to run ATTACH and NOTIFY in a thread that blocks. Undefined
   * without a client, or while its answers are relayed (userspace-client.ts).
   */
  get userspaceHandle(): UserspaceHandle | undefined {
    return this.ioctlVm?.userspace?.handle;
  }

  /**
   * The VM behind the file, with its operator's tools: events, trace, statistics, faults,
   * breakpoints, live page.
   */
  get vm(): UserVm | undefined {
    return this.ioctlVm?.userVm;
  }

  /** The state that the ioctls act on. Undefined before CREATE_VM and after the VM's end. */
  get ioctlVm(): IoctlVm | undefined {
    if (this.#vm?.lifeCycle.isEnding === true) this.#vm = undefined;
    return this.#vm;
  }

  /**
   * `code`: Ioctl or ExtensionIoctl. `argument` is an address in the caller's memory, or the value
   * itself. `signal` ends a waiting ATTACH_IOREQ_CLIENT with 0.
   */
  ioctl(code: number, argument: bigint | number = 0n, signal?: InterruptSignal): Result {
    const address = BigInt.asUintN(U64_BITS, BigInt(argument));
    if (this.#parts.onRefusedIoctl === undefined) return this.#ioctl(code, address, signal);
    const vm = this.ioctlVm;
    const result = this.#ioctl(code, address, signal);
    if (typeof result === 'number') return this.#explain(code, address, result, vm);
    return result.then((value) => this.#explain(code, address, value, vm));
  }

  /** Reports a refused ioctl. `vm`: as it was before the ioctl. Returns the result. */
  #explain(code: number, argument: bigint, result: number, vm: IoctlVm | undefined): number {
    const { caller, onRefusedIoctl } = this.#parts;
    if (result < 0) onRefusedIoctl?.(refusedIoctl({ code, argument, result, caller, vm }));
    return result;
  }

  #ioctl(code: number, address: bigint, signal?: InterruptSignal): Result {
    if (this.#closing !== undefined) return Errno.EBADF;
    if (code === Ioctl.CREATE_VM) return this.#create(address);
    const vm = this.ioctlVm;
    // The driver checks this first, even before it checks that the code exists.
    if (vm === undefined) return Errno.EINVAL;
    return (
      this.#lifeCycle(vm, code, address) ?? this.#requests(vm, code, address, signal) ?? this.#others(vm, code, address)
    );
  }

  /**
   * Ends the VM in any state: the driver would forget a running VM and go on dispatching its
   * requests. Resolves when the VM has ended, also if another call has begun that.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#creating;
    await this.#vm?.lifeCycle.end({ reason: 'destroyed', message: 'its control file was closed' });
    this.#parts.closed();
  }

  /** This and `#requests` return undefined for an ioctl that is not theirs. */
  #lifeCycle(vm: IoctlVm, code: number, address: bigint): Result | undefined {
    switch (code) {
      case Ioctl.START_VM:
        return vm.lifeCycle.startVm();
      case Ioctl.PAUSE_VM:
        return vm.lifeCycle.pauseVm();
      case Ioctl.RESET_VM:
        return vm.lifeCycle.resetVm();
      case Ioctl.DESTROY_VM:
        return destroy(vm);
      case Ioctl.SET_VCPU_REGS:
        return this.#with(VCPU_REGS, address, (regs) => {
          if (hasReservedBits(regs)) return Errno.EINVAL;
          const registers = decodeRegisters(regs);
          return registers === undefined ? Errno.EPERM : vm.hypercalls.setVcpuRegs(regs.number('vcpu_id'), registers);
        });
      case Ioctl.SET_MEMSEG:
        return this.#with(VM_MEMMAP, address, (map) => vm.segments.set(map));
      case Ioctl.UNSET_MEMSEG:
        return this.#with(VM_MEMMAP, address, (map) => vm.segments.unset(map));
      default:
        return undefined;
    }
  }

  #requests(vm: IoctlVm, code: number, address: bigint, signal?: InterruptSignal): Result | undefined {
    switch (code) {
      case Ioctl.CREATE_IOREQ_CLIENT:
        return vm.createUserspace();
      case Ioctl.DESTROY_IOREQ_CLIENT:
        vm.destroyUserspace();
        return 0;
      case Ioctl.ATTACH_IOREQ_CLIENT:
        return vm.userspace?.attach(signal) ?? Errno.ENODEV;
      case Ioctl.NOTIFY_REQUEST_FINISH:
        return this.#with(IOREQ_NOTIFY, address, (notify) =>
          // `vmid` is ignored, and the driver truncates the u32 to a u16.
          notify.number('reserved') !== 0 ? Errno.EINVAL : vm.finishRequest(notify.number('vcpu') & 0xffff),
        );
      case Ioctl.CLEAR_VM_IOREQ:
        return vm.requests.clear().then(() => 0);
      default:
        return undefined;
    }
  }

  #others(vm: IoctlVm, code: number, address: bigint): Result {
    const { caller, events, hasExtensions, hardware } = this.#parts;
    switch (code) {
      case Ioctl.SET_IRQLINE:
        return vm.setIrqLine(Number(address & LOW_WORD), Number(address >> 32n));
      case Ioctl.INJECT_MSI:
        return this.#with(MSI_ENTRY, address, (msi) =>
          vm.userVm.injectMsi('INJECT_MSI', msi.number('msi_addr'), msi.number('msi_data')),
        );
      case Ioctl.IOEVENTFD:
        return this.#with(IOEVENTFD, address, (args) => configureIoEvent(vm, events, args, hasExtensions));
      case Ioctl.IRQFD:
        return this.#with(IRQFD, address, (args) => configureIrqEvent(vm, events, args));
      case Ioctl.VM_INTR_MONITOR:
        return monitorInterrupts(vm.userVm.id, caller, hardware, address);
      case Ioctl.PM_GET_CPU_STATE:
        return cpuState(vm.userVm.id, caller, hardware, address);
    }
    const call = PASS_THROUGH.get(code);
    if (call !== undefined)
      return this.#with(call.layout, address, ({ bytes }) => hardware(call.name, vm.userVm.id, bytes));
    if (!hasExtensions) return Errno.ENOTTY;
    switch (code) {
      case ExtensionIoctl.SETUP_ASYNCIO:
        return vm.setupRing(RingId.ASYNC_IO, address);
      case ExtensionIoctl.SETUP_VM_EVENT_RING:
        return vm.setupRing(RingId.VM_EVENT, address);
      case ExtensionIoctl.SETUP_VM_EVENT_FD:
        return setVmEventFd(vm, events, address);
      default:
        return Errno.ENOTTY;
    }
  }

  #create(address: bigint): Result {
    return this.#with(VM_CREATION, address, (creation) => {
      if (!creation.isZero('reserved0') || !creation.isZero('reserved1')) return Errno.EINVAL;
      // The driver would create a second VM over the first one's lists.
      if (this.ioctlVm !== undefined || this.#creating !== undefined) return Errno.EINVAL;
      const creating = this.#createWith(creation, address).finally(() => (this.#creating = undefined));
      this.#creating = creating;
      return creating;
    });
  }

  async #createWith(creation: StructView<typeof VM_CREATION>, address: bigint): Promise<number> {
    const vm = await this.#parts.createVm(creation);
    if (vm === undefined) return Errno.EINVAL;
    this.#vm = vm;
    if (this.#parts.caller.write(address, creation.bytes)) return 0;
    await vm.lifeCycle.end({ reason: 'destroyed', message: 'CREATE_VM could not give its result' });
    return Errno.EFAULT;
  }

  /**
   * Copies the caller's structure at `address`, and returns what `answer` returns for the copy.
   * Returns −EFAULT if the address is not mapped.
   */
  #with<Layout extends StructLayout>(
    layout: Layout,
    address: bigint,
    answer: (argument: StructView<Layout>) => Result,
  ): Result {
    const argument = new StructView(layout);
    return this.#parts.caller.read(address, argument.bytes) ? answer(argument) : Errno.EFAULT;
  }
}

/** The ioctls whose structure goes to the hardware unread. */
const PASS_THROUGH: ReadonlyMap<number, { readonly name: HardwareCall; readonly layout: StructLayout }> = new Map([
  [Ioctl.SET_PTDEV_INTR, { name: 'set-ptdev-intr', layout: PTDEV_IRQ }],
  [Ioctl.RESET_PTDEV_INTR, { name: 'reset-ptdev-intr', layout: PTDEV_IRQ }],
  [Ioctl.ASSIGN_PCIDEV, { name: 'assign-pcidev', layout: PCIDEV }],
  [Ioctl.DEASSIGN_PCIDEV, { name: 'deassign-pcidev', layout: PCIDEV }],
  [Ioctl.ASSIGN_MMIODEV, { name: 'assign-mmiodev', layout: MMIODEV }],
  [Ioctl.DEASSIGN_MMIODEV, { name: 'deassign-mmiodev', layout: MMIODEV }],
  [Ioctl.CREATE_VDEV, { name: 'create-vdev', layout: VDEV }],
  [Ioctl.DESTROY_VDEV, { name: 'destroy-vdev', layout: VDEV }],
]);

/** A second call while the first is under way is answered 0, as by the driver. */
function destroy({ lifeCycle }: IoctlVm): Result {
  if (lifeCycle.isDestroying) return 0;
  return lifeCycle.destroyVm({ reason: 'destroyed', message: 'destroyed by its userspace' });
}
