import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeMove, type Move } from './move.js';

const MOVE: Move = {
  timeNs: 12_345_678,
  isTimed: true,
  vcpu: 3,
  from: 'PENDING',
  to: 'PROCESSING',
  by: 'hsm',
  client: 'uart16550',
  request: { type: 'port', direction: 'read', address: 0x3f8, size: 1, value: 0x41 },
  requestNumber: 0,
  isRefused: false,
  lost: 0,
};

const line = (part: Partial<Move>): string => describeMove({ ...MOVE, ...part }).replace('12.345678 ms vCPU 3 ', '');

test('a move in one line has its time, states, client and request', () => {
  assert.equal(describeMove(MOVE), '12.345678 ms vCPU 3 PENDING → PROCESSING, uart16550: read port 0x3f8/1');
  assert.equal(describeMove({ ...MOVE, isTimed: false }).slice(0, 14), '12.345678+ ms ');
  assert.equal(line({ client: undefined, request: undefined }), 'PENDING → PROCESSING');
});

test('the answer is shown from COMPLETE on, unless the move was refused', () => {
  const answered = ': read port 0x3f8/1 = 0x41';
  const complete = { from: 'PROCESSING', to: 'COMPLETE', by: 'client' } as const;
  assert.equal(line(complete), `PROCESSING → COMPLETE, uart16550${answered}`);
  assert.equal(line({ from: 'COMPLETE', to: 'FREE', by: 'vcpu' }), `COMPLETE → FREE, uart16550${answered}`);
  assert.equal(line({ ...complete, isRefused: true }), 'PROCESSING → COMPLETE, uart16550: read port 0x3f8/1 (refused)');
});

test('a request that the HSM finishes in its client’s place, and lost moves, are marked', () => {
  assert.match(line({ from: 'PROCESSING', to: 'COMPLETE' }), /COMPLETE, uart16550, finished by the HSM: read/);
  assert.doesNotMatch(line({ from: 'PENDING', to: 'COMPLETE' }), /finished/);
  assert.match(line({ lost: 5 }), / \(5 lost before\)$/);
  assert.doesNotMatch(line({}), /lost/);
});
