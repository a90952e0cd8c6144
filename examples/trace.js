// @ts-check
/**
 * The moves of a guest's requests, as they happen and as a file for ui.perfetto.dev, and its
 * statistics.
 */

import { writeFileSync } from 'node:fs';
import { describeMove, guestImage, percentileNs, PerfettoExport, prometheusText } from 'upcall';
import { ServiceVm, standardPc, V86Hypervisor } from 'upcall';

const serviceVm = new ServiceVm(new V86Hypervisor());
const vm = await serviceVm.createUserVm({ memoryMiB: 16, image: guestImage('hello'), statistics: true });
standardPc(vm);

// Recording starts here, before the guest runs, and ends with the loop.
const moves = vm.trace({ client: 'uart16550' });
await vm.start();
const perfetto = new PerfettoExport(vm.name);
/** @type {Uint8Array[]} */
const pieces = [];
let count = 0;
for await (const move of moves) {
  if (count++ < 4) console.log(describeMove(move));
  pieces.push(perfetto.add(move));
}
pieces.push(perfetto.end());
writeFileSync('hello.pftrace', Buffer.concat(pieces));
console.log(`${count} moves of the UART in hello.pftrace`);

const statistics = vm.statistics();
if (statistics === undefined) throw new Error('created without statistics');
for (const { name, reads, writes, stages } of statistics.clients)
  console.log(`${name}: ${reads + writes} requests, 99 % within ${percentileNs(stages.total, 99)} ns`);
const text = prometheusText([{ vm: vm.name, statistics }]);
console.log(text.split('\n').find((line) => line.startsWith('upcall_requests_total')));
await serviceVm.close();
