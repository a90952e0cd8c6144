/** Which of V8's compilers made a module, asked of V8 itself. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { DEFAULT_BUDGET, HAS_SMALL_BUDGET } from './wasm-tiers.js';

/** Makes modules, and says of a function which compiler made it. Variables of the scripts below. */
const PREAMBLE = `
  import { compileBaseline, compileOptimisedLate } from '${new URL('wasm-tiers.js', import.meta.url).href}';
  // (func (export "f") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  const type = [1, 5, 1, 0x60, 1, 0x7f, 0, 3, 2, 1, 0];
  const exported = [7, 5, 1, 1, 0x66, 0, 0];
  const code = [10, 16, 1, 14, 0, 3, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x0b];
  // A custom section makes it another module to V8, which shares equal ones.
  const bytes = (name) => new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...type, ...exported, ...code, 0, 2, 1, name]);
  const entry = (module) => new WebAssembly.Instance(module).exports.f;
  const compiler = (f) => (%IsLiftoffFunction(f) ? 'baseline' : 'optimised');
`;

/** Calls two modules often, one of them by `compileBaseline`. */
const BASELINE = `
  const baseline = entry(compileBaseline(bytes(1)));
  const optimised = entry(new WebAssembly.Module(bytes(2)));
  const callUntilOptimised = (f) => {
    for (let left = 20_000; left > 0 && %IsLiftoffFunction(f); left--) {
      baseline(10_000);
      optimised(10_000);
    }
  };
  callUntilOptimised(optimised);
  callUntilOptimised(baseline);
  console.log(compiler(baseline), compiler(optimised));
`;

/**
 * Runs two modules through as many bytes of code, 20 million or more: above V8's own budget, below
 * the late one. Then the late one through more.
 */
const LATE = `
  const late = entry(compileOptimisedLate(bytes(1)));
  const ordinary = entry(new WebAssembly.Module(bytes(2)));
  late(1_500_000);
  ordinary(1_500_000);
  // V8 optimises in another thread, which needs no further call.
  const word = new Int32Array(new SharedArrayBuffer(4));
  for (let left = 2000; left > 0 && %IsLiftoffFunction(ordinary); left--) Atomics.wait(word, 0, 0, 5);
  const before = compiler(late);
  for (let left = 20_000; left > 0 && %IsLiftoffFunction(late); left--) late(100_000);
  console.log(before, compiler(ordinary), compiler(late));
`;

function resultOf(script: string, ...flags: readonly string[]): string {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--allow-natives-syntax', ...flags, '--input-type=module', '--eval', PREAMBLE + script],
    { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
  );
  return `${stdout}${stderr}`;
}

test('a module stays with the baseline compiler, while one that is compiled after it does not', () => {
  assert.equal(resultOf(BASELINE), 'baseline optimised\n');
});

const isLate = { skip: HAS_SMALL_BUDGET ? false : 'this V8 has a large budget by itself' };

test('a module is optimised late, and one that is compiled after it at its usual time', isLate, () => {
  assert.equal(resultOf(LATE), 'baseline optimised optimised\n');
});

test('who gave V8 a flag for WebAssembly keeps what it chose', () => {
  assert.equal(resultOf(BASELINE, '--wasm-tiering-budget=100000'), 'optimised optimised\n');
});

test('the budget that other modules get is the default of this V8', isLate, () => {
  const { stdout } = spawnSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  assert.equal(/default: --wasm-tiering-budget=(\d+)/.exec(stdout)?.[1], String(DEFAULT_BUDGET));
});
