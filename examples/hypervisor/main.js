// @ts-check
/**
 * The toy hypervisor in a program of one's own: a machine with a serial port, which runs hello.bin.
 */

import { ServiceVm, standardPc } from 'upcall';
import ToyHypervisor from './toy-hypervisor.js';
import { assemble, HELLO } from './toy-program.js';

const serviceVm = new ServiceVm(new ToyHypervisor());
// A flat image is loaded at 0x7c00, and `registers.ip` says so.
const vm = await serviceVm.createUserVm({ memoryMiB: 1, image: { image: assemble(HELLO), kind: 'real' } });
standardPc(vm, { console: process.stdout });
await vm.start();
const end = await vm.ended;
console.log(`${end.message}, after ${vm.counters().requests} I/O requests`);
await serviceVm.close();
