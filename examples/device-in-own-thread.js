// @ts-check
/**
 * The same device as in my-device.js, unchanged, in a thread of its own: for devices that block or
 * compute for long. While it works, the other devices answer; if its thread dies, the guest reads
 * all ones and goes on.
 */

import { describeEvent, guestImage, inOwnThread, ports, ServiceVm, standardPc, V86Hypervisor } from 'upcall';

const serviceVm = new ServiceVm(new V86Hypervisor());
const vm = await serviceVm.createUserVm({ memoryMiB: 16, image: guestImage('hello') });
standardPc(vm, { console: process.stdout });
vm.attach(ports(0x500, 4), inOwnThread(new URL('./devices/read-counter.js', import.meta.url), { start: 7 }));
vm.onEvent((event) => console.log(describeEvent(event)));
await vm.start();
await vm.ended;
await serviceVm.close();
