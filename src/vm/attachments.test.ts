import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { mmio, ports, type AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import { V86Hypervisor } from '../hypervisor/v86/v86-hypervisor.js';
import { Attachments } from './attachments.js';
import { ServiceVm } from './service-vm.js';
import type { UserVm } from './user-vm.js';

const MIB = 1024 * 1024;
const device: Device = { name: 'lamp', read: () => 0, write: () => undefined };

let serviceVm: ServiceVm;
let vm: UserVm;

before(async () => {
  serviceVm = new ServiceVm(new V86Hypervisor());
  vm = await serviceVm.createUserVm({ memoryMiB: 2 });
});

after(() => serviceVm.close());

for (const [range, what] of [
  [ports(0x1f, 2), 'ports 0x20…0x21 is an 8259 of the hypervisor'],
  [ports(0xa1, 1), 'ports 0xa0…0xa1 is an 8259 of the hypervisor'],
  [ports(0x4d0, 1), 'ports 0x4d0…0x4d1 is an 8259 of the hypervisor'],
  [mmio(0xfec0_0000, 4), "MMIO 0xfec00000…0xfec00fff is the hypervisor's I/O APIC"],
  [mmio(0xfee0_0ffc, 8), "MMIO 0xfee00000…0xfee00fff is the hypervisor's local APIC"],
  [mmio(0x9_ffff, 2), "MMIO 0x0…0x9ffff is the guest's RAM"],
  [mmio(2 * MIB - 1, 2), "MMIO 0xc0000…0x1fffff is the guest's RAM"],
] as const satisfies readonly (readonly [AddressRange, string])[])
  test(`a device is refused where it would never be reached: ${what}`, () => {
    assert.throws(
      () => vm.attach(range, device),
      (error: Error & { code?: string }) => error.code === 'RANGE_OVERLAP' && error.message.endsWith(what),
    );
  });

test('a device beside those ranges is accepted', () => {
  for (const range of [ports(0x22, 4), ports(0xa2, 1), mmio(0xa_0000, 0x2_0000), mmio(2 * MIB, 4)])
    vm.attach(range, device);
});

test('attaching a device does not look at the others unless a client was removed meanwhile', () => {
  let removals = 0;
  let lookups = 0;
  const gone = new Set<IoClient>();
  const attachments = new Attachments({
    reservedRanges: [],
    memory: vm.memory,
    lines: vm.hypercalls.shared.lines,
    startTimeoutMs: Infinity,
    reportError: (name, error) => assert.fail(`${name}: ${String(error)}`),
    onLost: () => assert.fail('no device has a thread'),
    onEnd: () => assert.fail('no device has a thread'),
    removals: () => removals,
    isRegistered: (client) => {
      lookups++;
      return !gone.has(client);
    },
  });
  const closed: number[] = [];
  const add = (number: number): IoClient =>
    attachments.add(ports(0x1000 + number, 1), { ...device, close: () => closed.push(number) });
  const clients = Array.from({ length: 1000 }, (_, number) => add(number));
  assert.equal(lookups, 0);
  gone.add(clients[5] as IoClient);
  removals++;
  add(5);
  assert.deepEqual([closed, lookups], [[5], 1000], 'its range is free again');
  assert.equal(attachments.deviceOf(clients[5] as IoClient), undefined);
  add(1000);
  assert.equal(lookups, 1000);
});
