import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { coreFile } from './core-image.js';
import { TestMachine } from './fixtures/test-machine.js';
import {
  editCore,
  exportStackPointer,
  MAX_MEMORY_PAGES,
  patchRead16,
  patchRead64,
  shareImportedMemory,
  shareMemory,
  STACK_POINTER_EXPORT,
} from './wasm-edit.js';
import { encodeU32, findSection, importsOf, SectionId, WasmReader } from './wasm-sections.js';

const PREAMBLE = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

function isMismatch(error: unknown): boolean {
  return error instanceof UpcallError && error.code === 'CORE_MISMATCH' && error.remedy !== undefined;
}

/**
 * A module that imports the function e.f of type () → () and the memory e.m with a minimum of 200
 * pages.
 */
// prettier-ignore
const TRANSLATION = Uint8Array.from([
  ...PREAMBLE,
  1, 4, 1, 0x60, 0, 0,
  2, 15, 2, 1, 0x65, 1, 0x66, 0, 0, 1, 0x65, 1, 0x6d, 2, 0, 0xc8, 0x01,
  3, 2, 1, 0,
  7, 5, 1, 1, 0x66, 0, 1,
  10, 4, 1, 2, 0, 0x0b,
]);

test('numbers survive their encoding', () => {
  for (const value of [0, 1, 127, 128, 300, 65536, 0xffff_ffff])
    assert.equal(new WasmReader(Uint8Array.from(encodeU32(value)), 0).u32(), value);
});

describe('the edits of the core', () => {
  test('change one byte for 16-bit loads and one for 64-bit loads', async () => {
    const bytes = await readFile(await coreFile());
    for (const patch of [patchRead16, patchRead64]) {
      const patched = patch(bytes);
      assert.equal(patched.length, bytes.length);
      assert.equal(
        patched.reduce((count, byte, at) => count + (byte === bytes[at] ? 0 : 1), 0),
        1,
      );
    }
  });

  test('make a 64-bit load keep its upper half, whatever the sign of the lower one', async () => {
    const machine = await TestMachine.create({ value: 0x8192_a3b4 });
    // movq mm0, [0xd0000000]; movq [0xd0000010], mm0; hlt
    machine.load([0x0f, 0x6f, 0x05, 0, 0, 0, 0xd0, 0x0f, 0x7f, 0x05, 0x10, 0, 0, 0xd0, 0xf4]);
    machine.runUntilHalted();
    assert.equal(machine.accesses.at(-1), 'store d0000010/8 8192a3b4:8192a3b4');
  });

  test('refuse to be applied twice', async () => {
    const bytes = await readFile(await coreFile());
    assert.throws(() => patchRead16(patchRead16(bytes)), isMismatch);
    assert.throws(() => patchRead64(patchRead64(bytes)), isMismatch);
    assert.throws(() => shareMemory(shareMemory(bytes)), isMismatch);
  });

  test('give a module that compiles, with the stack pointer among its exports', async () => {
    const module = new WebAssembly.Module(editCore(await readFile(await coreFile())));
    const kinds = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]));
    assert.equal(kinds.get(STACK_POINTER_EXPORT), 'global');
  });

  test('refuse another module', () => {
    const empty = Uint8Array.from(PREAMBLE);
    for (const edit of [patchRead16, patchRead64, shareMemory, exportStackPointer, shareImportedMemory])
      assert.throws(() => edit(empty), isMismatch);
  });

  test('refuse bytes that are not a module, wherever they are cut off', () => {
    for (let length = 0; length < TRANSLATION.length; length++)
      assert.throws(() => patchRead16(TRANSLATION.subarray(0, length)), isMismatch);
  });
});

describe('the edit of a translation', () => {
  test('makes it import a shared memory of the same minimum', () => {
    const edited = shareImportedMemory(TRANSLATION);
    const section = findSection(edited, SectionId.IMPORT);
    assert.ok(section !== undefined);
    const [, memory] = importsOf(edited, section);
    assert.equal(memory?.name, 'm');
    const reader = new WasmReader(edited, memory.description);
    assert.deepEqual([reader.byte(), reader.u32(), reader.u32()], [3, 200, MAX_MEMORY_PAGES]);
    assert.equal(reader.offset, section.end);
  });

  test('leaves a module that works with a shared memory', () => {
    const module = new WebAssembly.Module(shareImportedMemory(TRANSLATION));
    const shared = new WebAssembly.Memory({ initial: 200, maximum: MAX_MEMORY_PAGES, shared: true });
    const { exports } = new WebAssembly.Instance(module, { e: { f: () => undefined, m: shared } });
    assert.equal((exports['f'] as () => unknown)(), undefined);
  });
});
