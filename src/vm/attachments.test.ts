import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { mmio, ports, type AddressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import { V86Hypervisor } from '../hypervisor/v86/v86-hypervisor.js';
import { IoRequestType } from '../io-request/layout.js';
import { UpcallError } from '../io-request/upcall-error.js';
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

test('a device is refused beyond the addresses of the processor', () => {
  const refusal = {
    code: 'RANGE_OVERLAP',
    message: /^lamp at MMIO 0x10000000000.* never be reached: .* is beyond the 32-bit addresses of the VM's processor$/,
    remedy: 'Attach it elsewhere',
  };
  assert.throws(() => vm.attach(mmio(2 ** 40, 0x1000), device), refusal);
  assert.throws(() => vm.attach(mmio(2 ** 32 - 1, 2), device), { code: 'RANGE_OVERLAP' });
  vm.attach(mmio(2 ** 32 - 1, 1), device)();
});

for (const [what, range, given, code, message] of [
  ['no range', undefined, device, 'RANGE_INVALID', 'attach: the range is undefined'],
  ['no device', ports(5, 1), undefined, 'DEVICE_INVALID', 'attach: the device is undefined'],
  ['null', ports(5, 1), null, 'DEVICE_INVALID', 'attach: the device is null'],
  ['no name', ports(5, 1), {}, 'DEVICE_INVALID', 'attach: the device has no name'],
  ['no calls', ports(5, 1), { name: 'x' }, 'DEVICE_INVALID', 'attach: the device has no read and write'],
  ['no write', ports(5, 1), { name: 'x', read: () => 0 }, 'DEVICE_INVALID', 'attach: the device has no write'],
  [
    'no module',
    ports(5, 1),
    { kind: 'own-thread' },
    'DEVICE_INVALID',
    'attach: the device is for a thread of its own and has no module',
  ],
  ['a type', { type: 7, start: 1n, end: 5n }, device, 'RANGE_INVALID', 'attach: the range is of the unknown type 7'],
  ['a text', 'ports', device, 'RANGE_INVALID', 'attach: the range is string'],
  ['no type', {}, device, 'RANGE_INVALID', 'attach: the range is of the unknown type undefined'],
  [
    'numbers',
    { type: IoRequestType.PORT, start: 1, end: 5 },
    device,
    'RANGE_INVALID',
    'attach: the range has bounds that are no bigints: number and number',
  ],
  [
    'a wrong end',
    { type: IoRequestType.PORT, start: 10n, end: 5n },
    device,
    'RANGE_INVALID',
    'attach: the range ports 0xa…0x5 ends before it starts',
  ],
  [
    'no port',
    { type: IoRequestType.PORT, start: 0xffffn, end: 0x10000n },
    device,
    'RANGE_INVALID',
    'attach: the range ports 0xffff…0x10000 exceeds 0…0xffff',
  ],
  [
    'no address',
    { type: IoRequestType.MMIO, start: 0n, end: 2n ** 52n },
    device,
    'RANGE_INVALID',
    'attach: the range MMIO 0x0…0x10000000000000 exceeds 0…0xfffffffffffff',
  ],
] as const)
  test(`attach refuses what is no range or no device: ${what}`, () => {
    assert.throws(
      () => vm.attach(range as AddressRange, given as Device),
      (error: unknown) => {
        assert.ok(error instanceof UpcallError);
        assert.equal(error.code, code);
        assert.equal(error.message, message);
        assert.match(error.remedy ?? '', /^(Make it by ports|Give an object with a name)/);
        return true;
      },
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
