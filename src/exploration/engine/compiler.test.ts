import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompilerMissing, loadCompiler } from './compiler.js';

test('the compiler that is installed is loaded', () => {
  assert.match(loadCompiler().version, /^\d+\.\d+/);
});

test('a missing compiler is an error that names the package and the remedy', () => {
  const load = (name: string): never => {
    throw new Error(`Cannot find module ${name}`);
  };
  const isClear = (error: unknown): boolean =>
    error instanceof CompilerMissing &&
    /typescript, which is not installed: npm install --save-dev typescript$/.test(error.message) &&
    /Cannot find module typescript/.test(String(error.cause));
  assert.throws(() => loadCompiler(load), isClear);
});
