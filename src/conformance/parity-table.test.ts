import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

const FEATURES = 61;
const page = readFileSync(new URL('../../docs/acrn-parity.md', import.meta.url), 'utf8');
const src = new URL('../../src/', import.meta.url);
const rows = page.split('\n').filter((line) => /^\| F\d+/.test(line));

/** Quotes and line breaks as a source may write them. */
function plain(text: string): string {
  return text.replaceAll('’', "'").replaceAll("\\'", "'");
}

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
      const files = [...row.matchAll(/`([\w./-]+\.ts)`/g)].map((match) => match[1] ?? '');
      for (const file of files) assert.ok(existsSync(new URL(file, src)), `${file} in ${row}`);
      if (/\| done +\|/.test(row))
        assert.ok(
          files.some((file) => file.endsWith('.test.ts')),
          row,
        );
    }
  });

  test('every quoted name is in the test file before it', () => {
    let names = 0;
    for (const row of rows) {
      let text = '';
      for (const [, file, name] of row.matchAll(/`([\w./-]+\.test\.ts)`|"([^"]+)"/g)) {
        if (file !== undefined) text = plain(readFileSync(new URL(file, src), 'utf8'));
        else {
          assert.ok(text.includes(plain(name ?? '')), `"${name ?? ''}" in ${row}`);
          names++;
        }
      }
    }
    assert.ok(names >= 40, `${names} names`);
  });

  test('every difference that a row or another refers to is in the second table', () => {
    const known = new Set([...page.matchAll(/^\| (D\d+) +\|/gm)].map((match) => match[1]));
    for (const [, number] of rows.join('\n').matchAll(/\b(D\d+)\b/g)) assert.ok(known.has(number), number);
    assert.ok(known.size >= 20);
  });
});
