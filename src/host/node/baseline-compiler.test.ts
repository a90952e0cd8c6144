/** Which of V8's compilers made a module, asked of V8 itself. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** Calls two modules often, one of them by `compileBaseline`, and says how V8 compiled them. */
const SCRIPT = `
  import { compileBaseline } from '${new URL('baseline-compiler.js', import.meta.url).href}';
  // (func (export "f") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  const type = [1, 5, 1, 0x60, 1, 0x7f, 0, 3, 2, 1, 0];
  const exported = [7, 5, 1, 1, 0x66, 0, 0];
  const code = [10, 16, 1, 14, 0, 3, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x0b];
  // A custom section makes it another module to V8, which shares equal ones.
  const bytes = (name) => new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...type, ...exported, ...code, 0, 2, 1, name]);
  const entry = (module) => new WebAssembly.Instance(module).exports.f;
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
  const compiler = (f) => (%IsLiftoffFunction(f) ? 'baseline' : 'optimised');
  console.log(compiler(baseline), compiler(optimised));
`;

function compilerOf(...flags: readonly string[]): string {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--allow-natives-syntax', ...flags, '--input-type=module', '--eval', SCRIPT],
    { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
  );
  return `${stdout}${stderr}`;
}

test('a module stays with the baseline compiler, while one that is compiled after it does not', () => {
  assert.equal(compilerOf(), 'baseline optimised\n');
});

test('who gave V8 a flag for WebAssembly keeps what it chose', () => {
  assert.equal(compilerOf('--wasm-tiering-budget=100000'), 'optimised optimised\n');
});
