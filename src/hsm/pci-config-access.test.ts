import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { ports } from './address-range.js';
import { AssignedRequest } from './assigned-request.js';
import { Keeper, OneVm } from './fixtures/one-vm.js';

const { READ, WRITE } = Direction;
const { COMPLETE, PROCESSING } = IoRequestState;

/** A VM whose address register was written, and whose default client keeps its requests. */
function configured(address?: number): { vm: OneVm; client: Keeper } {
  const vm = new OneVm();
  const client = new Keeper('default');
  vm.requests.clients.addDefault(client);
  if (address !== undefined) {
    vm.fill(0, { direction: WRITE, address: 0xcf8, size: 4, value: address });
    vm.requests.dispatch();
    vm.buffer.slot(0).release();
  }
  return { vm, client };
}

const TABLE = [
  { address: 0x8000_0000, port: 0xcfc, is: '00:00.0 register 0x0' },
  { address: 0x8000_1010, port: 0xcfc, is: '00:02.0 register 0x10' },
  { address: 0x8000_1010, port: 0xcfe, is: '00:02.0 register 0x12' },
  { address: 0x8312_f9a4, port: 0xcfe, is: '12:1f.1 register 0x3a6' },
  { address: 0x8fff_ffff, port: 0xcff, is: 'ff:1f.7 register 0xfff' },
];

describe('a 0xcf8/0xcfc pair becomes one PCI request', () => {
  for (const { address, port, is } of TABLE) {
    test(`${address.toString(16)} and port ${port.toString(16)} are ${is}`, () => {
      const { vm, client } = configured(address);
      vm.fill(1, { address: port, size: 1 });
      vm.requests.dispatch();
      assert.equal(client.kept[0]?.text, `read pci ${is}/1`);
      assert.equal(vm.buffer.slot(1).state, PROCESSING);
    });
  }

  test('the slot is rewritten in place and keeps the port of the access (section 10, vector 3)', () => {
    const { vm } = configured(0x8312_f9a4);
    vm.fill(1, { address: 0xcfe, size: 2, value: 0x77 });
    const before = new Uint8Array(vm.buffer.page).slice(256, 512);
    vm.requests.dispatch();
    const view = new DataView(before.buffer);
    view.setUint32(0, 2, true);
    view.setUint32(92, 0x12, true);
    view.setUint32(96, 0x1f, true);
    view.setUint32(100, 1, true);
    view.setUint32(104, 0x3a6, true);
    view.setUint32(132, 0, true);
    view.setUint32(136, 2, true);
    assert.equal(view.getUint32(72, true), 0xcfe);
    assert.deepEqual([...new Uint8Array(vm.buffer.page).slice(256, 512)], [...before]);
  });

  test('the answer of a PCI read does not touch the bus beside the value', () => {
    const { vm, client } = configured(0x8312_f9a4);
    const slot = vm.fill(1, { address: 0xcfc, size: 4 });
    vm.requests.dispatch();
    assert.equal(client.answer(-1, -1), true);
    assert.deepEqual([slot.valueLow, slot.pciBus, slot.state], [-1, 0x12, COMPLETE]);
  });

  test('a byte write replaces the whole address register, which then is disabled (section 10, vector 4)', () => {
    const { vm, client } = configured(0x8000_1010);
    vm.notified.length = 0;
    vm.fill(1, { direction: WRITE, address: 0xcf8, size: 1, value: 0x12 });
    vm.requests.dispatch();
    assert.equal(vm.requests.pciConfig.address, 0x12);
    const read = vm.fill(2, { address: 0xcfc, size: 4 });
    vm.requests.dispatch();
    assert.deepEqual([read.valueLow, read.state], [-1, COMPLETE]);
    assert.deepEqual(vm.notified, [1, 2]);
    assert.equal(client.kept.length, 0);
  });

  test('the address register reads back all 32 bits for any size of the access, enabled or not', () => {
    for (const address of [0, 0x7fff_ffff, 0x8000_1010, 0xffff_ffff]) {
      const { vm, client } = configured(address);
      for (const size of [1, 2, 4]) {
        const slot = vm.fill(1, { address: 0xcf8, size });
        vm.requests.dispatch();
        assert.deepEqual([slot.valueLow >>> 0, slot.state], [address, COMPLETE]);
        slot.release();
      }
      assert.equal(client.kept.length, 0);
    }
  });

  test('with the enable bit clear a data read gives all ones and a data write is dropped', () => {
    const { vm, client } = configured(0x7fff_ffff);
    const read = vm.fill(1, { address: 0xcfc, size: 2, value: 5 });
    const write = vm.fill(2, { direction: WRITE, address: 0xcff, size: 1, value: 0x33 });
    vm.requests.dispatch();
    assert.deepEqual([read.valueLow, read.state], [-1, COMPLETE]);
    assert.deepEqual([write.valueLow, write.state], [0x33, COMPLETE]);
    assert.equal(read.type, IoRequestType.PORT);
    assert.equal(client.kept.length, 0);
  });

  test('an access that the HSM answers itself reaches no client and is reported to the statistics', () => {
    const { vm } = configured();
    const greedy = new Keeper('greedy');
    vm.requests.clients.add(greedy, [ports(0xcf8, 8)]);
    vm.dispatched.length = 0;
    vm.fill(1, { direction: WRITE, address: 0xcf8, size: 4, value: 0x8000_0000 });
    vm.requests.dispatch();
    vm.fill(2, { address: 0xcfc, size: 4 });
    vm.requests.dispatch();
    assert.equal(greedy.kept.length, 0, 'a PCI request matches no range');
    assert.deepEqual(vm.dispatched, [
      '1 write port 0xcf8/4 = 0x80000000 to the HSM',
      '2 read pci 00:00.0 register 0x0/4 to default',
    ]);
  });

  test('0xcf9…0xcfb, 0xcf7, 0xd00, an MMIO access at 0xcf8 and one above 4 GiB go to the clients unchanged', () => {
    const { vm, client } = configured(0x8000_0000);
    const accesses = [
      { address: 0xcf7 },
      { address: 0xcf9 },
      { address: 0xcfb },
      { address: 0xd00 },
      { address: 0xcf8, type: IoRequestType.MMIO },
      { address: 0x1_0000_0cf8 },
    ];
    for (const access of accesses) {
      vm.fill(1, access);
      vm.requests.dispatch();
      assert.doesNotMatch(client.kept[0]?.text ?? '', /pci/);
      assert.equal(client.answer(1), true);
      vm.buffer.slot(1).release();
    }
    assert.equal(vm.requests.pciConfig.address, 0x8000_0000);
  });

  test('which accesses the HSM will answer itself is known before', () => {
    const ports = [0xcf7, 0xcf8, 0xcf9, 0xcfb, 0xcfc, 0xcff, 0xd00, 0xd01];
    for (const [address, answered] of [
      [0x7fff_ffff, [0xcf8, 0xcfc, 0xcff]],
      [0x8000_0000, [0xcf8]],
    ] as const) {
      const { pciConfig } = configured(address).vm.requests;
      const answers = (addressLow: number, addressHigh: number): boolean =>
        pciConfig.answers(Object.assign(new AssignedRequest(0, { finish: () => false }), { addressLow, addressHigh }));
      assert.deepEqual(
        ports.filter((port) => answers(port, 0)),
        answered,
      );
      assert.deepEqual(
        ports.filter((port) => answers(port, 1)),
        [],
      );
    }
  });

  test('a direction that is neither read nor write changes neither the register nor the value', () => {
    const { vm } = configured(0x8000_0000);
    const slot = vm.fill(1, { direction: 7, address: 0xcf8, size: 4, value: 0x55 });
    vm.requests.dispatch();
    assert.equal(vm.requests.pciConfig.address, 0x8000_0000);
    assert.deepEqual([slot.valueLow, slot.state], [0x55, COMPLETE]);
  });

  test('CLEAR and a reset leave the address register unchanged (X-K31)', async () => {
    const { vm } = configured(0x8000_1010);
    await vm.requests.clear();
    vm.requests.withdraw();
    assert.equal(vm.requests.pciConfig.address, 0x8000_1010);
    assert.equal(READ, 0);
  });
});
