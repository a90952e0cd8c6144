import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { undoX86Filter } from './x86-filter.js';

function undo(bytes: readonly number[]): number[] {
  const copy = Uint8Array.from(bytes);
  undoX86Filter(copy);
  return [...copy];
}

test('The absolute target of a call becomes relative to the next instruction', () => {
  // At offset 2, the next instruction is at 7: 0x107 − 7.
  assert.deepEqual(undo([0x90, 0x90, 0xe8, 0x07, 0x01, 0, 0, 0x90]), [0x90, 0x90, 0xe8, 0x00, 0x01, 0, 0, 0x90]);
});

test('A target before the instruction becomes negative', () => {
  assert.deepEqual(undo([0xe9, 0x01, 0, 0, 0, 0x90]), [0xe9, 0xfc, 0xff, 0xff, 0xff, 0x90]);
});

test('A far target, and an opcode whose operand is cut off, stay as they are', () => {
  for (const bytes of [
    [0xe8, 0x07, 0x01, 0, 0x12, 0x90],
    [0xe8, 0x07, 0x01, 0],
  ])
    assert.deepEqual(undo(bytes), bytes);
});

test('After two opcodes that were left alone, the third is left alone as well', () => {
  const bytes = [0xe8, 0xe8, 0xe8, 0x11, 0x22, 0x33, 0x00, 0x90];
  assert.deepEqual(undo(bytes), bytes);
});

test('Nothing but operands of branches is ever changed', () => {
  const likely = fc.constantFrom(0xe8, 0xe9, 0x00, 0xff, 0x90);
  fc.assert(
    fc.property(fc.array(likely, { maxLength: 64 }), (bytes) => {
      const undone = undo(bytes);
      assert.equal(undone.length, bytes.length);
      const changed = bytes.findIndex((byte, index) => byte !== undone[index]);
      if (changed !== -1)
        assert.ok(bytes.slice(Math.max(0, changed - 4), changed).some((byte) => (byte & 0xfe) === 0xe8));
    }),
  );
});
