import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { HsmDevice } from '../acrn-hsm/hsm-device.js';
import type { HsmFile } from '../acrn-hsm/hsm-file.js';
import { MappedMemory } from '../acrn-hsm/address-space.js';
import { ExtensionIoctl, Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { VM_CREATION } from '../acrn-hsm/struct-layout.js';
import { StructView } from '../acrn-hsm/struct-view.js';
import { DefaultClient } from '../device-model/default-client.js';
import { DeviceClient } from '../device-model/device-client.js';
import { PciBus } from '../device-model/devices/pci/pci-bus.js';
import { ports } from '../hsm/address-range.js';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { createRingPage } from '../sync/shared-ring.js';
import { ServiceVm } from '../vm/service-vm.js';

const WRITES = 3_000_000;
const VCPUS = 4;

async function createVm(device: HsmDevice): Promise<{ file: HsmFile; memory: MappedMemory; page: bigint }> {
  const memory = new MappedMemory();
  const file = device.open(memory);
  const argument = memory.allocate(VM_CREATION.bytes);
  const page = memory.allocate(PAGE_BYTES);
  memory.write(argument, new StructView(VM_CREATION).set('ioreq_buf', page).bytes);
  assert.equal(await file.ioctl(Ioctl.CREATE_VM, argument), 0);
  return { file, memory, page };
}

/** A device in the VM of `file` that counts its accesses, and a default client. */
function addDevice(file: HsmFile): { accesses: number } {
  const counter = { accesses: 0 };
  const range = ports(0x500, 4);
  const device = {
    name: 'counter',
    read: (offset: number) => {
      counter.accesses++;
      return 0x40 + (offset & 0xff);
    },
    write: () => {
      counter.accesses++;
    },
  };
  file.vm?.requests.clients.add(new DeviceClient(device, range, () => undefined), [range]);
  file.vm?.requests.clients.addDefault(new DefaultClient(new PciBus()));
  return counter;
}

test("a thread that writes over one VM's page breaks neither the HSM nor another VM", async () => {
  const steps = [
    { type: 'port', direction: 'read', address: 0x501, size: 1 },
    { type: 'port', direction: 'write', address: 0xcf8, size: 4, value: 0x8000_0000 },
    { type: 'port', direction: 'read', address: 0xcfc, size: 4 },
    { type: 'mmio', direction: 'read', address: 0x8000_0000, size: 8 },
  ] as const;
  const hypervisor = new ScriptedHypervisor(Array.from({ length: VCPUS }, () => ({ steps, repeat: 1_000_000 })));
  const honest = new ScriptedHypervisor([{ steps, repeat: 300 }]);
  const events: string[] = [];
  let created = 0;
  const serviceVm = new ServiceVm({
    name: 'both',
    available: () => hypervisor.available(),
    // The first VM is the victim of the scribbler, the second the honest one.
    createVm: (...parts) => (created++ === 0 ? hypervisor : honest).createVm(...parts),
  });
  const device = new HsmDevice(serviceVm, {
    memoryBytes: 1 << 20,
    vcpuCount: VCPUS,
    hasExtensions: true,
    onVm: (vm) => vm.onEvent(({ kind }) => events.push(kind)),
  });
  await device.load();
  const victim = await createVm(device);
  const other = await createVm(device);
  const disturbed = addDevice(victim.file);
  const counted = addDevice(other.file);
  // The ring is writable for others as well.
  const ring = victim.memory.allocate(PAGE_BYTES);
  victim.memory.write(ring, createRingPage(8));
  assert.equal(await victim.file.ioctl(ExtensionIoctl.SETUP_ASYNCIO, ring), 0);

  const page = victim.memory.bytes(victim.page, PAGE_BYTES)?.buffer;
  const ringPage = victim.memory.bytes(ring, PAGE_BYTES)?.buffer;
  const results = honest.results(VCPUS);
  await victim.file.ioctl(Ioctl.START_VM);
  const scribblers = [page, ringPage].map(
    (target, seed) =>
      new Worker(new URL('./fixtures/scribbler.js', import.meta.url), {
        workerData: { page: target, writes: WRITES, seed: seed + 1 },
      }),
  );
  await other.file.ioctl(Ioctl.START_VM);
  const [done] = await Promise.all([results, ...scribblers.map((thread) => once(thread, 'message'))]);

  // The other VM saw what its devices gave, every time.
  assert.deepEqual(done[0]?.values, [0x41n, 0xffff_ffffn, 0xffff_ffff_ffff_ffffn]);
  assert.equal(counted.accesses, 300);
  // The victim can still be stopped, reset, and used by an honest hypervisor's moves.
  assert.equal(await victim.file.ioctl(Ioctl.PAUSE_VM), 0);
  assert.equal(await victim.file.ioctl(Ioctl.CLEAR_VM_IOREQ), 0);
  assert.equal(await victim.file.ioctl(Ioctl.RESET_VM), 0);
  assert.ok(disturbed.accesses > 0);
  const states = new Int32Array(page as SharedArrayBuffer);
  for (let vcpu = 0; vcpu < VCPUS; vcpu++) assert.equal(states[vcpu * 64 + 34], IoRequestState.FREE);
  await device.unload();
  await serviceVm.close();
  // A script that was played to its end halts its vCPU; the rest is what an HSM may say of a page
  // that is written over.
  const expected = ['ended', 'halted', 'notify-failed', 'flush-timeout'];
  assert.deepEqual(
    events.filter((kind) => !expected.includes(kind)),
    [],
  );
});
