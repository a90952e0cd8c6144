import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IOEVENTFD, PCIDEV, VM_CREATION } from './struct-layout.js';
import { StructView } from './struct-view.js';

test('fields are little-endian and of their own width', () => {
  const view = new StructView(IOEVENTFD).set('fd', -1).set('addr', 0x1_0000_0002n).set('len', 0x1_0000_0004n);
  assert.deepEqual([...view.bytes.subarray(0, 4)], [255, 255, 255, 255]);
  assert.equal(view.number('fd'), -1);
  assert.equal(view.big('addr'), 0x1_0000_0002n);
  assert.equal(view.number('addr'), 2);
  assert.equal(view.number('len'), 4);
});

test('arrays have elements, and isZero looks at each', () => {
  const view = new StructView(PCIDEV);
  assert.equal(view.isZero('bar'), true);
  view.set('bar', 7, 5);
  assert.equal(view.number('bar', 5), 7);
  assert.equal(view.isZero('bar'), false);
  assert.throws(() => view.number('bar', 6), RangeError);
});

test('a view of given bytes changes them', () => {
  const bytes = new Uint8Array(64).subarray(8, 56);
  new StructView(VM_CREATION, bytes).set('vmid', 0xffff).set('uuid', 0x41, 15);
  assert.deepEqual([...bytes.subarray(0, 2)], [255, 255]);
  assert.equal(bytes[23], 0x41);
});
