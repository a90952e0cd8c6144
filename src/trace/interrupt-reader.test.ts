import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWords } from '../sync/shared-words.js';
import { INTERRUPT_ENTRIES, INTERRUPT_LANE_WORDS, InterruptKind, InterruptLane } from './interrupt-lane.js';
import { describeInterrupt, InterruptReader, isInterrupt } from './interrupt-reader.js';

const BASE = 16;

function make(): { lane: InterruptLane; other: InterruptLane; words: SharedWords; read: () => InterruptReader } {
  const words = new SharedWords(BASE + INTERRUPT_LANE_WORDS);
  const lane = new InterruptLane(words, BASE);
  const startMs = performance.timeOrigin + performance.now();
  const nameOf = (owner: number): string | undefined => (owner === 0 ? undefined : `device ${owner}`);
  return {
    lane,
    words,
    other: new InterruptLane(new SharedWords(words.buffer), BASE),
    read: () => new InterruptReader({ lane, nameOf, startMs }),
  };
}

test('interrupts of all views are read in their order, with names and times, from the reader’s creation on', () => {
  const { lane, other, read } = make();
  lane.record(InterruptKind.RAISED, 3, 1, 0);
  assert.equal(lane.begun, 0, 'nothing is recorded without a reader');
  const reader = read();
  lane.record(InterruptKind.RAISED, 4, 7, 1);
  other.record(InterruptKind.SENT, 1, 8, 0x29);
  other.record(InterruptKind.REFUSED, -1, 8, 0x30);
  lane.record(InterruptKind.ENDED, 4, 0, 0);
  lane.record(InterruptKind.LOWERED, 4, 0, 1);
  const events = reader.take();
  assert.deepEqual(
    events.map((event) => describeInterrupt(event).replace(/^\d+\.\d{6} ms /, '')),
    [
      'line 4 raised by device 7',
      'message 1 sent by device 8: vector 0x29',
      'message refused by device 8: vector 0x30',
      'line 4 ended (EOI)',
      'line 4 lowered',
    ],
  );
  const times = events.map(({ timeNs }) => timeNs);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.ok((times.at(-1) ?? 1e12) < 60e9);
  assert.ok(events.every(isInterrupt));
  assert.deepEqual(reader.take(), []);
  reader.close();
  reader.close();
  assert.equal(other.isOn, false);
});

test('a reader that is too slow loses the oldest events, and says how many with the next one', () => {
  const { lane, read } = make();
  const reader = read();
  for (let line = 0; line < INTERRUPT_ENTRIES + 5; line++) lane.record(InterruptKind.RAISED, line, 0, 0);
  const events = reader.take();
  assert.deepEqual([events[0]?.line, events[0]?.lost, events[1]?.lost, events.length], [5, 5, 0, INTERRUPT_ENTRIES]);
});

test('an entry that is not written yet is waited for, and counts as lost once half of the ring is behind it', () => {
  const { lane, words, read } = make();
  const reader = read();
  // A writer that has begun.
  words.add(BASE + 1, 1);
  lane.record(InterruptKind.RAISED, 4, 0, 0);
  assert.deepEqual(reader.take(), []);
  for (let line = 0; line < INTERRUPT_ENTRIES / 2; line++) lane.record(InterruptKind.LOWERED, line, 0, 0);
  const events = reader.take();
  assert.deepEqual([events[0]?.line, events[0]?.interrupt, events[0]?.lost], [4, 'raised', 1]);
  words.add(BASE + 1, 1);
  lane.record(InterruptKind.RAISED, 9, 0, 0);
  assert.deepEqual(
    reader.take(true).map(({ line, lost }) => [line, lost]),
    [[9, 1]],
  );
});
