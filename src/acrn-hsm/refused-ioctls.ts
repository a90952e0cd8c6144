/**
 * refusedIoctl: why an ioctl of /dev/acrn_hsm was refused, in words. Its caller gets only an errno,
 * which has several reasons.
 *
 * Called by: HsmFile, if its operator wants to know (HsmDeviceOptions.onRefusedIoctl).
 *
 * The reason is found afterwards, from the caller's structure as it is then and from the VM's
 * state. A caller that changes them meanwhile gets another reason, and the same errno.
 */

import { INTERRUPT_LINES } from '../hypervisor/interrupt-lines.js';
import { VmState } from '../hypervisor/vm-shared-state.js';
import { Errno } from '../io-request/errno.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import type { AddressSpace } from './address-space.js';
import { FLAG_ASYNCIO, FLAG_DEASSIGN } from './event-ioctls.js';
import { ExtensionIoctl, Ioctl } from './ioctl-codes.js';
import type { IoctlVm } from './ioctl-vm.js';
import { MAX_RAM_SEGMENTS } from './memory-segments.js';
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
import { MAX_WAITERS } from './userspace-client.js';
import { hasReservedBits } from './vcpu-register-set.js';

export interface RefusedIoctl {
  /** Such as `SET_MEMSEG`, or the code of an unknown one. */
  readonly name: string;
  /** Such as `EINVAL`. */
  readonly errno: string;
  readonly reason: string;
  /** An imperative sentence. */
  readonly remedy?: string;
}

export interface IoctlCall {
  readonly code: number;
  readonly argument: bigint;
  /** −errno. */
  readonly result: number;
  readonly caller: AddressSpace;
  /** The VM before the call. */
  readonly vm: IoctlVm | undefined;
}

type Reason = readonly [reason: string, remedy?: string];

const LOW_WORD = 0xffff_ffffn;
const ALL_IOCTLS: Readonly<Record<string, number>> = { ...Ioctl, ...ExtensionIoctl };
const ZEROES = 'Fill the structure with zeroes first';
const NO_VM: Reason = ['its file has no VM', 'Call CREATE_VM first. After DESTROY_VM, open the device again'];
const NO_HARDWARE: Reason = [
  'there is no such hardware: no devices to pass through, no power states',
  'Start the program without what needs them',
];
const NO_CLIENT: Reason = [
  'the VM has no I/O client: none was created, or it was destroyed',
  'Call CREATE_IOREQ_CLIENT first',
];
const STATES = new Map<number, string>(Object.entries(VmState).map(([name, state]) => [state, name]));

/** By ioctl: the structure that its argument is the address of. */
const LAYOUTS: ReadonlyMap<number, StructLayout> = new Map<number, StructLayout>([
  [Ioctl.CREATE_VM, VM_CREATION],
  [Ioctl.SET_VCPU_REGS, VCPU_REGS],
  [Ioctl.SET_MEMSEG, VM_MEMMAP],
  [Ioctl.UNSET_MEMSEG, VM_MEMMAP],
  [Ioctl.NOTIFY_REQUEST_FINISH, IOREQ_NOTIFY],
  [Ioctl.INJECT_MSI, MSI_ENTRY],
  [Ioctl.IOEVENTFD, IOEVENTFD],
  [Ioctl.IRQFD, IRQFD],
  [Ioctl.SET_PTDEV_INTR, PTDEV_IRQ],
  [Ioctl.RESET_PTDEV_INTR, PTDEV_IRQ],
  [Ioctl.ASSIGN_PCIDEV, PCIDEV],
  [Ioctl.DEASSIGN_PCIDEV, PCIDEV],
  [Ioctl.ASSIGN_MMIODEV, MMIODEV],
  [Ioctl.DEASSIGN_MMIODEV, MMIODEV],
  [Ioctl.CREATE_VDEV, VDEV],
  [Ioctl.DESTROY_VDEV, VDEV],
]);

export function refusedIoctl(call: IoctlCall): RefusedIoctl {
  const { code, result } = call;
  const name = nameIn(ALL_IOCTLS, code) ?? hex(BigInt(code));
  const [reason, remedy] = reasonOf(call);
  return {
    name,
    errno: nameIn(Errno, result) ?? `errno ${-result}`,
    reason,
    ...(remedy === undefined ? {} : { remedy }),
  };
}

function reasonOf(call: IoctlCall): Reason {
  const { code, result, vm } = call;
  if (result === Errno.EBADF && !isAboutEvents(code)) return ['its file is closed'];
  if (vm === undefined && code !== Ioctl.CREATE_VM) return NO_VM;
  if (result === Errno.ENOTTY)
    return [
      nameIn(ExtensionIoctl, code) === undefined ? 'there is no such ioctl' : 'only ACRN’s own kernel has it',
      'Use the codes of linux/acrn.h',
    ];
  const argument = argumentOf(call);
  if (argument === undefined) return badAddress(call, LAYOUTS.get(code)?.bytes ?? 0);
  return REASONS.get(code)?.(call, argument) ?? byErrno(call);
}

/** Undefined for the reasons of `byErrno`. */
type Explanation = (call: IoctlCall, argument: StructView<StructLayout>) => Reason | undefined;

const REASONS: ReadonlyMap<number, Explanation> = new Map<number, Explanation>([
  [
    Ioctl.CREATE_VM,
    ({ result }, creation) =>
      !creation.isZero('reserved0') || !creation.isZero('reserved1')
        ? [`a reserved field of ${VM_CREATION.name} is not 0`, ZEROES]
        : result === Errno.EINVAL
          ? ['its file has a VM, or creates one', 'Open the device once for each VM']
          : undefined,
  ],
  [Ioctl.START_VM, needs('CREATED')],
  [Ioctl.RESET_VM, needs('PAUSED')],
  [Ioctl.DESTROY_VM, needs('PAUSED')],
  [Ioctl.PAUSE_VM, (call) => [stateOf(call)]],
  [
    Ioctl.SET_VCPU_REGS,
    (call, regs) => {
      if (hasReservedBits(regs)) return [`a reserved field of ${VCPU_REGS.name} is not 0`, ZEROES];
      const vcpus = vcpusOf(call);
      if (regs.number('vcpu_id') >= vcpus) return [noVcpu(regs.number('vcpu_id'), vcpus)];
      if (stateOf(call).endsWith('RUNNING')) return [stateOf(call), 'Call PAUSE_VM and RESET_VM first'];
      const names = ['cr0', 'cr4', 'ia32_efer', 'rflags', 'rip', 'cs_base', 'cs_limit', 'cs_ar', 'ldt_sel', 'tr_sel'];
      const values = names.map((name) => `${name} ${hex(regs.big(`vcpu_regs.${name}`))}`);
      return [
        `a vCPU cannot start so: ${values.join(', ')}`,
        'See “Checking and Loading Guest State” in volume 3 of Intel’s manual',
      ];
    },
  ],
  [Ioctl.CREATE_IOREQ_CLIENT, () => ['the VM has an I/O client', 'Call DESTROY_IOREQ_CLIENT first']],
  [
    Ioctl.ATTACH_IOREQ_CLIENT,
    ({ result }) => (result === Errno.ENOMEM ? [`${MAX_WAITERS} threads wait in this call already`] : NO_CLIENT),
  ],
  [
    Ioctl.NOTIFY_REQUEST_FINISH,
    (call, notify) =>
      notify.isZero('reserved')
        ? [noVcpu(notify.number('vcpu') & 0xffff, vcpusOf(call))]
        : [
            `a reserved field of ${IOREQ_NOTIFY.name} is not 0`,
            `${ZEROES}. For vm-sample: -ftrivial-auto-var-init=zero`,
          ],
  ],
  [
    Ioctl.SET_IRQLINE,
    ({ argument, vm }) => {
      const count = vm?.hypercalls.shared.lines.count ?? INTERRUPT_LINES;
      return [`there is no line ${argument & LOW_WORD}, but 0 to ${count - 1}`];
    },
  ],
  [Ioctl.INJECT_MSI, (_, msi) => [`bits 31…20 of the address ${hex(msi.big('msi_addr'))} are not 0xFEE`]],
  [
    Ioctl.SET_MEMSEG,
    ({ result, caller }, map) => {
      if (map.number('type') > 1) return [`type ${map.number('type')} is neither RAM (0) nor MMIO (1)`];
      if (map.number('type') === 1) return NO_HARDWARE;
      if (map.big('len') < PAGE_BYTES) return [`len ${map.big('len')} is less than a page`];
      if (result === Errno.ENOMEM) return [`the VM has ${MAX_RAM_SEGMENTS} RAM segments`];
      // EFAULT. What is outside of the VM's RAM (EPERM) was reported (HsmDeviceOptions.onRefused).
      return unshared(caller, map.big('vma_base'), map.big('len'));
    },
  ],
  [
    Ioctl.UNSET_MEMSEG,
    (_, map) => (map.number('type') === 1 ? NO_HARDWARE : ['RAM cannot be unset: it stays until the VM ends']),
  ],
  [
    Ioctl.IOEVENTFD,
    ({ result }, event) => {
      if (!event.isZero('reserved')) return [`a reserved field of ${IOEVENTFD.name} is not 0`, ZEROES];
      if (result === Errno.ENODEV) return ['asynchronous I/O is not set up', 'Call SETUP_ASYNCIO first'];
      if (result === Errno.EEXIST) return ['the descriptor is registered for this address and value'];
      // The range is checked before the descriptor, and only of these.
      const isChecked = (event.number('flags') & (FLAG_DEASSIGN | FLAG_ASYNCIO)) === 0;
      const problem = result === Errno.EINVAL && isChecked ? rangeProblem(event.big('addr'), event.number('len')) : '';
      return problem === '' ? descriptor(event.number('fd'), result) : [problem];
    },
  ],
  [
    Ioctl.IRQFD,
    ({ result }, event) =>
      result === Errno.EBUSY ? ['the descriptor is an irqfd of this VM'] : descriptor(event.number('fd'), result),
  ],
  [ExtensionIoctl.SETUP_VM_EVENT_FD, ({ argument, result }) => descriptor(Number(BigInt.asIntN(32, argument)), result)],
  [ExtensionIoctl.SETUP_ASYNCIO, ring],
  [ExtensionIoctl.SETUP_VM_EVENT_RING, ring],
]);

/** What an errno means where `REASONS` has no explanation. */
function byErrno(call: IoctlCall): Reason {
  switch (call.result) {
    case Errno.EPERM:
      return NO_HARDWARE;
    case Errno.EFAULT:
      return badAddress(call, LAYOUTS.get(call.code)?.bytes ?? PAGE_BYTES);
    case Errno.ENOMEM:
      return ['a limit of this VM is reached'];
    default:
      return ['the hypervisor refuses it'];
  }
}

/**
 * The caller's structure. One without fields if the ioctl has none. Undefined if it is not mapped.
 */
function argumentOf({ code, argument, caller }: IoctlCall): StructView<StructLayout> | undefined {
  const layout = LAYOUTS.get(code);
  if (layout === undefined) return new StructView({ name: '', bytes: 0, fields: {} });
  const view = new StructView(layout);
  return caller.read(argument, view.bytes) ? view : undefined;
}

function badAddress({ argument }: IoctlCall, bytes: number): Reason {
  return [`${hex(argument)} is not the address of ${bytes} bytes that the process may read and write`];
}

/** The explanation of an ioctl that the hypervisor accepts in one state of the VM only. */
function needs(state: keyof typeof VmState): (call: IoctlCall) => Reason {
  const before = state === 'PAUSED' ? 'Call PAUSE_VM first' : 'Call PAUSE_VM and RESET_VM before a second start';
  return (call) => [`${stateOf(call)}, and this needs ${state}`, before];
}

/** Why the caller's memory cannot be a RAM segment. */
function unshared(caller: AddressSpace, address: bigint, bytes: bigint): Reason {
  const what = `the ${bytes} bytes at ${hex(address)}`;
  if (!caller.isMapped(address, bytes - (bytes % BigInt(PAGE_BYTES))))
    return [`${what} are not all mapped`, 'Map them first, and use the address that mmap returned'];
  return address % BigInt(PAGE_BYTES) === 0n
    ? [`${what} are mapped but cannot be shared: the address space is at a limit of its own`]
    : [`${hex(address)} is not the address of a page`, 'Use the address that mmap returned'];
}

function ring({ argument, result }: IoctlCall): Reason {
  if (result === Errno.EFAULT) return [`${hex(argument)} is not the address of a page of the process`];
  return argument % BigInt(PAGE_BYTES) === 0n
    ? ['the page is not an empty ring of the right element size']
    : [`${hex(argument)} is not the address of a page`, 'Pass the address itself, aligned to 4096'];
}

/** What is wrong with the range of an ioeventfd. Empty: nothing. */
function rangeProblem(address: bigint, length: number): string {
  if (![1, 2, 4, 8].includes(length)) return `len ${length} is not 1, 2, 4 or 8`;
  return (address + BigInt(length)) >> 64n === 0n ? '' : `${length} bytes at ${hex(address)} exceed 64 bits`;
}

function descriptor(fd: number, result: number): Reason | undefined {
  if (result === Errno.EBADF) return [`descriptor ${fd} is not open`];
  return result === Errno.EINVAL ? [`descriptor ${fd} is not an eventfd`] : undefined;
}

function isAboutEvents(code: number): boolean {
  return code === Ioctl.IOEVENTFD || code === Ioctl.IRQFD || code === ExtensionIoctl.SETUP_VM_EVENT_FD;
}

function stateOf({ vm }: IoctlCall): string {
  return `the VM is ${STATES.get(vm?.hypercalls.shared.vmState ?? VmState.POWERED_OFF)}`;
}

function vcpusOf({ vm }: IoctlCall): number {
  return vm?.hypercalls.vcpuCount ?? 0;
}

function noVcpu(vcpu: number, count: number): string {
  return `there is no vCPU ${vcpu}: the VM has ${count}`;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function nameIn(numbers: Readonly<Record<string, number>>, number: number): string | undefined {
  return Object.entries(numbers).find(([, one]) => one === number)?.[0];
}
