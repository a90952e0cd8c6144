// @ts-check
/**
 * A machine in a dozen lines. It runs guests/hello.bin: greets, reads a byte from port 0x500,
 * prints it, powers off.
 */

import { guestImage, ports, ServiceVm, standardPc, V86Hypervisor } from 'upcall';

const serviceVm = new ServiceVm(new V86Hypervisor());
const vm = await serviceVm.createUserVm({ memoryMiB: 16, image: guestImage('hello') });
standardPc(vm, { console: process.stdout });
vm.attach(ports(0x500, 1), { name: 'answer', read: () => 0x2a, write: () => undefined });
await vm.start();
const end = await vm.ended;
console.log(`${end.message}, after ${vm.counters().requests} I/O requests`);
await serviceVm.close();
