// @ts-check
/**
 * How to test a device: alone, on a bench; against its own register map; and then from a vCPU,
 * without guest code.
 */

import assert from 'node:assert/strict';
import { ports, ScriptedHypervisor, ServiceVm } from 'upcall';
import { checkRegisters, deviceBench, play } from 'upcall/testing';
import Countdown from './devices/countdown.js';

const makeBench = () => deviceBench(Countdown, { length: 8, options: { line: 5 } });
const bench = await makeBench();
await play(bench, 'write(MS,10) wait(9ms) read(MS)=1 peek(STATUS)=0 line(5)=0');
await play(bench, 'wait(1ms) line(5)=1 read(STATUS)=1 line(5)=0 raised(5)=1');
bench.close();
console.log('alone: the countdown expires after 10 ms');

const { findings } = await checkRegisters(makeBench, { prepare: 'write(MS,1) wait(1ms)' });
assert.deepEqual(findings, []);
console.log('any guest: it is as its register map says');

const hypervisor = new ScriptedHypervisor([
  {
    steps: [
      { type: 'port', direction: 'write', address: 0x500, size: 4, value: 50_000 },
      { type: 'port', direction: 'read', address: 0x504, size: 1 },
      { type: 'port', direction: 'read', address: 0x506, size: 4 },
    ],
  },
]);
const serviceVm = new ServiceVm(hypervisor);
const results = hypervisor.results();
const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
const context = { clock: vm.clock, memory: vm.memory, interruptLine: (/** @type {number} */ n) => vm.interruptLine(n) };
vm.attach(ports(0x500, 8), new Countdown(context, { line: 5 }));
await vm.start();
const [played] = await results;
console.log(
  `from a vCPU: status 0x${played?.values[0]?.toString(16)}, beyond the range 0x${played?.values[1]?.toString(16)}`,
);
await serviceVm.close();
