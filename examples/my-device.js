// @ts-check
/**
 * A device of one's own in the Service VM's thread, and what it cost. The device is
 * devices/read-counter.js.
 */

import { guestImage, loadDevice, percentileNs, ports, ServiceVm, standardPc, V86Hypervisor } from 'upcall';

const serviceVm = new ServiceVm(new V86Hypervisor());
const vm = await serviceVm.createUserVm({ memoryMiB: 16, image: guestImage('hello'), statistics: true });
standardPc(vm, { console: process.stdout });

const context = {
  clock: vm.clock,
  memory: vm.memory,
  interruptLine: (/** @type {number} */ line) => vm.interruptLine(line),
};
const module = new URL('./devices/read-counter.js', import.meta.url);
vm.attach(ports(0x500, 4), await loadDevice(module.href, context, { start: 7 }));

await vm.start();
await vm.ended;
const row = vm.statistics()?.clients.find((client) => client.name === 'read-counter');
const ns = row && percentileNs(row.stages.total, 50);
console.log(`read-counter: ${row?.reads} read, answered in ${((ns ?? 0) / 1000).toFixed(0)} microseconds`);
await serviceVm.close();
