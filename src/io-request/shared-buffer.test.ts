import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedBuffer } from './shared-buffer.js';
import { IoRequestState } from './state.js';

const { PENDING, FREE } = IoRequestState;

test('a new page has 4096 bytes and sixteen FREE slots, one for each vCPU', () => {
  const buffer = new SharedBuffer();
  assert.equal(buffer.page.byteLength, 4096);
  assert.equal(buffer.bytes.buffer, buffer.page);
  assert.deepEqual(
    buffer.slots.map(({ vcpu, state }) => [vcpu, state]),
    Array.from({ length: 16 }, (_, vcpu) => [vcpu, FREE]),
  );
});

test('a page from another thread keeps its contents until it is stamped', () => {
  const page = new SharedArrayBuffer(4096);
  const buffer = new SharedBuffer(page);
  assert.equal(buffer.page, page);
  assert.ok(buffer.slots.every(({ state }) => state === PENDING));
  buffer.stampFree();
  assert.ok(new SharedBuffer(page).slots.every(({ state }) => state === FREE));
});

test('a slot is found by its vCPU, and there are no others', () => {
  const buffer = new SharedBuffer();
  assert.equal(buffer.slot(0), buffer.slots[0]);
  assert.equal(buffer.slot(15), buffer.slots[15]);
  for (const vcpu of [-1, 16]) assert.throws(() => buffer.slot(vcpu), RangeError);
});
