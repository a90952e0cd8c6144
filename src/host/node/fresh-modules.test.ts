import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { importAnew } from './fresh-modules.js';

/** A folder with these files. */
function folderOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'upcall-fresh-')));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries({ 'package.json': '{ "type": "module" }', ...files })) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

for (const ext of ['js', 'ts'])
  test(`a .${ext} file and what it imports are loaded anew each time, a package once`, async (t) => {
    const folder = folderOf(t, {
      [`main.${ext}`]: `import { value } from './part.${ext}'; import { EventEmitter } from 'node:events';
        import { state } from 'kept'; export default class { value = value; events = new EventEmitter(); state = state; }`,
      [`part.${ext}`]: 'export const value = 1;',
      'node_modules/kept/package.json': '{ "name": "kept", "type": "module", "exports": "./kept.js" }',
      'node_modules/kept/kept.js': 'export const state = {};',
    });
    const main = join(folder, `main.${ext}`);
    const part = join(folder, `part.${ext}`);
    const load = async (): Promise<{ value: number; state: object }> => {
      const files: string[] = [];
      const { default: Made } = await importAnew(main, (file) => files.push(file));
      assert.deepEqual(files, [main, part]);
      return new (Made as new () => { value: number; state: object })();
    };
    const first = await load();
    assert.equal(first.value, 1);
    writeFileSync(part, 'export const value = 2;');
    const second = await load();
    assert.equal(second.value, 2);
    assert.equal(first.state, second.state);
  });

test('types, JSON, cycles, top-level await and import.meta work', async (t) => {
  const folder = folderOf(t, {
    'main.ts': `import data from './data.json' with { type: 'json' }; import { name as other } from './other.ts';
      import type { Missing } from './missing.ts';
      export const name: string = 'main'; const later = await Promise.resolve(data.number);
      export const all = () => [later, other(), import.meta.url, (null as Missing | null)];`,
    'other.ts': `import { name as main } from './main.ts'; export const name = () => main + ' by other';`,
    'data.json': '{ "number": 5 }',
  });
  const { all } = await importAnew(`file://${folder}/main.ts`, () => undefined);
  assert.deepEqual((all as () => unknown)(), [5, 'main by other', `file://${folder}/main.ts`, null]);
});

test('an error has its place, and the files that were tried are reported', async (t) => {
  const folder = folderOf(t, {
    'main.ts': `import './broken.ts';`,
    'broken.ts': `export const a = 1;\nexport const b = ;\n`,
    'throws.js': `const a = 1;\n  throw new Error('thrown');\n`,
    'lacks.ts': `import './nothing.ts';`,
  });
  const files: string[] = [];
  const load = (name: string): Promise<unknown> => {
    files.length = 0;
    return importAnew(join(folder, name), (file) => files.push(file.slice(folder.length + 1)));
  };
  await assert.rejects(load('main.ts'), (error: Error) => {
    assert.ok(error instanceof SyntaxError);
    assert.match(error.message, new RegExp(`^Unexpected token \\(at ${folder}/broken\\.ts:2:18\\)$`));
    return true;
  });
  assert.deepEqual(files, ['main.ts', 'broken.ts']);
  await assert.rejects(load('throws.js'), (error: Error) => {
    assert.match(error.stack ?? '', new RegExp(`at .*${folder}/throws\\.js:2:\\d+`));
    return true;
  });
  await assert.rejects(load('lacks.ts'), /nothing\.ts/);
  assert.deepEqual(files, ['lacks.ts', 'nothing.ts']);
  await assert.rejects(load('none.ts'), { code: 'ENOENT' });
});
