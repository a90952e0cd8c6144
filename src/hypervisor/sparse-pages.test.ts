import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'node:test';
import { UpcallError } from '../io-request/upcall-error.js';
import { bytesOfRuns, checkPages, PIECE_BYTES, placePages, takePages } from './sparse-pages.js';

const PAGE = 4096;

test('the pages that are not zero are taken, and placed again', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(700), { maxLength: 400 }), fc.nat(PAGE - 1), (pages, at) => {
      const memory = new Uint8Array(new SharedArrayBuffer(701 * PAGE));
      for (const page of pages) memory[page * PAGE + at] = 1 + (page % 255);
      const taken = takePages(memory);
      assert.equal(bytesOfRuns(taken.runs), pages.length * PAGE);
      checkPages(taken, 'test', memory.length);
      const placed = new Uint8Array(memory.length);
      placePages(placed, taken);
      assert.ok(Buffer.from(placed).equals(Buffer.from(memory)));
    }),
    { numRuns: 30 },
  );
});

test('pages that are excluded are neither taken nor accepted', () => {
  const memory = new Uint8Array(8 * PAGE).fill(1);
  const taken = takePages(memory, (page) => page < 2 || page >= 5);
  assert.deepEqual(taken.runs, [0, 2, 5, 3]);
  assert.throws(() => checkPages(takePages(memory), 'test', memory.length, { first: 2, end: 5 }), UpcallError);
});

test('neighbours are one run, and a copy comes in pieces', () => {
  const memory = new Uint8Array(2 * PIECE_BYTES + PAGE).fill(9);
  const { runs, pieces } = takePages(memory);
  assert.deepEqual(runs, [0, 513]);
  assert.deepEqual(
    pieces.map(({ length }) => length),
    [PIECE_BYTES, PIECE_BYTES, PAGE],
  );
});

test('runs that do not fit the memory or the pieces are refused', () => {
  const piece = new Uint8Array(2 * PAGE);
  for (const runs of [[0, 1], [0, 3], [7, 2], [1, 1, 1, 1], [2, 1, 1, 1], [0, 0, 1, 2], [0], [0, 2, 3]])
    assert.throws(() => checkPages({ runs, pieces: [piece] }, 'test', 8 * PAGE), UpcallError, String(runs));
  assert.throws(() => checkPages({ runs: [0, 2], pieces: [piece, piece] }, 'test', 8 * PAGE), UpcallError);
  checkPages({ runs: [0, 1, 7, 1], pieces: [piece] }, 'test', 8 * PAGE);
});
