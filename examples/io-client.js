// @ts-check
/**
 * The level below devices: an I/O client, as ACRN's document describes it. It registers ranges, is
 * notified of each request in them, and finishes each one itself, now or later. The vCPU here plays
 * a list of accesses instead of running a guest, which makes the order of things visible.
 */

import { ports, ScriptedHypervisor, ServiceVm } from 'upcall';

const hypervisor = new ScriptedHypervisor([
  {
    steps: [
      { type: 'port', direction: 'write', address: 0x510, size: 1, value: 0x41 },
      { type: 'port', direction: 'read', address: 0x510, size: 2 },
      { type: 'port', direction: 'read', address: 0x600, size: 4 },
    ],
  },
]);
const serviceVm = new ServiceVm(hypervisor);
const results = hypervisor.results();
const vm = await serviceVm.createUserVm({ memoryMiB: 1 });

/** @type {import('upcall').IoClient} */
const client = {
  name: 'slow-adder',
  notify(request) {
    console.log(`notified: ${request.describe()}`);
    // The request object serves for every request of its slot: what is needed later is copied now.
    const { ticket, isRead } = request;
    const answer = isRead ? 0x1234 : 0;
    // Until this the slot is PROCESSING and the vCPU sleeps. The event loop does not.
    setTimeout(() => {
      request.finish(ticket, answer);
      console.log(isRead ? `finished: the vCPU reads 0x${answer.toString(16)}` : 'finished: the vCPU goes on');
    }, 20);
  },
};
vm.createClient(client, [ports(0x510, 2)]);

await vm.start();
const [played] = await results;
console.log(`the vCPU read ${played?.values.map((value) => `0x${value.toString(16)}`).join(' and ')}`);
console.log(`no client claimed ${[...vm.defaultClient.unclaimed.keys()].join(', ')}: all ones`);
await serviceVm.close();
