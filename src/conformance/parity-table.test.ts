import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { quotedIn } from './quoted-tests.js';

const FEATURES = 61;
const page = readFileSync(new URL('../../docs/acrn-parity.md', import.meta.url), 'utf8');
const rows = page.split('\n').filter((line) => /^\| F\d+/.test(line));
/** Section 4: the registers and transitions of the interrupt controllers. */
const controllerRows = page.split('\n').filter((line) => /^\| I\d+/.test(line));

describe('the parity table', () => {
  test('has one row for each feature, in order, with a state', () => {
    assert.equal(rows.length, FEATURES);
    rows.forEach((row, i) => {
      const [, number, , state, evidence] = row.split('|').map((cell) => cell.trim());
      assert.equal(number, `F${i + 1}`);
      assert.match(state ?? '', /^(done|part|n\/a)$/, row);
      assert.ok((evidence ?? '').length > 10, row);
    });
  });

  test('every file that it names exists, and what is done names a test', () => {
    for (const row of rows) {
      const { files } = quotedIn(row);
      if (/\| done +\|/.test(row))
        assert.ok(
          files.some((file) => file.endsWith('.test.ts')),
          row,
        );
    }
  });

  test('every quoted name is in the test file before it', () => {
    const quoted = rows.map(quotedIn);
    assert.deepEqual(
      quoted.flatMap(({ missing }) => missing),
      [],
    );
    const names = quoted.flatMap((row) => row.names);
    assert.ok(names.length >= 40, `${names.length} names`);
  });

  test('each register and transition of the interrupt controllers has tests that exist', () => {
    controllerRows.forEach((row, i) => {
      assert.equal(/^\| I(\d+)/.exec(row)?.[1], `${i + 1}`);
      const { missing, files, names } = quotedIn(row);
      assert.deepEqual(missing, [], row);
      assert.ok(files.length > 0 && names.length > 0, row);
    });
    assert.ok(controllerRows.length >= 80, `${controllerRows.length} rows`);
  });

  test('every difference that a row or another refers to is in the second table', () => {
    const known = new Set([...page.matchAll(/^\| (D\d+) +\|/gm)].map((match) => match[1]));
    for (const [, number] of rows.join('\n').matchAll(/\b(D\d+)\b/g)) assert.ok(known.has(number), number);
    assert.ok(known.size >= 20);
  });
});
