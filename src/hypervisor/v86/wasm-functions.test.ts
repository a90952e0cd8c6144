import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ADD, AND, call, constant, local, loadWord, RETURN, storeWord, when } from './wasm-code.js';
import { WasmFunctions } from './wasm-functions.js';
import { WasmReader } from './wasm-sections.js';

/**
 * A module with the import e.f of type () → (), a memory of one page, and two functions of type
 * (i32) → (i32). `double` is exported. `twice` is named `_R5crate5twice` and adds double(x) to x.
 */
// prettier-ignore
const MODULE = Uint8Array.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 9, 2, 0x60, 0, 0, 0x60, 1, 0x7f, 1, 0x7f,
  2, 7, 1, 1, 0x65, 1, 0x66, 0, 0,
  3, 3, 2, 1, 1,
  5, 3, 1, 0, 1,
  7, 18, 2, 6, ...name('double'), 0, 1, 5, ...name('twice'), 0, 2,
  10, 21, 2, 7, 0, 0x20, 0, 0x20, 0, 0x6a, 0x0b, 11, 1, 1, 0x7f, 0x20, 0, 0x10, 1, 0x20, 0, 0x6a, 0x0b,
  0, 25, 4, ...name('name'), 1, 18, 1, 1, 15, ...name('_R5crate6double'),
]);

function name(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

function mismatch(what: string): Error {
  return new Error(what);
}

function functionsOf(functions: WasmFunctions): Record<string, (value: number) => number> {
  const module = new WebAssembly.Module(functions.toBytes());
  const { exports } = new WebAssembly.Instance(module, { e: { f: () => undefined } });
  return exports as Record<string, (value: number) => number>;
}

describe('the functions of a module', () => {
  test('stay as they are without an edit', () => {
    const { double, twice } = functionsOf(new WasmFunctions(MODULE, mismatch));
    assert.deepEqual([double?.(5), twice?.(5)], [10, 15]);
  });

  test('have an index by their export and by their path', () => {
    const functions = new WasmFunctions(MODULE, mismatch);
    assert.deepEqual([functions.index('twice'), functions.index('crate::double')], [2, 1]);
    assert.throws(() => functions.index('crate::thrice'), /it has 0 functions crate::thrice/);
  });

  test('run what is inserted at their start, behind their locals', () => {
    const functions = new WasmFunctions(MODULE, mismatch);
    functions.insertAtStart(functions.index('twice'), when(local(0), [...constant(-7), RETURN]));
    const { twice } = functionsOf(functions);
    assert.deepEqual([twice?.(5), twice?.(0)], [-7, 0]);
  });

  test('call what is appended, and what replaces a body', () => {
    const functions = new WasmFunctions(MODULE, mismatch);
    const double = functions.index('double');
    const original = functions.appendCopy(double);
    const addressed = functions.append(1, 1, [...storeWord(200, local(0)), ...loadWord(200)]);
    const body = [0, ...local(0), ...call(original), ...call(addressed), ...constant(300), ADD, 0x0b];
    functions.replaceBody(double, Uint8Array.from(body));
    functions.exportAs('original', original);
    const exports = functionsOf(functions);
    assert.deepEqual([exports['double']?.(5), exports['twice']?.(5), exports['original']?.(5)], [310, 315, 10]);
  });

  test('have each occurrence of a pattern replaced, of any length', () => {
    const functions = new WasmFunctions(MODULE, mismatch);
    const count = functions.replaceEach(functions.index('double'), [0x20, undefined], (found) => [
      ...found,
      ...constant(3),
      AND,
    ]);
    assert.equal(count, 2);
    assert.equal(functionsOf(functions)['double']?.(7), 6);
  });

  test('are refused where the module has not what an edit names', () => {
    const functions = new WasmFunctions(MODULE, mismatch);
    assert.throws(() => functions.body(0), /function 0 is not its own/);
    assert.throws(() => functions.append(3, 3, []), /no type of 3 parameters/);
    assert.throws(() => new WasmFunctions(MODULE.subarray(0, 8), mismatch), /it has no section 2/);
  });
});

test('constants survive their encoding', () => {
  for (const value of [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 0x7fff_ffff, -0x8000_0000, 0xffff_ffff]) {
    const bytes = Uint8Array.from(constant(value));
    let decoded = new WasmReader(bytes, 1).u32();
    const bits = 7 * (bytes.length - 1);
    if (bits < 32 && ((bytes.at(-1) as number) & 0x40) !== 0) decoded |= -1 << bits;
    assert.equal(decoded | 0, value | 0);
  }
});
