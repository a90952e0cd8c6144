import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IoRequestState, ownerOf, stateName } from './state.js';

const { PENDING, COMPLETE, PROCESSING, FREE } = IoRequestState;

test('the states have the numbers of linux/acrn.h and their names', () => {
  assert.deepEqual([PENDING, COMPLETE, PROCESSING, FREE], [0, 1, 2, 3]);
  assert.deepEqual([0, 1, 2, 3, 4, -1].map(stateName), [
    'PENDING',
    'COMPLETE',
    'PROCESSING',
    'FREE',
    'state 4',
    'state -1',
  ]);
});

test('the hypervisor owns a FREE or COMPLETE slot, the Service VM the others, and an invalid one has no owner', () => {
  assert.deepEqual([FREE, COMPLETE].map(ownerOf), ['hypervisor', 'hypervisor']);
  assert.deepEqual([PENDING, PROCESSING].map(ownerOf), ['service-vm', 'service-vm']);
  assert.deepEqual([4, -1].map(ownerOf), ['none', 'none']);
});
