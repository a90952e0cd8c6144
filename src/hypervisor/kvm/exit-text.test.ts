import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitText } from './exit-text.js';
import { ExitReason } from './kvm-abi.js';
import { KvmRun } from './kvm-run.js';

/** An exit whose structure begins with these 32-bit words. */
function exit(reason: number, words: readonly number[]): string {
  const memory = new SharedArrayBuffer(4096);
  const view = new Uint32Array(memory);
  view[2] = reason;
  view.set(words, 8);
  return exitText(new KvmRun(memory, 4096), 0x1234n);
}

test('an instruction that KVM cannot emulate is named by its bytes', () => {
  // Kind, count, flags as two words, then a byte of length and the bytes.
  const text = exit(ExitReason.INTERNAL_ERROR, [1, 3, 1, 0, 0xc70f_0302, 0, 0, 0]);
  const remedy = 'Use --hypervisor v86, or a machine whose KVM has VT-x or AMD-V';
  assert.equal(
    text,
    `KVM cannot run the guest at 0x1234: it cannot emulate an instruction of the guest (03 0f). ${remedy}`,
  );
});

test('other internal errors have their data', () => {
  assert.match(exit(ExitReason.INTERNAL_ERROR, [3, 1, 0xab, 0]), /could not deliver an event \(0xab\)$/);
  assert.match(exit(ExitReason.INTERNAL_ERROR, [77, 0]), /error 77$/);
});

test('an entry that failed, an exit of the hardware, and an exit that is not handled have their numbers', () => {
  assert.match(exit(ExitReason.FAIL_ENTRY, [0x21, 0x8000_0000, 3]), /at 0x1234: reason 0x8000000000000021 on CPU 3$/);
  assert.match(exit(ExitReason.UNKNOWN, [0x30, 0]), /hardware exit 0x30$/);
  assert.match(exit(ExitReason.HYPERCALL, []), /with exit HYPERCALL, which upcall does not handle$/);
  assert.match(exit(999, []), /with exit 999, which/);
});
