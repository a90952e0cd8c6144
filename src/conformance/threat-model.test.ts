import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { quotedIn } from './quoted-tests.js';

const page = readFileSync(new URL('../../docs/threat-model.md', import.meta.url), 'utf8');
const rows = page.split('\n').filter((line) => /^\| [TN]\d+ /.test(line));

describe('the threat model', () => {
  test('numbers its threats, those that are met and those that are not', () => {
    for (const kind of ['T', 'N']) {
      const numbers = rows
        .map((row) => /^\| ([TN]\d+)/.exec(row)?.[1] ?? '')
        .filter((number) => number.startsWith(kind));
      assert.ok(numbers.length >= 5, `${numbers.length} threats ${kind}`);
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => `${kind}${index + 1}`),
      );
    }
  });

  test('names a test for each threat that is met, and every file and test that it names exists', () => {
    for (const row of rows) {
      const { missing, files } = quotedIn(row);
      assert.deepEqual(missing, [], row);
      if (row.startsWith('| T'))
        assert.ok(
          files.some((file) => file.endsWith('.test.ts')),
          row,
        );
    }
  });
});
