import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { coreFile } from './core-image.js';
import { editInterrupts, ENTER_VECTOR_EXPORT } from './interrupt-edits.js';
import { mismatch } from './wasm-edit.js';
import { WasmFunctions } from './wasm-functions.js';

const ORIGINAL = new Uint8Array(await readFile(await coreFile()));
/** `i32.const` of the local APIC's address and `i32.eq`; the same of the I/O APIC's. */
const LOCAL_APIC_COMPARED = [0x41, 0x80, 0x80, 0x80, 0x77, 0x46];
const COMPARISONS = [LOCAL_APIC_COMPARED, [0x41, 0x80, 0x80, 0x80, 0x76, 0x46]];

function count(bytes: Uint8Array, pattern: readonly number[]): number {
  let found = 0;
  for (let at = bytes.indexOf(0x41); at >= 0; at = bytes.indexOf(0x41, at + 1))
    if (pattern.every((byte, i) => bytes[at + i] === byte)) found++;
  return found;
}

function edit(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const functions = new WasmFunctions(bytes, mismatch);
  editInterrupts(functions, mismatch);
  return functions.toBytes();
}

function isMismatch(error: unknown): boolean {
  return error instanceof UpcallError && error.code === 'CORE_MISMATCH';
}

describe('the edits of the interrupt path', () => {
  test('leave a valid module without a comparison with an address of an APIC', async () => {
    for (const comparison of COMPARISONS) assert.equal(count(ORIGINAL, comparison), 163);
    const edited = edit(ORIGINAL);
    for (const comparison of COMPARISONS) assert.equal(count(edited, comparison), 0);
    const module = await WebAssembly.compile(edited);
    const exports = WebAssembly.Module.exports(module);
    const added = exports.filter(({ name, kind }) => name === ENTER_VECTOR_EXPORT && kind === 'function');
    assert.equal(added.length, 1);
    assert.equal(exports.length, WebAssembly.Module.exports(await WebAssembly.compile(ORIGINAL)).length + 1);
  });

  test('refuse a module that they have edited already', () => {
    const edited = edit(ORIGINAL);
    assert.throws(() => edit(edited), isMismatch);
  });

  test('refuse a module in which one of their places is different', () => {
    const places: readonly (readonly [what: string, pattern: readonly number[]])[] = [
      ['a comparison', LOCAL_APIC_COMPARED],
      ['RDMSR', [0x41, 0x80, 0x90, 0x80, 0x77, 0x41]],
      ['WRMSR', [0x41, 0, 0x20, 0, 0x41, 0x0b, 0x76, 0x41, 1, 0x71, 0x3a, 0]],
      ['the ports', [0x41, 0x60, 0x6a, 0x0e]],
    ];
    for (const [what, pattern] of places) {
      const changed = new Uint8Array(ORIGINAL);
      let at = changed.indexOf(0x41);
      while (!pattern.every((byte, i) => changed[at + i] === byte)) at = changed.indexOf(0x41, at + 1);
      changed[at + pattern.length - 2] = (changed[at + pattern.length - 2] as number) ^ 1;
      assert.throws(() => edit(changed), isMismatch, what);
    }
  });
});
