// @ts-check
/**
 * How to test a PCI card: alone, with a clock and a handle that the test has made, and then from a
 * vCPU, which places the card's BAR and starts a copy, without guest code.
 */

import assert from 'node:assert/strict';
import { GuestMemory, ManualClock, ScriptedHypervisor, ServiceVm } from 'upcall';
import Copier from './devices/copier.js';
import Screen from './devices/screen.js';
import Watchdog from './devices/watchdog.js';

const clock = new ManualClock();
/** @type {string[]} */
const calls = [];
const watchdog = new Watchdog({ clock });
watchdog.connect({
  address: { bus: 0, device: 5, function: 0 },
  dma: { read: () => undefined, readInto: () => false, write: () => false, refused: 0 },
  memory: new GuestMemory({ buffer: new SharedArrayBuffer(4096), byteOffset: 0, byteLength: 4096 }),
  isBusMaster: true,
  isMsixEnabled: false,
  report: (message) => calls.push(message),
  interrupt: (vector = 0) => calls.push(`interrupt ${vector}`),
  raise: () => calls.push('raise'),
  lower: () => calls.push('lower'),
});
watchdog.write(0, 0x4, 4, 10);
watchdog.write(0, 0x0, 4, 1);
clock.advance(9);
watchdog.write(0, 0x10, 4, 0x5a);
clock.advance(9);
assert.equal(watchdog.read(0, 0x8, 4), 1);
assert.deepEqual(calls, []);
clock.advance(1);
assert.equal(watchdog.read(0, 0xc, 4), 1);
watchdog.write(0, 0xc, 4, 1);
assert.deepEqual(calls, ['interrupt 0', 'lower']);
assert.equal(watchdog.read(0, 0x0, 4), 0);
assert.equal(watchdog.read(0, 0x0, 1), -1);
watchdog.write(0, 0x0, 4, 1);
watchdog.reset();
clock.advance(10_000);
assert.equal(calls.length, 2);
console.log('alone: the watchdog interrupts 10 ms after the last kick');

const BAR = 0xd000_0000;
/** @type {(register: number, value: number) => import('upcall').ScriptStep[]} */
const configure = (register, value) => [
  { type: 'port', direction: 'write', address: 0xcf8, size: 4, value: 0x8000_3000 + register },
  { type: 'port', direction: 'write', address: 0xcfc, size: 4, value },
];
/** @type {(offset: number, value: number) => import('upcall').ScriptStep} */
const store = (offset, value) => ({ type: 'mmio', direction: 'write', address: BAR + offset, size: 4, value });
/** @type {import('upcall').ScriptStep} */
const status = { type: 'mmio', direction: 'read', address: BAR + 0x10, size: 4 };
const hypervisor = new ScriptedHypervisor([
  {
    steps: [
      ...[...configure(0x10, BAR), ...configure(0x04, 0x2)],
      ...[store(0x0, 0x1000), store(0x4, 0x2000), store(0x8, 4), store(0xc, 1), status],
      // Bus mastering, and the status cleared.
      ...[...configure(0x04, 0x6), store(0x10, 3), store(0xc, 1), status],
      // Not RAM.
      ...[store(0x4, 0xffff_f000), store(0xc, 1), status],
    ],
  },
]);
const serviceVm = new ServiceVm(hypervisor);
const results = hypervisor.results();
const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
vm.memory.writeU32(0x1000, 0x1234_5678);
const copier = vm.attachCard(new Copier(), { bus: 0, device: 6, function: 0 });
await vm.start();
const [played] = await results;
console.log(`from a vCPU: status ${played?.values.join(', ')}; copied 0x${vm.memory.readU32(0x2000).toString(16)}`);
assert.equal(copier.counters.refusedDma, 2);
await serviceVm.close();

/** @type {string[]} */
const lines = [];
const screen = new Screen({ clock }, { print: (line) => lines.push(line) });
for (const [at, char] of [...'Hello'].entries()) screen.write(0, at, 1, char.charCodeAt(0));
screen.write(0, 2 * 80 + 4, 4, 0x2100_2a1b);
assert.deepEqual(lines, []);
clock.advance(100);
assert.deepEqual(lines, [' 0: Hello', ' 2:      * !']);
assert.equal(screen.read(0, 0, 4), 0x6c6c_6548);
assert.deepEqual([screen.read(1, 0, 4), screen.read(1, 4, 4), screen.read(1, 4, 2)], [(25 << 16) | 80, 1, -1]);
screen.write(0, 4, 1, 0x21);
screen.write(1, 8, 4, 1);
clock.advance(100);
assert.deepEqual(lines.slice(2), [' 0: ', ' 2: ']);
screen.reset();
assert.equal(screen.read(1, 4, 4), 0);
console.log('alone: the screen prints the rows that have changed');
