import assert from 'node:assert/strict';
import { test } from 'node:test';
import { madeMove } from './fixtures/made-move.js';
import { JsonLinesExport } from './json-lines.js';

test('each move is one line, whose number is a number up to 32 bits and a string for 8 bytes', () => {
  const one = new JsonLinesExport('my vm');
  const line = (part: Parameters<typeof madeMove>[0]): string => Buffer.from(one.add(madeMove(part))).toString();
  assert.match(line({}), /^\{"vm":"my vm",.*"value":90,.*\}\n$/);
  const request = { type: 'mmio', direction: 'read', address: 4, size: 8, value: 0x1_0000_0000_0000_0001n } as const;
  assert.match(line({ request }), /"value":"0x10000000000000001",/);
  assert.equal(one.end().length, 0);
});
