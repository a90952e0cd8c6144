import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openKvm } from './kvm-calls.js';
import { loadLibc } from './libc.js';

const libc = loadLibc();
const skip = libc === undefined && 'koffi is not installed, or this is not Linux';

test('no call declares a function: the thread may be ended meanwhile', { skip }, () => {
  const calls = openKvm();
  assert.ok(libc !== undefined && calls !== undefined);
  const own = { ...libc };
  const refuse = (what: string): never => assert.fail(`${what} was declared by a call`);
  Object.assign(libc, { func: refuse, symbol: refuse });
  try {
    const file = calls.open();
    assert.ok(file < 0 || calls.ioctl(file, 0xae00, 0) === 12);
    const other = calls.duplicate(1);
    assert.ok(other > 1);
    calls.close(other);
    if (file >= 0) calls.close(file);
    assert.ok(calls.duplicate(-1) < 0);
    const region = { slot: 0, guestAddress: 0, memory: calls.allocate(4096), offset: 0, bytes: 4096 };
    assert.throws(() => calls.takeLog(-1, region), /KVM_GET_DIRTY_LOG failed: EBADF/);
    calls.unmap(calls.allocate(4096), 4096);
    calls.interrupt(calls.thread());
    calls.startTicks(1000).stop();
  } finally {
    Object.assign(libc, own);
  }
});
