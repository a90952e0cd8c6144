// @ts-check
/**
 * The steps of ACRN's sample program (samples/acrn in the Linux kernel) on /dev/acrn_hsm as upcall
 * has it: the same ioctls, the same structures, the same page. ACRN userspace is the loop at the
 * end: attach, scan for requests that are PROCESSING, answer in the page, notify.
 *
 * `file.vm` is the VM for its operator, with the tools of any other VM. With `--page` the program
 * serves its live page, and each request stops before its client gets it and before the guest gets
 * the answer, until you let it go there.
 */

import {
  createVm,
  HsmDevice,
  Ioctl,
  IoRequestState,
  MappedMemory,
  memoryMap,
  openLivePage,
  REAL_MODE,
  requestNotification,
  ServiceVm,
  SharedBuffer,
  V86Hypervisor,
  vcpuRegs,
} from 'upcall';

const MEMORY_BYTES = 0x10_0000;
const ENODEV = -19;

// prettier-ignore
const PAYLOAD = Uint8Array.from([
  0xba, 0x00, 0x05, // mov dx, 0x500
  0xb0, 0x41,       // mov al, 'A'
  0xee,             // out dx, al
  0xed,             // in ax, dx
  0xfa, 0xf4,       // cli; hlt
]);

const memory = new MappedMemory();
const serviceVm = new ServiceVm(new V86Hypervisor());
const device = new HsmDevice(serviceVm, { memoryBytes: 2 * MEMORY_BYTES, statistics: true });
await device.load();
const file = device.open(memory);

const page = memory.allocate(4096);
const creation = createVm(memory, { ioreqBuf: page });
console.log(`Created VM! [${await file.ioctl(Ioctl.CREATE_VM, creation.address)}]`);
const vcpus = creation.number('vcpu_num');

const vm = /** @type {import('upcall').UserVm} */ (file.vm);
// The guest halts at its end: what ACRN's sample does at Ctrl-C.
vm.onEvent((event) => void (event.kind === 'halted' && leave()));
const livePage = process.argv.includes('--page') ? await openLivePage(vm) : undefined;
if (livePage !== undefined) {
  console.log(`the live page is at ${livePage.address}`);
  vm.debugger.holdAll = { pending: true, complete: true };
}

const ram = memory.allocate(MEMORY_BYTES);
const segment = memoryMap(memory, { source: ram, length: MEMORY_BYTES });
console.log(`Set up VM memory! [${await file.ioctl(Ioctl.SET_MEMSEG, segment.address)}]`);
memory.write(ram, PAYLOAD);

// The instruction pointer and the base of the code segment are 0, and so is the payload's address.
const registers = vcpuRegs(memory, REAL_MODE);
console.log(`Set up VM BSP registers! [${await file.ioctl(Ioctl.SET_VCPU_REGS, registers.address)}]`);
console.log(`Created IO request client! [${await file.ioctl(Ioctl.CREATE_IOREQ_CLIENT)}]`);
console.log(`Start VM! [${await file.ioctl(Ioctl.START_VM)}]`);

// The page is the caller's own memory; Slot reads it as any of ACRN's userspace would.
const buffer = new SharedBuffer(
  /** @type {SharedArrayBuffer} */ (/** @type {Uint8Array} */ (memory.bytes(page, 4096)).buffer),
);
const notification = requestNotification(memory, creation.number('vmid'), 0);
while ((await file.ioctl(Ioctl.ATTACH_IOREQ_CLIENT)) !== ENODEV) {
  for (const slot of buffer.slots.slice(0, vcpus)) {
    if (slot.state !== IoRequestState.PROCESSING || slot.kernelHandled !== 0) continue;
    const direction = slot.isRead ? 'read' : 'write';
    console.log(`Guest VM ${direction} PIO[${slot.addressLow.toString(16)}] with size[${slot.sizeLow.toString(16)}]`);
    if (slot.isRead) slot.setValue(0x1234);
    notification.set('vcpu', slot.vcpu);
    await file.ioctl(Ioctl.NOTIFY_REQUEST_FINISH, notification.address);
  }
}
console.log(`Destroy VM! [${await file.ioctl(Ioctl.DESTROY_VM)}]`);
await file.close();
await device.unload();
await livePage?.close();
await serviceVm.close();

async function leave() {
  await file.ioctl(Ioctl.PAUSE_VM);
  await file.ioctl(Ioctl.DESTROY_IOREQ_CLIENT);
}
