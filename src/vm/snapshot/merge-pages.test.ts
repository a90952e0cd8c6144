import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'node:test';
import { PageSet } from '../../hypervisor/page-set.js';
import { checkPages, PIECE_BYTES, placePages, takePages } from '../../hypervisor/sparse-pages.js';
import { mergePages } from './merge-pages.js';

const PAGE = 4096;
const PAGES = (3 * PIECE_BYTES) / PAGE;

test('pages that were written since are the newer ones, also where one of the two is zeros', () => {
  const page = fc.nat(PAGES - 1);
  /** A value for each page. 0: it is not in a copy. */
  const change = fc.tuple(page, fc.nat(2));
  fc.assert(
    fc.property(
      fc.array(page, { maxLength: 900, size: 'max' }),
      fc.array(change, { maxLength: 300, size: 'max' }),
      (filled, changes) => {
        const memory = new Uint8Array(new SharedArrayBuffer(PAGES * PAGE));
        for (const at of filled) memory[at * PAGE + (at % PAGE)] = 3;
        const older = [0, 1, 2].map((piece) =>
          takePages(memory.subarray(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES)),
        );
        const replaced = new PageSet(memory.length);
        for (const [at, value] of changes) {
          memory[at * PAGE + (at % PAGE)] = value;
          replaced.add(at);
        }
        const newer = takePages(memory, (at) => replaced.has(at));
        const work = mergePages(older, newer, replaced);
        let step = work.next();
        let turns = 0;
        for (; step.done !== true; step = work.next()) turns++;
        assert.equal(turns, 3);
        assert.ok(older.every(({ pieces }) => pieces.length === 0));
        assert.deepEqual(step.value, takePages(memory));
        checkPages(step.value, 'test', memory.length);
        const placed = new Uint8Array(memory.length);
        placePages(placed, step.value);
        assert.ok(Buffer.from(placed).equals(Buffer.from(memory)));
      },
    ),
    { numRuns: 40 },
  );
});
