// @ts-check
/**
 * How to test a device: alone, with a clock that the test moves, and then from a vCPU, without
 * guest code.
 */

import assert from 'node:assert/strict';
import { ManualClock, ports, ScriptedHypervisor, ServiceVm } from 'upcall';
import Countdown from './devices/countdown.js';

const clock = new ManualClock();
/** @type {boolean[]} */
const levels = [];
const device = new Countdown({ clock, interruptLine: () => ({ set: (high) => levels.push(high) }) }, {});
device.write(0, 4, 10);
clock.advance(9);
assert.equal(device.read(0, 4), 1);
assert.equal(device.peek(4, 1), 0);
clock.advance(1);
assert.equal(levels.at(-1), true);
assert.equal(device.read(4, 1), 1);
assert.equal(levels.at(-1), false);
console.log('alone: the countdown expires after 10 ms');

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
