import assert from 'node:assert/strict';
import { test } from 'node:test';
import { madeMove } from './fixtures/made-move.js';
import { MoveRecords } from './move-record.js';

test('a record has all fields of its move, and null for what the move does not have', () => {
  const records = new MoveRecords('vm');
  assert.deepEqual(records.record(madeMove({ timeNs: 5, vcpu: 15, requestNumber: 7, lost: 3, isRefused: true })), {
    vm: 'vm',
    timeNs: 5,
    timed: true,
    stageNs: null,
    vcpu: 15,
    request: 7,
    from: 'FREE',
    to: 'PENDING',
    by: 'vcpu',
    client: null,
    type: 'port',
    direction: 'read',
    address: 0x60,
    pci: null,
    size: 1,
    value: 0x5a,
    refused: true,
    lost: 3,
  });
  const { type, direction, address, pci, size, value } = records.record(madeMove({ request: undefined }));
  assert.deepEqual([type, direction, address, pci, size, value], [null, null, null, null, null, null]);
  assert.equal(records.record(madeMove({ client: 'disk' })).client, 'disk');
});

test('a PCI request has its place and register instead of an address', () => {
  const place = { bus: 1, device: 0x1f, function: 2, register: 0x40 };
  const request = { type: 'pci', direction: 'write', size: 4, value: 1, ...place } as const;
  const { address, pci } = new MoveRecords('vm').record(madeMove({ request }));
  assert.deepEqual([address, pci], [null, '01:1f.2 0x40']);
});

test('a stage is the time since the move before of the same request, if both have a time and none was lost', () => {
  const records = new MoveRecords('vm');
  const stage = (part: Parameters<typeof madeMove>[0]): number | null => records.record(madeMove(part)).stageNs;
  const processing = { from: 'PENDING', to: 'PROCESSING' } as const;
  assert.equal(stage({ ...processing, timeNs: 50 }), null, 'nothing came before');
  assert.equal(stage({ timeNs: 100 }), null, 'it is the first of its request');
  assert.equal(stage({ ...processing, timeNs: 130 }), 30);
  assert.equal(stage({ ...processing, timeNs: 135, vcpu: 1 }), null, 'another slot');
  assert.equal(stage({ ...processing, timeNs: 140, isTimed: false }), null);
  assert.equal(stage({ ...processing, timeNs: 150 }), null, 'the move before has no time');
  assert.equal(stage({ ...processing, timeNs: 160, lost: 1 }), null);
  assert.equal(stage({ ...processing, timeNs: 175 }), 15);
  assert.equal(stage({ ...processing, timeNs: 180, requestNumber: 4 }), null, 'another request');
  const first = { ...processing, requestNumber: 1, vcpu: 2 };
  assert.equal(stage({ ...first, timeNs: 50 }), null, 'nothing came before');
  assert.equal(stage({ ...first, timeNs: 60, isTimed: false }), null);
  assert.equal(stage({ ...first, timeNs: 70 }), null, 'the move before has no time');
});
