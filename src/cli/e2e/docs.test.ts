/**
 * The documents: their links, quotations, commands and translations, and the check that holds them.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'upcall-docs-'));
after(() => rmSync(scratch, { recursive: true }));

function check(at: string): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/docs.mjs', '--check'], {
    cwd: at,
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

test('links, quoted code, commands and translations of all documents hold', () => {
  const { status, output } = check(root);
  assert.equal(status, 0, output);
  assert.match(output, /^\d+ documents: /);
});

const ORIGINAL = '# Title\n\nText.\n';
const faults: readonly (readonly [string, string, string, RegExp])[] = [
  ['a link to a missing file', 'a.md', '[x](none.md)\n', /docs\/a\.md: links to none\.md, which does not exist/],
  ['a link to a missing heading', 'a.md', '[x](../README.md#none)\n', /README\.md has no such heading/],
  ['a quotation that has changed', 'a.md', '```js code.js\nlet a = 2;\n```\n', /this line does not stand.*let a = 2;/],
  ['quoted lines in another order', 'a.md', '```js code.js\nlet b = 2;\nlet a = 1;\n```\n', /let a = 1;/],
  ['a missing script', 'a.md', '```sh\nnpm run none\n```\n', /npm run none, which package\.json has not/],
  ['a missing program', 'a.md', '```sh\nnode examples/none.js\n```\n', /node examples\/none\.js, which does not exist/],
  ['a translation without a revision', 'zh-CN/a.md', '# 标题\n', /names no original and revision/],
  [
    'a translation that is behind',
    'zh-CN/a.md',
    '<!-- Translation of README.md, revision 000000000000 -->\n# 标题\n',
    /translates revision 0{12} of README\.md, which is [0-9a-f]{12} by now/,
  ],
];

for (const [what, path, text, expected] of faults) {
  test(`${what} is a fault`, () => {
    const at = mkdtempSync(join(scratch, 'tree-'));
    const write = (file: string, content: string): void => {
      mkdirSync(dirname(join(at, file)), { recursive: true });
      writeFileSync(join(at, file), content);
    };
    cpSync(join(root, 'scripts/docs.mjs'), join(at, 'scripts/docs.mjs'));
    cpSync(join(root, 'scripts/docs'), join(at, 'scripts/docs'), { recursive: true });
    write('package.json', '{ "scripts": { "docs": "" } }');
    write('README.md', ORIGINAL);
    write('code.js', 'let a = 1;\nlet b = 2;\n');
    write('docs/right.md', '[x](../README.md#title)\n\n```js code.js\nlet a = 1;\n// …\nlet b = 2;\n```\n');
    assert.equal(check(at).status, 0, check(at).output);
    write(`docs/${path}`, text);
    const { status, output } = check(at);
    assert.equal(status, 1);
    assert.match(output, expected);
  });
}
