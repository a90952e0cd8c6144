import assert from 'node:assert/strict';
import { afterEach, mock, test } from 'node:test';
import { SharedWords } from '../sync/shared-words.js';
import { INTERRUPT_ENTRIES, INTERRUPT_LANE_WORDS, InterruptKind, InterruptLane } from './interrupt-lane.js';

const { RAISED } = InterruptKind;
/** Where the lane begins in its words. */
const BASE = 5;

afterEach(() => mock.restoreAll());

/** A lane between two other words, and the words. */
function between(): { readonly words: SharedWords; readonly lane: InterruptLane } {
  const words = new SharedWords(BASE + INTERRUPT_LANE_WORDS + 1);
  words.store(BASE - 1, 77);
  words.store(BASE + INTERRUPT_LANE_WORDS, 78);
  return { words, lane: new InterruptLane(words, BASE) };
}

test('records while it has users', () => {
  const { lane } = between();
  lane.record(RAISED, 4, 1, 2);
  assert.deepEqual([lane.isOn, lane.begun, lane.entry(0)], [false, 0, undefined]);
  lane.use(1);
  lane.use(1);
  lane.use(-1);
  lane.record(RAISED, 4, 1, 2);
  lane.use(-1);
  lane.record(RAISED, 4, 1, 2);
  assert.deepEqual([lane.isOn, lane.begun], [false, 1]);
});

test('keeps the latest entries, within its words', () => {
  const { words, lane } = between();
  lane.use(1);
  for (let number = 0; number <= INTERRUPT_ENTRIES; number++) lane.record(RAISED, number, number + 1, number + 2);
  assert.equal(lane.entry(0), undefined);
  for (const number of [1, INTERRUPT_ENTRIES]) {
    const entry = lane.entry(number);
    assert.ok(entry);
    assert.deepEqual([entry.kind, entry.number, entry.owner, entry.detail], [RAISED, number, number + 1, number + 2]);
  }
  assert.equal(lane.entry(INTERRUPT_ENTRIES + 1), undefined);
  assert.deepEqual([words.load(BASE - 1), words.load(BASE + INTERRUPT_LANE_WORDS)], [77, 78]);
});

test('has the time of an entry to the nanosecond, in whole seconds and the rest', () => {
  const { lane } = between();
  lane.use(1);
  const originSeconds = Math.floor(performance.timeOrigin / 1000);
  const restMs = performance.timeOrigin - originSeconds * 1000;
  mock.method(performance, 'now', () => 1_000_500 - restMs);
  lane.record(RAISED, 4, 1, 2);
  const entry = lane.entry(0);
  assert.ok(entry);
  assert.equal(entry.seconds, originSeconds + 1000);
  assert.ok(Math.abs(entry.nanoseconds - 500_000_000) <= 1, String(entry.nanoseconds));
});
