import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OneVm } from '../hsm/fixtures/one-vm.js';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { allocatedBytes } from '../sync/fixtures/allocated-bytes.js';
import { AssignedRequest } from '../hsm/assigned-request.js';
import { MAX_ADDRESSES } from '../trace/address-counts.js';
import { DefaultClient } from './default-client.js';

const { WRITE } = Direction;
const { MMIO } = IoRequestType;
const { COMPLETE } = IoRequestState;

function make(): { vm: OneVm; client: DefaultClient; log: string[] } {
  const vm = new OneVm();
  const log: string[] = [];
  const client = new DefaultClient({
    read: (...at) => log.push(`r ${at.join(' ')}`) + 0xffff_ff00,
    write: (...at) => void log.push(`w ${at.join(' ')}`),
  });
  vm.requests.clients.addDefault(client);
  return { vm, client, log };
}

test('an unclaimed access reads all ones in all of its words, and its write is ignored', () => {
  const { vm, client } = make();
  const port = vm.fill(0, { address: 0x700, size: 1 });
  const wide = vm.fill(1, { type: MMIO, address: 0x1_0000_0008, size: 8 });
  const write = vm.fill(2, { direction: WRITE, address: 0x700, value: 0x12 });
  const protectedPage = vm.fill(3, { type: 3, direction: WRITE, address: 0x3000, size: 4, value: 1 });
  vm.requests.dispatch();
  assert.deepEqual([port.valueLow, wide.valueLow, wide.valueHigh, write.valueLow], [-1, -1, -1, 0x12]);
  assert.ok([port, wide, write, protectedPage].every((slot) => slot.state === COMPLETE));
  assert.deepEqual(
    [...client.unclaimed],
    [
      ['port 0x700', 2],
      ['mmio 0x100000008', 1],
      ['write-protect 0x3000', 1],
    ],
  );
});

test('a PCI request is answered by configuration space with 32 bits, whatever the size', () => {
  const { vm, client, log } = make();
  vm.fill(0, { direction: WRITE, address: 0xcf8, size: 4, value: 0x8312_f9a4 });
  vm.requests.dispatch();
  const read = vm.fill(1, { address: 0xcfe, size: 2 });
  const write = vm.fill(2, { direction: WRITE, address: 0xcfc, size: 4, value: 0xdead_beef });
  vm.requests.dispatch();
  assert.deepEqual(log, ['r 18 31 1 934 2', 'w 18 31 1 932 4 3735928559']);
  assert.deepEqual([read.valueLow >>> 0, read.pciBus, read.state], [0xffff_ff01, 0x12, COMPLETE]);
  assert.deepEqual([write.valueLow >>> 0, write.state], [0xdead_beef, COMPLETE]);
  assert.equal(client.unclaimed.size, 0);
});

test('a write to configuration space is no wider than its access, whatever the slot holds', () => {
  const { vm, log } = make();
  vm.fill(0, { direction: WRITE, address: 0xcf8, size: 4, value: 0x8000_0040 });
  vm.requests.dispatch();
  vm.fill(1, { direction: WRITE, address: 0xcfc, size: 1, value: 0xffff_fffe });
  vm.fill(2, { direction: WRITE, address: 0xcfc, size: 2, value: 0xffff_fffe });
  vm.requests.dispatch();
  assert.deepEqual(log, ['w 0 0 0 64 1 254', 'w 0 0 0 64 2 65534']);
});

test('a guest that scans all ports fills a bounded list; the rest share one count', () => {
  const { vm, client } = make();
  const accesses = MAX_ADDRESSES + 300;
  for (let port = 0; port < accesses; port++) {
    const slot = vm.fill(0, { address: 0x2000 + port });
    vm.requests.dispatch();
    slot.release();
  }
  assert.equal(client.unclaimed.size, MAX_ADDRESSES + 1);
  assert.equal(client.unclaimed.get('other addresses'), 300);
  vm.fill(0, { address: 0x2000 });
  vm.requests.dispatch();
  assert.equal(client.unclaimed.get('port 0x2000'), 2);
});

test('a million unclaimed accesses to addresses seen before, or to too many, allocate nothing', () => {
  const { client } = make();
  const request = new AssignedRequest(0, { finish: () => true });
  const notify = (call: number): void => {
    request.type = call & 1;
    request.direction = (call >> 1) & 1;
    request.addressLow = call & 0x3fff;
    client.notify(request);
  };
  assert.ok(allocatedBytes(1_000_000, notify) < 1_000_000);
  assert.equal(client.unclaimed.size, MAX_ADDRESSES + 1);
  assert.equal(
    [...client.unclaimed.values()].reduce((sum, count) => sum + count),
    1_100_000,
  );
});
