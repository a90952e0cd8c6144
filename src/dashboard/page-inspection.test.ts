import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { mmio, ports } from '../hsm/address-range.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { Deferred } from '../sync/deferred.js';
import { withBench } from './fixtures/live-bench.js';
import { ServiceVm } from '../vm/service-vm.js';
import { ClientList } from './client-list.js';
import { DeviceAccesses } from './device-accesses.js';
import { PageInspection } from './page-inspection.js';
import { MAX_ACCESS_ROWS, MAX_RAW_BYTES, type Registers } from './protocol.js';

const LIMIT = { timeout: 120_000 };
const read = (address: number): ScriptStep => ({ type: 'port', direction: 'read', address, size: 1 });
const write = (address: number, value: number): ScriptStep => ({
  type: 'port',
  direction: 'write',
  address,
  size: 1,
  value,
});

test('of a device without a register map a page gets the bytes and the latest accesses by offset', LIMIT, async () => {
  const steps = [write(0x501, 7), read(0x500), write(0x501, 8), read(0x600), read(0x503)];
  await withBench({ steps }, async ({ vm, page }) => {
    const last = new Deferred<number>();
    vm.attach(ports(0x500, 4), {
      name: 'raw',
      read: (offset) => (offset === 3 ? last.promise : 0x2a),
      write: () => undefined,
      peek: (offset) => {
        if (offset === 2) throw new Error('a bug');
        return offset === 1 ? undefined : 0x100 + offset;
      },
    });
    const client = await page();
    const { clients } = await client.message('clients');
    const number = clients.findIndex(({ name }) => name === 'raw');
    assert.equal(clients[number]?.hasRegisters, false);
    let id = 0;
    const peek = async (of = number): Promise<Registers> => {
      await client.send({ kind: 'peek', id: ++id, client: of });
      return client.message('registers', (message) => message.id === id);
    };
    const first = await peek();
    assert.deepEqual(first.bytes, [{ first: '0x500', bytes: [0, null, null, 3] }]);
    assert.deepEqual([first.registers, first.accesses], [[], []]);
    await vm.start();
    let { accesses } = await peek();
    while (accesses.find(({ direction }) => direction === 'write')?.value !== '0x8') ({ accesses } = await peek());
    assert.deepEqual(
      accesses.map(({ offset, address, direction, size, value }) => [offset, address, direction, size, value]),
      [
        [0, '0x500', 'read', 1, '0x2a'],
        [1, '0x501', 'write', 1, '0x8'],
      ],
    );
    // Of another client, and of the first one again: the list begins anew.
    assert.deepEqual([(await peek(0)).bytes, (await peek()).accesses], [[], []]);
    last.resolve(0);
  });
});

test('bytes and accesses have limits', LIMIT, async () => {
  const steps = Array.from({ length: MAX_ACCESS_ROWS + 8 }, (_, index) => read(0x1000 + index));
  await withBench({ steps }, async ({ vm }) => {
    vm.attach(mmio(0xd000_0000, 0x1000), { name: 'large', read: () => 0, write: () => undefined, peek: () => 1 });
    vm.attach(ports(0x1000, 0x100), { name: 'many', read: (offset) => offset & 0x7f, write: () => undefined });
    const clientOf = (name: string) => {
      const client = vm.inspection.clients.find((one) => one.name === name);
      assert.ok(client !== undefined);
      return client;
    };
    const [raw] = vm.inspection.peekBytes(clientOf('large'), MAX_RAW_BYTES);
    assert.deepEqual([raw?.bytes.length, raw?.bytes[255]], [MAX_RAW_BYTES, 1]);
    assert.deepEqual(vm.inspection.peekBytes(clientOf('many'), MAX_RAW_BYTES), []);
    const accesses = new DeviceAccesses(vm.inspection, clientOf('many'));
    const ended = vm.ended;
    await vm.start();
    await ended;
    const rows = accesses.rows();
    accesses.close();
    assert.equal(rows.length, MAX_ACCESS_ROWS);
    // The client has gone, and with it its ranges.
    assert.deepEqual([rows[0]?.address, rows[0]?.offset, rows.at(-1)?.address], ['0x1008', null, '0x1047']);
  });
});

test('a peek that ends after a later one does not end the recording for that', LIMIT, async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  for (const [name, port] of [
    ['slow', 0x500],
    ['raw', 0x501],
  ] as const)
    vm.attach(ports(port, 1), { name, read: () => 0, write: () => undefined });
  const clients = new ClientList(vm.inspection);
  const peek = (id: number, name: string) =>
    inspection.peek({ kind: 'peek', id, client: clients.message().clients.findIndex((one) => one.name === name) });
  const slow = new Deferred<undefined>();
  const recorded = mock.method(vm.inspection, 'sampleMoves');
  mock.method(vm.inspection, 'peek', async ({ name }: { readonly name: string }) => {
    if (name === 'slow') await slow.promise;
    return { source: name, isAnswered: true, registers: [] };
  });
  const inspection = new PageInspection(vm.inspection, clients);
  const first = peek(1, 'slow');
  await peek(2, 'raw');
  slow.resolve(undefined);
  assert.equal((await first).kind, 'registers');
  assert.deepEqual(
    recorded.mock.calls.map(({ arguments: [options] }) => options?.client),
    ['raw'],
  );
  assert.equal(vm.hypercalls.shared.trace.isOn, true);
  inspection.close();
  await serviceVm.close();
});

test('a page that leaves while its peek is open does not keep the recording on', LIMIT, async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  vm.attach(ports(0x500, 1), { name: 'raw', read: () => 0, write: () => undefined });
  const clients = new ClientList(vm.inspection);
  const client = clients.message().clients.findIndex(({ name }) => name === 'raw');
  const inspection = new PageInspection(vm.inspection, clients);
  const isOn = (): boolean => vm.hypercalls.shared.trace.isOn;
  assert.equal((await inspection.peek({ kind: 'peek', id: 1, client })).kind, 'registers');
  assert.equal(isOn(), true);
  const open = inspection.peek({ kind: 'peek', id: 2, client });
  inspection.close();
  assert.equal(isOn(), false);
  assert.equal((await open).kind, 'registers');
  assert.equal(isOn(), false);
  await serviceVm.close();
});
