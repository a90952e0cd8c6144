import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { debianCommandLine } from './command-line.js';

test('the documents boot Debian under acrn-dm with the parameters of upcall run debian', async () => {
  const text = await readFile(new URL('../../../docs/acrn-programs.md', import.meta.url), 'utf8');
  const [, given = ''] = / -B "((?:[^"\\]|\\[^])*)"/.exec(text) ?? [];
  const words = given.replace(/\\\n/g, ' ').split(/\s+/);
  for (const parameter of debianCommandLine('hpet=disable pci=lastbus=0').split(' '))
    assert.ok(words.includes(parameter), `${parameter} is missing in docs/acrn-programs.md`);
});
