import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  APART_WORDS,
  begunIndex,
  ENTRY_WORDS,
  entryIndex,
  EntryWord,
  hypervisorLane,
  LANE_ENTRIES,
  MoveBits,
  movedFrom,
  movedTo,
  publishedIndex,
  serviceLane,
  TraceRing,
} from './trace-ring.js';

test('the words and bits of an entry are where every reader expects them', () => {
  assert.deepEqual([LANE_ENTRIES, ENTRY_WORDS, APART_WORDS], [1024, 8, 32]);
  assert.deepEqual(EntryWord, {
    link: 0,
    move: 1,
    addressLow: 2,
    addressHigh: 3,
    valueLow: 4,
    valueHigh: 5,
    client: 5,
    time: 6,
  });
  assert.deepEqual(MoveBits, {
    FROM_SHIFT: 0,
    TO_SHIFT: 4,
    STATE_MASK: 0xf,
    TYPE_SHIFT: 8,
    SIZE_SHIFT: 16,
    BYTE_MASK: 0xff,
    IS_WRITE: 0x100_0000,
    REFUSED: 0x200_0000,
    HAS_REQUEST: 0x400_0000,
    HAS_VALUE: 0x800_0000,
    FORCED: 0x1000_0000,
    IS_TIMED: 0x2000_0000,
    HAS_LINK: 0x4000_0000,
    TIME_DUE: -0x8000_0000,
  });
  const move = 0x7fff_ff21;
  assert.deepEqual([movedFrom(move), movedTo(move), movedFrom(0xf), movedTo(0xf0)], [1, 2, 0xf, 0xf]);
});

test('each lane has its counts and its entries in a place of its own, and the ring has no more', () => {
  const lanes = Array.from({ length: 16 }, (_, vcpu) => [hypervisorLane(vcpu), serviceLane(vcpu)]).flat();
  assert.deepEqual(
    lanes,
    Array.from({ length: 32 }, (_, lane) => lane),
  );
  const firstEntry = 32 + 32 * 32;
  for (const lane of lanes) {
    assert.equal(publishedIndex(lane), 32 + 32 * lane);
    assert.equal(begunIndex(lane), 33 + 32 * lane);
    for (const [number, place] of [
      [0, 0],
      [1, 1],
      [1023, 1023],
      [1024, 0],
      [-1, 1023],
    ] as const)
      assert.equal(entryIndex(lane, number), firstEntry + (lane * 1024 + place) * 8);
  }
  assert.equal(new TraceRing().buffer.byteLength, 4 * (firstEntry + 32 * 1024 * 8));
});

test('the on/off word counts how often the ring was switched on, and is never 0 while it is on', () => {
  const ring = new TraceRing();
  const states: unknown[] = [];
  for (const on of [false, true, true, false, true, false]) {
    ring.isOn = on;
    states.push([ring.isOn, ring.words[0], ring.words[1]]);
  }
  assert.deepEqual(states, [
    [false, 0, 0],
    [true, 1, 1],
    [true, 1, 1],
    [false, 0, 1],
    [true, 2, 2],
    [false, 0, 2],
  ]);
  ring.words[1] = 0x7fff_ffff;
  ring.isOn = true;
  assert.deepEqual([ring.words[0], ring.words[1]], [1, 1]);
  assert.equal(ring.originMs, performance.timeOrigin);
});

test('a view of another thread’s ring has its origin, to which it adds that of its own clock', () => {
  const first = new TraceRing();
  assert.equal(first.clockOffsetMs, 0);
  first.times[1] = performance.timeOrigin - 500;
  const view = new TraceRing(first.buffer);
  assert.equal(view.buffer, first.buffer);
  assert.deepEqual([view.originMs, view.clockOffsetMs], [performance.timeOrigin - 500, 500]);
});
