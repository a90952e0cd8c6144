import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MoveRow } from '../protocol.js';
import { MAX_LISTED_MOVES, MoveList } from './move-list.js';

function move(timeNs: number, requestNumber: number, vcpu = 0, isTimed = true): MoveRow {
  return {
    timeNs,
    isTimed,
    vcpu,
    from: 'FREE',
    to: 'PENDING',
    by: 'vcpu',
    client: null,
    request: null,
    requestNumber,
    isRefused: false,
  };
}

test('a move has the time since the request’s move before it', () => {
  const list = new MoveList();
  list.add([move(100, 1), move(150, 2, 1), move(130, 1)], 0);
  list.add([move(200, 2, 1), move(300, 3)], 0);
  assert.deepEqual(
    list.moves.map(({ sinceNs }) => sinceNs),
    [undefined, undefined, 30, 50, undefined],
  );
  assert.deepEqual(
    list.moves.map(({ key }) => key),
    [0, 1, 2, 3, 4],
  );
});

test('a move without a timestamp has no delta, and the next one has it since the last timestamp', () => {
  const list = new MoveList();
  list.add([move(100, 1), move(100, 1, 0, false), move(130, 1)], 0);
  assert.deepEqual(
    list.moves.map(({ sinceNs }) => sinceNs),
    [undefined, undefined, 30],
  );
});

test('a move after others that the server dropped has no time since a listed one', () => {
  const list = new MoveList();
  list.add([move(100, 1)], 0);
  list.add([move(130, 1), move(150, 1)], 2);
  assert.deepEqual(
    list.moves.map(({ sinceNs }) => sinceNs),
    [undefined, undefined, 20],
  );
  assert.equal(list.missed, 2);
});

test('a paused list does not change and counts what it misses', () => {
  const list = new MoveList();
  list.add([move(1, 1)], 0);
  list.isPaused = true;
  list.add([move(2, 1), move(3, 1)], 5);
  assert.equal(list.moves.length, 1);
  assert.equal(list.missed, 7);
  list.isPaused = false;
  list.add([move(4, 1)], 0);
  assert.equal(list.moves.at(-1)?.sinceNs, undefined, 'a move between was not seen');
});

test('the list has a limit and keeps the newest moves', () => {
  const list = new MoveList();
  for (let batch = 0; batch < 12; batch++)
    list.add(
      Array.from({ length: 100 }, (_, i) => move(batch * 100 + i, 1)),
      0,
    );
  assert.equal(list.moves.length, MAX_LISTED_MOVES);
  assert.equal(list.moves.at(-1)?.timeNs, 1199);
  list.clear();
  assert.deepEqual(list.moves, []);
});
