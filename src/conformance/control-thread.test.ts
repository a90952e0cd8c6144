import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { HsmDevice } from '../acrn-hsm/hsm-device.js';
import { MappedMemory } from '../acrn-hsm/address-space.js';
import { Errno } from '../io-request/errno.js';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { IRQFD, VM_CREATION } from '../acrn-hsm/struct-layout.js';
import { StructView } from '../acrn-hsm/struct-view.js';
import { LocalEventTable } from '../acrn-hsm/event-table.js';
import { LocalEvent } from '../hsm/event-object.js';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { ServiceVm } from '../vm/service-vm.js';

test('a thread that blocks in ATTACH serves two vCPUs until its client is destroyed', async () => {
  const accesses = 200;
  const steps = [{ type: 'port', direction: 'read', address: 0x500, size: 4 }] as const;
  const hypervisor = new ScriptedHypervisor([
    { steps, repeat: accesses },
    { steps, repeat: accesses },
  ]);
  const serviceVm = new ServiceVm(hypervisor);
  const device = new HsmDevice(serviceVm, { memoryBytes: 1 << 20, vcpuCount: 2 });
  await device.load();
  const memory = new MappedMemory();
  const file = device.open(memory);
  const argument = memory.allocate(VM_CREATION.bytes);
  const creation = new StructView(VM_CREATION).set('ioreq_buf', memory.allocate(PAGE_BYTES));
  memory.write(argument, creation.bytes);
  assert.equal(await file.ioctl(Ioctl.CREATE_VM, argument), 0);
  const moves = file.vm?.trace({ direction: 'read' });
  assert.equal(await file.ioctl(Ioctl.CREATE_IOREQ_CLIENT), 0);
  const thread = new Worker(new URL('./fixtures/userspace-loop.js', import.meta.url), {
    workerData: file.userspaceHandle,
  });
  const results = hypervisor.results();
  assert.equal(await file.ioctl(Ioctl.START_VM), 0);
  for (const { values, accesses: made } of await results) {
    assert.equal(made, accesses);
    assert.deepEqual(values, [0x501n]);
  }
  const said = once(thread, 'message');
  assert.equal(await file.ioctl(Ioctl.PAUSE_VM), 0);
  assert.equal(await file.ioctl(Ioctl.DESTROY_IOREQ_CLIENT), 0);
  assert.deepEqual((await said)[0], { result: Errno.ENODEV, handled: 2 * accesses, afterwards: 0, beyond: 0 });
  assert.equal(await file.ioctl(Ioctl.DESTROY_VM), 0);
  let completed = 0;
  for await (const { to, by } of moves ?? []) if (to === 'COMPLETE' && by === 'client') completed++;
  assert.equal(completed, 2 * accesses, 'moves of its thread in the trace');
  await device.unload();
  await serviceVm.close();
});

test('an event injects an MSI into a vCPU that runs in its own thread', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
  const device = new HsmDevice(serviceVm, { memoryBytes: 1 << 20 });
  await device.load();
  const memory = new MappedMemory();
  const table = new LocalEventTable();
  const file = device.open(memory, table);
  const argument = memory.allocate(VM_CREATION.bytes);
  const creation = new StructView(VM_CREATION).set('ioreq_buf', memory.allocate(PAGE_BYTES));
  memory.write(argument, creation.bytes);
  assert.equal(await file.ioctl(Ioctl.CREATE_VM, argument), 0);
  const event = new LocalEvent();
  const irq = new StructView(IRQFD)
    .set('fd', table.open(event))
    .set('msi.msi_addr', 0xfee0_0000)
    .set('msi.msi_data', 0x51);
  memory.write(argument, irq.bytes);
  assert.equal(await file.ioctl(Ioctl.IRQFD, argument), 0);
  event.signal();
  const taken: number[] = [];
  // Created and not running: its thread is parked and leaves the message to us.
  file.vm?.hypercalls.shared.msis.take(0, (_, vector) => taken.push(vector));
  assert.deepEqual(taken, [0x51]);
  await device.unload();
  await serviceVm.close();
});
