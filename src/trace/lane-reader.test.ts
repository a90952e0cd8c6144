import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IoRequestState } from '../io-request/state.js';
import { HypervisorLane, READABLE_ENTRIES, ServiceLane } from './lane.js';
import { LaneReader } from './lane-reader.js';
import {
  begunIndex,
  entryIndex,
  EntryWord,
  hypervisorLane,
  LANE_ENTRIES,
  MoveBits,
  publishedIndex,
  serviceLane,
  TraceRing,
} from './trace-ring.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { HAS_LINK, IS_TIMED, TIME_DUE, TO_SHIFT } = MoveBits;
const UPPER = hypervisorLane(0);
const LOWER = serviceLane(0);
/** An overtaken reader skips a quarter of the lane more than it has to. */
const LEEWAY = LANE_ENTRIES / 4;
const LAST = 0x7fff_ffff;

const moved = (from: number, to: number, flags = 0): number => from | (to << TO_SHIFT) | flags;
const TO_FREE = moved(COMPLETE, FREE, IS_TIMED);

interface Lane {
  readonly ring: TraceRing;
  readonly writer: HypervisorLane;
  readonly reader: LaneReader;
  /** Writes `count` entries of FREE, with their times from `timeMs` on. */
  readonly write: (count: number, timeMs?: number) => void;
  /** Sets both counts, as garbage may. */
  readonly setCounts: (number: number) => void;
}

/** The hypervisor's lane, whose next entry has number `next`. */
function laneAt(next = 0): Lane {
  const ring = new TraceRing();
  const setCounts = (number: number): void => {
    ring.words[publishedIndex(UPPER)] = number;
    ring.words[begunIndex(UPPER)] = number;
  };
  setCounts(next);
  const writer = new HypervisorLane(ring, 0);
  const write = (count: number, timeMs = 1): void => {
    for (let i = 0; i < count; i++) writer.free(TO_FREE, timeMs + i);
  };
  return { ring, writer, reader: new LaneReader(ring, UPPER), write, setCounts };
}

describe('a reader of a lane', () => {
  for (const first of [0, 5, LAST - 1])
    test(`gives the entries from ${first} on in order, up to the end that it is asked for`, () => {
      const { reader, write } = laneAt(first);
      assert.deepEqual([reader.next, reader.end, reader.unread], [first, first, 0]);
      assert.equal(reader.hasNext(reader.end), false);
      write(4, 10);
      const { end } = reader;
      assert.deepEqual([end, reader.unread], [(first + 4) | 0, 4]);
      const times: number[] = [];
      while (reader.hasNext((end - 1) | 0)) {
        assert.deepEqual([reader.move, reader.from], [TO_FREE, COMPLETE]);
        times.push(reader.time(), reader.time(1));
        reader.advance();
      }
      assert.deepEqual(times, [10, 11, 11, 12, 12, 13]);
      assert.deepEqual([reader.next, reader.unread, reader.takeLost()], [(first + 3) | 0, 1, 0]);
      assert.equal(reader.hasNext(end), true);
      reader.advance();
      assert.equal(reader.hasNext(end), false);
      reader.retreat();
      assert.equal(reader.next, (first + 3) | 0);
    });

  test('waits for an entry that is due, or counts it as lost when no thread writes any more', () => {
    for (const first of [0, 6, LAST]) {
      const { reader, writer, write } = laneAt(first);
      assert.equal(reader.isDue(reader.end), false);
      writer.begin();
      const { end } = reader;
      assert.equal(reader.hasNext(end), false);
      assert.equal(reader.isDue(end), true);
      assert.equal(reader.isDue(first), false);
      reader.isOver = true;
      assert.equal(reader.hasNext(end), false);
      assert.deepEqual([reader.takeLost(), reader.takeLost(), reader.next], [1, 0, (first + 1) | 0]);
      assert.equal(reader.isDue(end), false);
      writer.pending(moved(FREE, PENDING, IS_TIMED), 0, 0, 0, 0, 1);
      write(1);
      assert.equal(reader.isDue(reader.end), false);
      assert.equal(reader.hasNext(reader.end), true);
    }
  });

  test('counts an entry as lost that was never written, and goes on with the next one', () => {
    const { reader, ring, write } = laneAt(3);
    write(2);
    ring.words[entryIndex(UPPER, 3) + EntryWord.move] = 0;
    assert.equal(reader.hasNext(reader.end), true);
    assert.deepEqual([reader.next, reader.takeLost()], [4, 1]);
  });

  test('drops entries on request, which are not lost', () => {
    const { reader, write } = laneAt(LAST);
    write(5);
    assert.equal(reader.dropTo((LAST + 3) | 0), 3);
    assert.equal(reader.dropTo(LAST), 0);
    assert.equal(reader.dropTo((LAST + 5) | 0), 2);
    assert.deepEqual([reader.next, reader.takeLost()], [(LAST + 5) | 0, 0]);
  });

  test('copies an entry once, and again as long as its time is due', () => {
    const { reader, ring, write } = laneAt();
    const at = entryIndex(UPPER, 0);
    write(1);
    assert.equal(reader.hasNext(1), true);
    ring.words[at + EntryWord.valueLow] = 7;
    assert.equal(reader.hasNext(1), true);
    assert.equal(reader.words[EntryWord.valueLow], 0);
    const due = laneAt();
    due.write(1);
    due.ring.words[at + EntryWord.move] = TO_FREE | TIME_DUE;
    assert.equal(due.reader.hasNext(1), true);
    due.ring.words[at + EntryWord.move] = TO_FREE;
    assert.equal(due.reader.hasNext(1), true);
    assert.equal(due.reader.move, TO_FREE);
  });
});

describe('a reader that is overtaken', () => {
  test('reads as many entries as are never overwritten while it runs', () => {
    for (const first of [0, LAST - 100]) {
      const { reader, write } = laneAt(first);
      write(READABLE_ENTRIES);
      assert.equal(reader.hasNext(reader.end), true);
      assert.deepEqual([reader.next, reader.takeLost()], [first, 0]);
      write(1);
      // The end is from before: only the entry itself shows that it may be overwritten.
      assert.equal(reader.hasNext((first + 1) | 0), true, 'it was copied before');
    }
  });

  test('goes on a quarter of the lane after the oldest entry, and counts what it skipped', () => {
    for (const first of [0, LAST - 100])
      for (const more of [1, 300, 5 * LANE_ENTRIES]) {
        const { reader, write } = laneAt(first);
        write(READABLE_ENTRIES + more);
        const skipped = more + LEEWAY;
        assert.equal(reader.hasNext(reader.end), true);
        assert.deepEqual([reader.next, reader.takeLost()], [(first + skipped) | 0, skipped]);
      }
  });

  test('skips a quarter of the lane if it was overtaken since the end was read', () => {
    for (const first of [0, LAST - 100]) {
      const { reader, write } = laneAt(first);
      write(READABLE_ENTRIES);
      const end = (first + 1) | 0;
      assert.equal(reader.hasNext(end), true);
      const late = laneAt(first);
      late.write(READABLE_ENTRIES + 1);
      assert.equal(late.reader.hasNext(end), false);
      assert.deepEqual([late.reader.next, late.reader.takeLost()], [(first + LEEWAY) | 0, LEEWAY]);
    }
  });
});

describe('a reader of garbage', () => {
  test('that is ahead of the lane starts again at its end', () => {
    const { reader, setCounts, write } = laneAt(9);
    setCounts(3);
    assert.ok(reader.unread > 0, 'it has something to do');
    assert.equal(reader.hasNext(3), false);
    assert.deepEqual([reader.next, reader.takeLost()], [3, 1]);
    write(1);
    assert.equal(reader.hasNext(4), true);
  });

  test('that is ahead only of the end that it is asked for has lost nothing', () => {
    const { reader, write } = laneAt(9);
    assert.equal(reader.hasNext(3), false);
    write(1);
    reader.advance();
    assert.equal(reader.hasNext(3), false);
    assert.deepEqual([reader.next, reader.takeLost()], [10, 0]);
  });

  test('whose end lies behind the lane’s has lost nothing', () => {
    const { reader, setCounts } = laneAt(9);
    setCounts(3);
    assert.equal(reader.hasNext(9), false);
    assert.deepEqual([reader.next, reader.takeLost()], [9, 0]);
  });
});

describe('the link of an entry', () => {
  const toProcessing = moved(PENDING, PROCESSING);
  const toComplete = moved(PROCESSING, COMPLETE);

  /** The link of the first of these entries of the Service VM, whose links are 100, 101, … */
  function linkOf(...moves: readonly number[]): number | undefined {
    const links = [0, 1].map((before) => {
      const ring = new TraceRing();
      const writer = new ServiceLane(ring, 0);
      for (let i = 0; i < before; i++) writer.complete(toComplete, 0, 0, 0, 1);
      const reader = new LaneReader(ring, LOWER);
      moves.forEach((move, i) => writer.complete(move, 100 + i, 0, 0, 1));
      assert.equal(reader.hasNext(reader.end), true);
      return reader.link;
    });
    assert.equal(links[0], links[1], 'whatever the number of the entry');
    return links[0];
  }

  test('is its own', () => {
    assert.equal(linkOf(toProcessing | HAS_LINK, toComplete | HAS_LINK), 100);
    assert.equal(linkOf(toComplete | HAS_LINK), 100);
  });

  test('of PROCESSING is that of its answer', () => {
    assert.equal(linkOf(toProcessing, toComplete | HAS_LINK), 101);
  });

  test('is missing if the answer has none, is not there yet, or is of another request', () => {
    assert.equal(linkOf(toProcessing), undefined);
    assert.equal(linkOf(toProcessing, toComplete), undefined);
    assert.equal(linkOf(toProcessing, moved(PENDING, COMPLETE, HAS_LINK)), undefined);
    assert.equal(linkOf(toProcessing, toProcessing | HAS_LINK), undefined);
  });

  test('is missing in any other entry', () => {
    assert.equal(linkOf(toComplete, toComplete | HAS_LINK), undefined);
    assert.equal(linkOf(moved(PENDING, COMPLETE), toComplete | HAS_LINK), undefined);
  });
});
