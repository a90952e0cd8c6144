import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWords } from '../sync/shared-words.js';
import { INTERRUPT_ENTRIES, INTERRUPT_LANE_WORDS, InterruptKind, InterruptLane } from './interrupt-lane.js';
import { describeInterrupt, INTERRUPT_NAMES, InterruptReader, isInterrupt } from './interrupt-reader.js';

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

const unixMs = (): number => performance.timeOrigin + performance.now();

test('times are those of the clock, to the nanosecond that it has', () => {
  const { words, lane } = make();
  const startMs = unixMs() - 1234.5;
  const reader = new InterruptReader({ lane, nameOf: () => undefined, startMs });
  const before = unixMs();
  lane.record(InterruptKind.RAISED, 1, 0, 0);
  const after = unixMs();
  const [event] = reader.take();
  assert.ok(event !== undefined);
  // A float64 of Unix milliseconds has a resolution of 244 ns.
  assert.ok(event.timeNs >= (before - startMs) * 1e6 - 1000, `${event.timeNs}`);
  assert.ok(event.timeNs <= (after - startMs) * 1e6 + 1000, `${event.timeNs}`);
  const { seconds, nanoseconds } = new InterruptLane(words, BASE).entry(0) ?? { seconds: 0, nanoseconds: -1 };
  assert.ok(nanoseconds >= 0 && nanoseconds < 1e9);
  assert.equal(seconds, Math.floor((startMs + event.timeNs / 1e6) / 1000));
});

test('the time is exact, and 0 for an event before the start', () => {
  let begun = 0;
  const seconds = [5000, 1, 0];
  const lane = {
    use: () => undefined,
    get begun() {
      return begun;
    },
    entry: (number: number) => ({
      kind: InterruptKind.RAISED,
      number: 4,
      owner: 0,
      detail: 0,
      seconds: seconds[number] ?? 0,
      nanoseconds: 7,
    }),
  };
  const reader = new InterruptReader({ lane, nameOf: () => undefined, startMs: 1000 });
  begun = seconds.length;
  assert.deepEqual(
    reader.take().map(({ timeNs }) => timeNs),
    [4_999_000_000_007, 7, 0],
  );
});

test('an event has the fields of a line or of a message, and the name of what caused it', () => {
  const { lane } = make();
  const asked: (readonly [owner: number, driver: number])[] = [];
  const nameOf = (owner: number, driver: number): string => {
    asked.push([owner, driver]);
    return 'x';
  };
  const reader = new InterruptReader({ lane, nameOf, startMs: 0 });
  lane.record(InterruptKind.LOWERED, 4, 2, 3);
  lane.record(InterruptKind.ENDED, 5, 2, 3);
  lane.record(InterruptKind.SENT, 6, 2, 0x31);
  lane.record(InterruptKind.REFUSED, -1, 2, 0x32);
  const fields = { timeNs: 0, line: undefined, vector: undefined, message: undefined, by: 'x', lost: 0 };
  assert.deepEqual(
    reader.take().map((event) => ({ ...event, timeNs: 0 })),
    [
      { ...fields, interrupt: 'lowered', line: 4 },
      { ...fields, interrupt: 'ended', line: 5, by: undefined },
      { ...fields, interrupt: 'sent', vector: 0x31, message: 6 },
      { ...fields, interrupt: 'refused', vector: 0x32 },
    ],
  );
  // A message has no driver of a line.
  assert.deepEqual(asked, [
    [2, 3],
    [2, 0],
    [2, 0],
  ]);
  assert.deepEqual(
    Object.entries(InterruptKind).map(([name, kind]) => [name.toLowerCase(), INTERRUPT_NAMES[kind]]),
    INTERRUPT_NAMES.map((name) => [name, name]),
  );
});

test('an event is one line of text', () => {
  const event = { timeNs: 12_345_678, interrupt: 'raised', line: 4, vector: undefined, message: undefined } as const;
  assert.equal(describeInterrupt({ ...event, by: 'uart', lost: 0 }), '12.345678 ms line 4 raised by uart');
  assert.equal(describeInterrupt({ ...event, by: undefined, lost: 1 }), '12.345678 ms line 4 raised (1 lost before)');
  assert.equal(
    describeInterrupt({ ...event, line: undefined, interrupt: 'sent', message: 0, by: 'card', lost: 2 }),
    '12.345678 ms message 0 sent by card: vector 0x0 (2 lost before)',
  );
});

test('a reader that is far behind copies no more entries than the ring has', () => {
  for (const behind of [1, 4, 3 * INTERRUPT_ENTRIES]) {
    const { lane } = make();
    let copies = 0;
    const counted = {
      use: (change: 1 | -1) => lane.use(change),
      get begun() {
        return lane.begun;
      },
      entry: (entry: number) => {
        copies++;
        return lane.entry(entry);
      },
    };
    const reader = new InterruptReader({ lane: counted, nameOf: () => undefined, startMs: 0 });
    for (let line = 0; line < INTERRUPT_ENTRIES + behind; line++) lane.record(InterruptKind.RAISED, line, 0, 0);
    const events = reader.take();
    assert.deepEqual([copies, events[0]?.line, events[0]?.lost], [INTERRUPT_ENTRIES, behind, behind]);
  }
});

test('an entry that is not written is given up when exactly half of the ring is behind it', () => {
  for (const lap of [0, 3]) {
    const { lane, words, read } = make();
    const reader = read();
    for (let entry = 0; entry < lap; entry++) lane.record(InterruptKind.RAISED, 0, 0, 0);
    assert.equal(reader.take().length, lap);
    words.add(BASE + 1, 1);
    for (let line = 1; line < INTERRUPT_ENTRIES / 2 - 1; line++) lane.record(InterruptKind.LOWERED, line, 0, 0);
    assert.equal(reader.take().length, 0, 'half less two are behind it');
    lane.record(InterruptKind.LOWERED, INTERRUPT_ENTRIES / 2 - 1, 0, 0);
    const events = reader.take();
    assert.deepEqual([events.length, events[0]?.line, events[0]?.lost], [INTERRUPT_ENTRIES / 2 - 1, 1, 1]);
  }
});

/** Words in which something happens while an entry is copied. */
class Interrupted extends SharedWords {
  once: (() => void) | undefined;
  override loadRelaxed(index: number): number {
    const { once } = this;
    this.once = undefined;
    once?.();
    return super.loadRelaxed(index);
  }
}

test('an entry that is published or overwritten while it is copied is not returned', () => {
  const { words } = make();
  const interrupted = new Interrupted(words.buffer);
  const writer = new InterruptLane(words, BASE);
  const lane = new InterruptLane(interrupted, BASE);
  writer.use(1);
  writer.record(InterruptKind.RAISED, 1, 0, 0);
  interrupted.once = () => {
    for (let line = 1; line <= INTERRUPT_ENTRIES; line++) writer.record(InterruptKind.LOWERED, line, 0, 0);
  };
  assert.equal(lane.entry(0), undefined);
  const next = writer.begun;
  let published = 0;
  const publish = (): void => {
    published++;
    writer.record(InterruptKind.RAISED, 7, 0, 0);
  };
  interrupted.once = publish;
  assert.equal(lane.entry(next), undefined);
  assert.equal(published, 0, 'the stamp is not there, so nothing is copied');
  interrupted.once = undefined;
  publish();
  assert.equal(lane.entry(next)?.number, 7);
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
