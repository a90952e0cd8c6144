import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Errno } from './errno.js';
import { Direction, IoRequestType, PAGE_BYTES, SLOT_BYTES, SLOT_COUNT, SLOT_OFFSET } from './layout.js';

test('the page and its slots have the sizes of linux/acrn.h', () => {
  assert.deepEqual([PAGE_BYTES, SLOT_COUNT, SLOT_BYTES], [4096, 16, 256]);
});

test('the fields of a slot are where linux/acrn.h has them', () => {
  assert.deepEqual(SLOT_OFFSET, {
    type: 0,
    completionPolling: 4,
    direction: 64,
    address: 72,
    size: 80,
    value: 88,
    pciBus: 92,
    pciDevice: 96,
    pciFunction: 100,
    pciRegister: 104,
    kernelHandled: 132,
    state: 136,
  });
});

test('types, directions and errors have the numbers of linux/acrn.h and of Linux', () => {
  assert.deepEqual(IoRequestType, { PORT: 0, MMIO: 1, PCI: 2, WRITE_PROTECT: 3 });
  assert.deepEqual(Direction, { READ: 0, WRITE: 1 });
  assert.deepEqual(Errno, {
    EPERM: -1,
    ENOENT: -2,
    EBADF: -9,
    ENOMEM: -12,
    EFAULT: -14,
    EBUSY: -16,
    EEXIST: -17,
    ENODEV: -19,
    EINVAL: -22,
    EMFILE: -24,
    ENOTTY: -25,
  });
});
