import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ports } from '../hsm/address-range.js';
import { decodeAcrnVmEvent, type AcrnVmEvent } from '../hsm/acrn-vm-events.js';
import { EVENT_ELEMENT_BYTES } from '../hypervisor/async-io.js';
import { RingId, VmEventType } from '../hypervisor/async-io-hypercalls.js';
import type { Hypercalls } from '../hypervisor/hypercalls.js';
import type { Hypervisor } from '../hypervisor/hypervisor.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { createRingPage, RingResult } from '../sync/shared-ring.js';
import { ServiceVm } from './service-vm.js';
import { standardPc, type StandardPcOptions } from './standard-pc.js';
import type { UserVm } from './user-vm.js';
import type { UserVmEvent, VmEnd } from './user-vm-events.js';

type Size = 1 | 2 | 4;
const read = (address: number, size: Size = 1): ScriptStep => ({ type: 'port', direction: 'read', address, size });
const write = (address: number, value: number, size: Size = 1): ScriptStep => ({
  ...{ type: 'port', direction: 'write', address, size },
  value,
});

interface Played {
  readonly values: readonly bigint[];
  readonly end: VmEnd;
  readonly printed: string;
}

/** Plays accesses on a VM with a standard PC, and ends with the power off that they finish with. */
async function play(
  steps: readonly ScriptStep[],
  options: StandardPcOptions = {},
  prepare: (vm: UserVm) => void = () => undefined,
): Promise<Played> {
  const hypervisor = new ScriptedHypervisor([{ steps }]);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  let printed = '';
  standardPc(vm, { console: { write: (bytes) => (printed += Buffer.from(bytes).toString('latin1')) }, ...options });
  prepare(vm);
  await vm.start();
  const values = (await results)[0]?.values ?? [];
  const end = await vm.ended;
  await serviceVm.close();
  return { values, end, printed };
}

test('every device of a PC answers at its port', async () => {
  const { values, end, printed } = await play([
    write(0x3f8, 0x41),
    read(0x3fd),
    write(0x70, 0x0d),
    read(0x71),
    read(0x64),
    write(0x43, 0xe2),
    read(0x40),
    read(0x61),
    read(0x404, 2),
    write(0x80, 0x12),
    read(0x80),
    read(0xcf9),
    read(0xf4),
    write(0xcf8, 0x8000_0000, 4),
    read(0xcfc, 2),
    read(0x500),
  ]);
  const [lsr, cmosD, keyboardStatus, counter, control, pm1Control, post, reset, debugExit, vendor, nothing] = values;
  assert.equal(printed, 'A');
  assert.equal(lsr, 0x60n);
  assert.equal(cmosD, 0x80n);
  assert.notEqual(keyboardStatus, 0xffn);
  assert.notEqual(counter, undefined);
  assert.notEqual(control, 0xffn);
  assert.equal(pm1Control, 0n);
  assert.equal(post, 0x12n);
  assert.equal(reset, 0n);
  assert.equal(debugExit, 0xffn);
  assert.equal(vendor, 0x8086n);
  assert.equal(nothing, 0xffn);
  assert.equal(end.reason, 'halted');
});

test('a guest enters ACPI mode through port 0xb2', async () => {
  const { values } = await play([write(0xb2, 0xa0), read(0x404, 2)]);
  assert.deepEqual(values, [1n]);
});

test('a console without room makes the guest’s next character wait', async () => {
  let waits = 0;
  const { printed } = await play(
    [...Buffer.from('hello')].map((byte) => write(0x3f8, byte)),
    {
      consoleRoom: () => {
        waits++;
        return new Promise((resolve) => setImmediate(resolve));
      },
    },
  );
  assert.equal(printed, 'hello');
  assert.equal(waits, 5);
});

test('another device at the ports of a standard one is refused', async () => {
  await play([], {}, (vm) =>
    assert.throws(() => vm.attach(ports(0x3f8, 1), { name: 'mine', read: () => 0, write: () => undefined }), {
      code: 'RANGE_OVERLAP',
      message: 'mine at ports 0x3f8…0x3f8 overlaps uart16550 at ports 0x3f8…0x3ff',
    }),
  );
});

test('a guest that sets its clock and powers off is reported to the operator and in the ring for VM events', async () => {
  const scripted = new ScriptedHypervisor([
    {
      steps: [
        ...[write(0x70, 0x0b), write(0x71, 0x82), write(0x70, 0x09), write(0x71, 0x99)],
        ...[write(0x70, 0x32), write(0x71, 0x20), write(0x70, 0x0b), write(0x71, 0x02)],
        write(0x404, 0x3400, 2),
      ],
    },
  ]);
  let hypercalls: Hypercalls | undefined;
  const hypervisor: Hypervisor = {
    name: 'scripted, with its hypercalls in the open',
    available: () => scripted.available(),
    createVm: async (...options) => (hypercalls = await scripted.createVm(...options)),
  };
  const serviceVm = new ServiceVm(hypervisor);
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  const { asyncIo } = hypercalls ?? {};
  assert.equal(asyncIo?.setupRing(RingId.VM_EVENT, createRingPage(EVENT_ELEMENT_BYTES)), 0);
  standardPc(vm);
  const reported: UserVmEvent[] = [];
  vm.onEvent((event) => reported.push(event));
  const earliest = Math.floor(Date.now() / 1000);
  await vm.start();
  assert.equal((await vm.ended).reason, 'power-off');
  await serviceVm.close();

  const set = reported.find((event) => event.kind === 'rtc-changed');
  assert.ok(set !== undefined && set.lastTime >= earliest && set.lastTime <= Date.now() / 1000);
  assert.equal(new Date((set.lastTime + set.delta) * 1000).getUTCFullYear(), 2099);
  const records: AcrnVmEvent[] = [];
  const element = new Int32Array(EVENT_ELEMENT_BYTES >> 2);
  while (asyncIo.ring(RingId.VM_EVENT)?.take(element) === RingResult.DONE) records.push(decodeAcrnVmEvent(element));
  assert.deepEqual(
    records.map(({ type }) => type),
    [VmEventType.RTC_CHANGED, VmEventType.POWER_OFF],
  );
  const data = new DataView((records[0]?.data ?? new Uint8Array()).slice().buffer);
  assert.deepEqual([data.getBigInt64(0, true), data.getBigInt64(8, true)], [BigInt(set.lastTime), BigInt(set.delta)]);
});
