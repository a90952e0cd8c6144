import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { loadCompiler } from '../compiler.js';
import { Runtime } from '../machine/runtime.js';
import { CodeBase } from './code-base.js';
import { RewrittenModules } from './rewritten-modules.js';

test('modules of one file name and one text have sites of their own, and relaxed functions of their own', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'rewritten-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const names = ['one/same', 'other/same'];
  // Only a module that names Int32Array has stops at indexes (stops.ts).
  const text = `
    export const closure = () => 1;
    export const make = () => new Int32Array(1);
    export function first(words) { return words[0]; }`;
  for (const name of names) {
    mkdirSync(join(folder, name, '..'));
    writeFileSync(join(folder, `${name}.js`), text);
  }
  const code = new CodeBase(loadCompiler(), {
    root: pathToFileURL(`${folder}/`),
    relaxed: [{ module: 'other/same', in: 'first' }],
  });
  const runtime = new Runtime();
  const modules = new RewrittenModules(code, names, runtime, new Map(), []);
  for (const name of names) {
    const closure = modules.require(name)['closure'] as object;
    assert.match(runtime.originOf(closure)?.site ?? '', new RegExp(`^${name}:\\d+$`));
  }
  const isRelaxed = [...code.rewritten.values()].map((text) => /\$\.index\(.*\[.*\], (\w+),/.exec(text)?.[1]);
  assert.deepEqual(isRelaxed, ['false', 'true']);
});
