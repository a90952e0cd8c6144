import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Device } from '../device-model/device.js';
import { mmio, ports } from '../hsm/address-range.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { V86Hypervisor } from '../hypervisor/v86/v86-hypervisor.js';
import { describe as describeRequest } from '../io-request/io-request.js';
import { ServiceVm } from './service-vm.js';
import type { UserVmOptions } from './user-vm-options.js';

/** Near the top of 2 MiB, and its neighbours. */
const PAGE = 0x1f_e000;
const BELOW = PAGE - 4;
const ABOVE = PAGE + 0x1000;
/** Beyond the RAM. */
const DEVICE_ADDRESS = 0x20_0000;
const SWITCH_PORT = 0x80;
const REPORT_PORT = 0x84;

interface Outcome {
  /** What the default client got. */
  readonly requests: string[];
  /** What the guest wrote to REPORT_PORT. */
  readonly reports: number[];
  /** What it wrote to the device beyond its RAM, by offset. */
  readonly stores: (readonly [number, number])[];
  readonly ram: (address: number) => number;
}

/**
 * Runs a guest that protects PAGE by writing 1 to SWITCH_PORT, ends that by writing 0, and ends by
 * writing 2.
 */
async function run(inner: Hypervisor, options: UserVmOptions): Promise<Outcome> {
  let hypercalls: Hypercalls | undefined;
  const serviceVm = new ServiceVm({
    name: `${inner.name}, with its hypercalls in the open`,
    available: () => inner.available(),
    createVm: async (...parts) => (hypercalls = await inner.createVm(...parts)),
  });
  const vm = await serviceVm.createUserVm({ memoryMiB: 2, ...options });
  const reports: number[] = [];
  const stores: (readonly [number, number])[] = [];
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const device = (name: string, write: Device['write']): Device => ({ name, read: () => 0, write });
  vm.attach(
    ports(SWITCH_PORT, 4),
    device('switch', (_, __, value) => {
      if (value === 2) finish();
      else assert.equal(hypercalls?.writeProtectPage?.(PAGE, value === 1), 0);
    }),
  );
  vm.attach(
    ports(REPORT_PORT, 4),
    device('reports', (_, __, value) => void reports.push(value)),
  );
  vm.attach(
    mmio(DEVICE_ADDRESS, 0x1000),
    device('beyond', (offset, _, value) => void stores.push([offset, value])),
  );
  const requests: string[] = [];
  const trace = vm.trace();
  const watching = (async () => {
    for await (const { to, client, request } of trace)
      if (to === 'PROCESSING' && client === 'default' && request !== undefined) requests.push(describeRequest(request));
  })();
  await vm.start();
  await finished;
  const ram = hypercalls?.memory.read(0, 2 << 20) ?? new Uint8Array();
  const view = new DataView(ram.buffer);
  await serviceVm.close();
  await watching;
  return { requests, reports, stores, ram: (address) => view.getUint32(address, true) };
}

function imm32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port]; // mov al, value; out port, al
const set = (value: number): number[] => [0xb8, ...imm32(value)]; // mov eax, value
const store8 = (address: number): number[] => [0xa2, ...imm32(address)]; // mov [address], al
const store16 = (address: number): number[] => [0x66, 0xa3, ...imm32(address)]; // mov [address], ax
const store32 = (address: number): number[] => [0xa3, ...imm32(address)]; // mov [address], eax
// mov eax, [address] and out port, eax
const report = (address: number): number[] => [0xa1, ...imm32(address), 0xe7, REPORT_PORT];

test('a guest’s stores to a protected page are requests, and all other accesses go on as before', async () => {
  const image = Uint8Array.from([
    ...[...set(0x8182_8384), ...store32(PAGE), ...store32(BELOW), ...store32(ABOVE)],
    ...out(SWITCH_PORT, 1),
    ...[...set(0x9192_9394), ...store8(PAGE), ...store16(PAGE + 2), ...store32(PAGE + 4), ...store32(PAGE + 0xffc)],
    ...[...store8(BELOW), ...store16(ABOVE), ...store32(ABOVE + 4), ...store32(DEVICE_ADDRESS + 8)],
    ...[...report(PAGE), ...report(BELOW), ...report(ABOVE), ...report(ABOVE + 4)],
    ...out(SWITCH_PORT, 0),
    ...[...set(0xa1a2_a3a4), ...store32(PAGE), ...report(PAGE)],
    ...out(SWITCH_PORT, 2),
    ...[0xfa, 0xf4], // cli; hlt
  ]);
  const { requests, reports, stores, ram } = await run(new V86Hypervisor(), {
    image: { image, kind: 'flat-32' },
  });
  assert.deepEqual(requests, [
    'write write-protect 0x1fe000/1 = 0x94',
    'write write-protect 0x1fe002/2 = 0x9394',
    'write write-protect 0x1fe004/4 = 0x91929394',
    'write write-protect 0x1feffc/4 = 0x91929394',
  ]);
  assert.deepEqual(reports, [0x8182_8384, 0x8182_8394, 0x8182_9394, 0x9192_9394, 0xa1a2_a3a4]);
  assert.deepEqual(stores, [[8, 0x9192_9394]]);
  assert.deepEqual(
    [PAGE, PAGE + 4, PAGE + 0xffc, BELOW, ABOVE, ABOVE + 4].map(ram),
    [0xa1a2_a3a4, 0, 0, 0x8182_8394, 0x8182_9394, 0x9192_9394],
  );
});

test('the stores of a scripted vCPU to a protected page are requests, too', async () => {
  const store = (address: number, value: number | bigint, size: 1 | 4 | 8 = 4): ScriptStep => {
    return { type: 'mmio', direction: 'write', address, size, value };
  };
  const flip = (value: number): ScriptStep => ({
    type: 'port',
    direction: 'write',
    address: SWITCH_PORT,
    size: 1,
    value,
  });
  const { requests } = await run(
    new ScriptedHypervisor([
      {
        steps: [
          ...[store(PAGE, 1), flip(1), store(PAGE, 2, 1), store(PAGE + 0xff8, 0x8877_6655_4433_2211n, 8)],
          { type: 'mmio', direction: 'read', address: PAGE, size: 4 },
          ...[store(BELOW, 3), store(ABOVE, 4), store(DEVICE_ADDRESS, 5), flip(0), store(PAGE, 6), flip(2)],
        ],
      },
    ]),
    {},
  );
  assert.deepEqual(
    requests.filter((request) => request.includes('write-protect')),
    ['write write-protect 0x1fe000/1 = 0x2', 'write write-protect 0x1feff8/8 = 0x8877665544332211'],
  );
  assert.equal(requests.filter((request) => request.includes('mmio')).length, 5);
});
