import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { IoRequestState } from '../io-request/state.js';
import { TracedPage } from './fixtures/traced-page.js';
import { MoveAssembler } from './move-assembler.js';
import { FIRST_REQUESTS, TIMED_EVERY, TIMED_EVERY_AT_FIRST } from './timestamp-sampling.js';
import { RingReader, type RingEntry } from './ring-reader.js';
import { HypervisorLane, ServiceLane } from './lane.js';
import {
  entryIndex,
  EntryWord,
  hypervisorLane,
  LANE_ENTRIES,
  MoveBits,
  movedTo,
  publishedIndex,
  TraceRing,
} from './trace-ring.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const UART = { name: 'uart16550' };
const REQUEST = ['PENDING', 'PROCESSING', 'COMPLETE', 'FREE'];

/**
 * The entries of slot 0 that a reader gives, a word for each: the state it leads to, with a + if it
 * has no time.
 */
function given(reader: RingReader): { words: string[]; times: number[]; values: number[]; lost: number } {
  const all = { words: [] as string[], times: [] as number[], values: [] as number[], lost: 0 };
  const assembler = new MoveAssembler(() => UART.name, 0);
  const after = reader.read(
    0,
    (entry, lost) => {
      const { to, isTimed, timeNs, request } = assembler.assemble(entry, lost);
      all.lost += lost;
      all.words.push(isTimed ? to : `${to}+`);
      all.times.push(timeNs);
      all.values.push(Number(request?.value));
    },
    true,
  );
  all.lost += after;
  return all;
}

test('each request of a burst has its four moves, and one in TIMED_EVERY_AT_FIRST has all four times', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const requests = 1 + 3 * TIMED_EVERY_AT_FIRST;
  for (let answer = 0; answer < requests; answer++) page.play({ answer }, UART);
  const { words, times, values, lost } = given(reader);
  assert.equal(lost, 0);
  for (let i = 0; i < requests; i++) {
    // The second one is known to be part of a burst when it is PENDING.
    const isFull = i < 2 || i % TIMED_EVERY_AT_FIRST === 0;
    const expected = REQUEST.map((to) => (isFull || to === 'PENDING' || to === 'COMPLETE' ? to : `${to}+`));
    assert.deepEqual(words.slice(4 * i, 4 * i + 4), expected, `request ${i}`);
    assert.deepEqual(values.slice(4 * i + 2, 4 * i + 4), [i, i]);
  }
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
});

test('fewer of a slot’s later requests have all times', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  let full = 0;
  for (let request = 0; request < FIRST_REQUESTS + 4 * TIMED_EVERY; request++) {
    page.play({}, UART);
    const { words } = given(reader);
    if (request >= FIRST_REQUESTS && words.join() === REQUEST.join()) full++;
  }
  assert.equal(full, 4);
});

test('a reader that was overtaken in a burst goes on with a complete request', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const requests = LANE_ENTRIES + 3;
  for (let answer = 0; answer < requests; answer++) page.play({ answer, value: answer }, UART);
  const { words, values, lost } = given(reader);
  assert.equal(words.length + lost, 4 * requests);
  assert.ok(words.length > 0 && words.length % 4 === 0, `${words.length}`);
  words.forEach((word, i) => assert.equal(word.replace('+', ''), REQUEST[i % 4]));
  const first = requests - words.length / 4;
  assert.deepEqual(
    values,
    Array.from({ length: words.length }, (_, i) => first + (i >> 2)),
  );
});

test('requests that were withdrawn in a burst leave the moves of later ones in order', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const slot = page.buffer.slot(0);
  const expected: string[] = [];
  for (let i = 0; i < TIMED_EVERY_AT_FIRST; i++) {
    if (i % 5 === 4) {
      slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
      slot.stampFree();
      expected.push('PENDING', 'FREE');
    }
    page.play({}, UART);
    expected.push(...REQUEST);
  }
  const { words, lost } = given(reader);
  assert.equal(lost, 0);
  assert.deepEqual(
    words.map((word) => word.replace('+', '')),
    expected,
  );
});

test('a request that was withdrawn in a burst and the next one each have their own moves', () => {
  const page = new TracedPage(Infinity);
  page.trace.use();
  const reader = new RingReader(page.ring);
  const slot = page.buffer.slot(0);
  page.play({}, UART);
  page.play({}, UART);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  slot.stampFree();
  page.play({}, UART);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  page.trace.assigning(UART);
  slot.assign(true);
  slot.stampFree();
  page.play({}, UART);
  const { words, lost } = given(reader);
  assert.equal(lost, 0);
  assert.deepEqual(
    words.map((word) => word.replace('+', '')),
    [...REQUEST, ...REQUEST, ...['PENDING', 'FREE'], ...REQUEST, ...['PENDING', 'PROCESSING', 'FREE'], ...REQUEST],
  );
});

test('a trace that is switched on within a request gives the rest of it in order', () => {
  const page = new TracedPage();
  const slot = page.buffer.slot(0);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  slot.assign(true);
  page.trace.use();
  const reader = new RingReader(page.ring);
  slot.complete();
  slot.release();
  page.play({}, UART);
  assert.deepEqual(given(reader).words, ['COMPLETE', 'FREE', ...REQUEST]);
});

describe('an entry of PENDING that is due', () => {
  const at = entryIndex(hypervisorLane(0), 0) + EntryWord.move;
  const published = publishedIndex(hypervisorLane(0));
  let page: TracedPage;
  let reader: RingReader;
  let move = 0;

  /**
   * The vCPU's thread was preempted right after the move. The Service VM has served the request.
   */
  beforeEach(() => {
    page = new TracedPage();
    page.trace.use();
    reader = new RingReader(page.ring);
    const slot = page.buffer.slot(0);
    slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
    move = page.ring.words[at] as number;
    page.ring.words[at] = 0;
    page.ring.words[published] = 0;
    page.trace.assigning(UART);
    slot.assign(true);
    slot.complete();
  });

  const read = (isLast = false): { to: number[]; lost: number } => {
    const to: number[] = [];
    let lost = 0;
    const take = ({ words }: RingEntry, before: number): void => {
      lost += before;
      to.push(movedTo(words[EntryWord.move] as number));
    };
    const after = reader.read(0, take, isLast);
    return { to, lost: lost + after };
  };

  test('holds back the moves that followed it until it is written', () => {
    assert.deepEqual(read(), { to: [], lost: 0 });
    page.ring.words[at] = move;
    page.ring.words[published] = 1;
    assert.deepEqual(read(), { to: [PENDING, PROCESSING, COMPLETE], lost: 0 });
  });

  test('is counted as lost with the moves that followed it when a later entry is published', () => {
    page.buffer.slot(0).release();
    assert.deepEqual(read(), { to: [FREE], lost: 3 });
    page.play({}, UART);
    assert.deepEqual(read(), { to: [PENDING, PROCESSING, COMPLETE, FREE], lost: 0 });
  });

  test('is counted as lost with the moves that followed it at the end of the trace', () => {
    assert.deepEqual(read(true), { to: [], lost: 3 });
  });
});

describe('a reader of two lanes', () => {
  const { HAS_LINK, IS_TIMED, REFUSED, TIME_DUE, TO_SHIFT } = MoveBits;
  const moved = (from: number, to: number, flags = 0): number => from | (to << TO_SHIFT) | flags;

  interface Lanes {
    readonly ring: TraceRing;
    readonly reader: RingReader;
    readonly upper: HypervisorLane;
    /** Writes an entry. Without a time or a link it has none. */
    readonly pending: (timeMs: number) => void;
    readonly processing: (link?: number, timeMs?: number) => void;
    readonly complete: (timeMs: number, from?: number, link?: number) => void;
    readonly free: (from: number, timeMs?: number) => void;
    /** The entries that are given: `+` for one without a time, and how many were lost before. */
    readonly read: (isLast?: boolean, most?: number) => string;
  }

  const LETTERS = new Map([
    [PENDING, 'P'],
    [PROCESSING, 'A'],
    [COMPLETE, 'C'],
    [FREE, 'F'],
  ] as [number, string][]);

  /** `before`: writes entries that are older than the reader. */
  function lanes(before: (one: Omit<Lanes, 'reader' | 'read'>) => void = () => undefined, vcpu = 0): Lanes {
    const ring = new TraceRing();
    const upper = new HypervisorLane(ring, vcpu);
    const lower = new ServiceLane(ring, vcpu);
    const writers = {
      ring,
      upper,
      pending: (timeMs: number) => {
        upper.begin();
        upper.pending(moved(FREE, PENDING, IS_TIMED), 0, 0, 0, 0, timeMs);
      },
      processing: (link?: number, timeMs?: number) => {
        const flags = (link === undefined ? 0 : HAS_LINK) | (timeMs === undefined ? 0 : IS_TIMED);
        lower.processing(moved(PENDING, PROCESSING, flags), link ?? 0, 0, timeMs ?? 0);
      },
      complete: (timeMs: number, from: number = PROCESSING, link?: number) => {
        const flags = IS_TIMED | (link === undefined ? 0 : HAS_LINK);
        lower.complete(moved(from, COMPLETE, flags), link ?? 0, 0, 0, timeMs);
      },
      free: (from: number, timeMs?: number) => {
        upper.free(moved(from, FREE, timeMs === undefined ? 0 : IS_TIMED), timeMs ?? 0);
      },
    };
    before(writers);
    const reader = new RingReader(ring);
    const read = (isLast = false, most = Infinity): string => {
      const given: string[] = [];
      const take = ({ words, timeMs, isTimed }: RingEntry, lost: number): void => {
        const letter = LETTERS.get(movedTo(words[EntryWord.move] as number)) ?? '?';
        given.push(`${lost === 0 ? '' : `-${lost} `}${letter}${timeMs === Number.MIN_VALUE ? 0 : timeMs}`);
        if (!isTimed) given.push(`${given.pop()}+`);
      };
      const after = reader.read(vcpu, take, isLast, most);
      return [...given, ...(after === 0 ? [] : [`-${after}`])].join(' ');
    };
    return { ...writers, reader, read };
  }

  /** A request in a burst: no links, and times only at PENDING and COMPLETE. */
  function burst(one: Omit<Lanes, 'reader' | 'read'>, timeMs: number): void {
    one.pending(timeMs);
    one.processing();
    one.complete(timeMs + 1);
    one.free(COMPLETE);
  }

  test('orders them by the links, and by the states without them', () => {
    const linked = lanes();
    linked.pending(1);
    linked.processing(0, 2);
    linked.complete(3);
    linked.free(COMPLETE, 4);
    assert.equal(linked.reader.unread(0), 4);
    assert.equal(linked.read(), 'P1 A2 C3 F4');
    assert.deepEqual([linked.reader.unread(0), linked.read()], [0, '']);
    burst(linked, 5);
    burst(linked, 7);
    assert.equal(linked.read(), 'P5 A5+ C6 F6+ P7 A7+ C8 F8+');
  });

  test('gives entries with their slot and their number', () => {
    const one = lanes(undefined, 15);
    burst(one, 1);
    const given: number[][] = [];
    one.reader.read(15, ({ vcpu, number }) => given.push([vcpu, number]));
    burst(one, 3);
    one.reader.read(15, ({ vcpu, number }) => given.push([vcpu, number]));
    assert.deepEqual(
      given,
      Array.from({ length: 8 }, (_, number) => [15, number]),
    );
  });

  test('gives as many as are wanted, and goes on there', () => {
    const one = lanes();
    burst(one, 1);
    assert.deepEqual(
      [one.read(false, 0), one.read(false, 1), one.read(false, 2), one.read()],
      ['', 'P1', 'A1+ C2', 'F2+'],
    );
  });

  test('orders a request that was withdrawn before it was taken, as in the example above', () => {
    for (const link of [undefined, 2, 4]) {
      const one = lanes();
      burst(one, 1);
      one.pending(3);
      one.free(PENDING, 4);
      one.pending(5);
      one.processing(link, 6);
      one.complete(7);
      one.free(COMPLETE, 8);
      assert.equal(one.read(), 'P1 A1+ C2 F2+ P3 F4 P5 A6 C7 F8', `link ${link}`);
    }
  });

  test('orders an answer of the HSM after its PENDING', () => {
    for (const link of [undefined, 0]) {
      const one = lanes();
      one.pending(1);
      one.complete(2, PENDING, link);
      one.free(COMPLETE, 3);
      assert.equal(one.read(), 'P1 C2 F3');
    }
  });

  test('does not follow a link that is garbage', () => {
    const one = lanes();
    one.pending(1);
    one.processing(LANE_ENTRIES, 2);
    assert.equal(one.read(), 'A1 P1');
    const near = lanes();
    near.pending(1);
    near.processing(LANE_ENTRIES - 1, 2);
    assert.equal(near.read(), 'P1 A2');
  });

  test('that starts within a request gives the rest of it first', () => {
    for (const link of [undefined, 0]) {
      const one = lanes(({ pending }) => pending(1));
      one.processing(link, 2);
      assert.equal(one.read(), 'A2');
      one.complete(3);
      one.free(COMPLETE, 4);
      assert.equal(one.read(), 'C3 F4');
    }
    const late = lanes(({ pending }) => pending(1));
    late.processing(0, 2);
    late.complete(3);
    late.free(COMPLETE, 4);
    assert.equal(late.read(), 'A2 C3 F4');
    const older = lanes(({ pending, free }) => {
      pending(1);
      free(PENDING, 2);
    });
    older.processing(0, 5);
    older.pending(6);
    assert.equal(older.read(), 'P5 A5');
    const withdrawn = lanes(({ pending }) => pending(1));
    withdrawn.free(PENDING, 2);
    withdrawn.pending(3);
    withdrawn.processing(0, 4);
    assert.equal(withdrawn.read(), 'F2 P3 A4');
  });

  test('that starts within a request without a link waits for no entry but one that is due', () => {
    const one = lanes(({ pending }) => pending(1));
    one.processing(undefined, 4);
    one.upper.begin();
    assert.equal(one.read(), '');
    one.upper.pending(moved(FREE, PENDING, IS_TIMED), 0, 0, 0, 0, 3);
    assert.equal(one.read(), 'P3 A4');
  });

  test('keeps the state of the slot at a move that was refused', () => {
    const one = lanes();
    one.pending(1);
    one.upper.begin();
    one.upper.pending(moved(FREE, PENDING, IS_TIMED | REFUSED), 0, 0, 0, 0, 2);
    one.processing();
    one.complete(3);
    one.free(COMPLETE, 4);
    const states = one.read();
    assert.equal(states.replace(/[\d+]/g, ''), 'P A C P F');
    const linked = lanes();
    linked.pending(1);
    linked.upper.begin();
    linked.upper.pending(moved(FREE, PENDING, IS_TIMED | REFUSED), 0, 0, 0, 0, 2);
    linked.processing(1, 3);
    assert.equal(linked.read(), 'P1 P2 A3');
    const taken = lanes();
    taken.pending(1);
    new ServiceLane(taken.ring, 0).processing(moved(PENDING, PROCESSING, REFUSED), 0, 0, 0);
    taken.processing();
    taken.complete(3);
    taken.free(COMPLETE, 4);
    assert.equal(taken.read(), 'P1 A1+ A1+ C3 F4');
  });

  describe('takes for the time of a move', () => {
    test('that of the next one, if its own is later or missing', () => {
      const late = lanes();
      late.pending(5);
      late.processing(0, 3);
      assert.equal(late.read(true), 'P3 A3');
      const missing = lanes();
      missing.pending(0);
      missing.processing(0, 3);
      assert.equal(missing.read(true), 'P3 A3');
      const early = lanes();
      early.pending(2);
      early.processing(0, 3);
      assert.equal(early.read(true), 'P2 A3');
    });

    test('that of the one after the next, if the next one has none', () => {
      const one = lanes();
      one.pending(9);
      one.processing();
      one.complete(4);
      assert.equal(one.read(true), 'P4 A4+ C4');
    });

    test('none, if the next one has a time but its own is of no interest', () => {
      const one = lanes();
      one.pending(1);
      one.processing();
      one.complete(4);
      one.free(COMPLETE, 5);
      assert.equal(one.read(true), 'P1 A1+ C4 F5');
    });

    test('never an earlier one than that of the move before', () => {
      const one = lanes();
      one.pending(5);
      assert.equal(one.read(), 'P5');
      one.processing(0, 3);
      assert.equal(one.read(), 'A5');
    });

    test('less than one ms, and more than nothing', () => {
      const one = lanes();
      one.pending(0.5);
      one.processing();
      assert.equal(one.read(), 'P0.5 A0.5+');
      const first = lanes(({ pending }) => pending(1));
      first.processing();
      assert.equal(first.read(true), 'A0+');
    });
  });

  test('holds a move back whose time is still to be written, unless it is the end or another move follows', () => {
    const one = lanes();
    one.pending(1);
    one.processing(0, 2);
    const lower = new ServiceLane(one.ring, 0);
    lower.completing(moved(PROCESSING, COMPLETE, IS_TIMED), 0, 0);
    assert.deepEqual([one.read(), one.read(), one.reader.unread(0)], ['P1 A2', '', 1]);
    assert.equal(
      one.reader.read(0, () => assert.fail('it is not the end')),
      0,
    );
    assert.equal(one.read(true), 'C2');
    const followed = lanes();
    followed.pending(1);
    followed.processing(0, 2);
    new ServiceLane(followed.ring, 0).completing(moved(PROCESSING, COMPLETE, IS_TIMED), 0, 0);
    followed.free(COMPLETE, 7);
    assert.equal(followed.read(), 'P1 A2 C7 F7');
    assert.equal(TIME_DUE, 1 << 31);
  });

  describe('that skips', () => {
    function skipping(most: number): { skipped: number; rest: string } {
      const one = lanes();
      for (let i = 0; i < 3; i++) {
        one.pending(4 * i + 1);
        one.processing(2 * i, 4 * i + 2);
        one.complete(4 * i + 3);
        one.free(COMPLETE, 4 * i + 4);
      }
      return { skipped: one.reader.skip(0, most), rest: one.read() };
    }

    test('leaves half of the entries in each lane, and goes on at the first link', () => {
      assert.deepEqual(skipping(6), { skipped: 6, rest: '-2 P9 A10 C11 F12' });
      assert.deepEqual(skipping(8), { skipped: 4, rest: 'P5 A6 C7 F8 P9 A10 C11 F12' });
      assert.deepEqual(skipping(0), { skipped: 12, rest: '' });
    });

    test('needs no link if nothing was skipped', () => {
      for (const most of [8, 100]) {
        const one = lanes();
        burst(one, 1);
        assert.equal(one.reader.skip(0, most), 0);
        assert.equal(one.read(), 'P1 A1+ C2 F2+');
      }
    });

    test('drops the Service VM’s entries of a burst, until the next request that has a link', () => {
      const one = lanes();
      for (let i = 0; i < 4; i++) burst(one, 2 * i + 1);
      assert.equal(one.reader.skip(0, 8), 8);
      assert.equal(one.read(), '-4 P5 F5+ P7 F7+');
      one.pending(20);
      one.processing(8, 21);
      one.complete(22);
      assert.equal(one.read(), 'P20 A21 C22');
    });

    test('needs a link if it was a single entry', () => {
      const one = lanes();
      for (let i = 0; i < 2; i++) {
        one.pending(4 * i + 1);
        one.processing(2 * i, 4 * i + 2);
        one.complete(4 * i + 3);
        one.free(COMPLETE, 4 * i + 4);
      }
      one.pending(9);
      assert.equal(one.reader.skip(0, 8), 1);
      assert.equal(one.read(), '-3 P5 A6 C7 F8 P9');
    });

    test('does not go on within a request, even if its COMPLETE has a link', () => {
      const one = lanes();
      one.pending(1);
      new ServiceLane(one.ring, 0).processing(moved(PENDING, PROCESSING, REFUSED), 0, 0, 0);
      one.processing(0, 2);
      one.complete(3, PROCESSING, 0);
      one.free(COMPLETE, 4);
      one.pending(5);
      one.processing(2, 6);
      one.complete(7);
      assert.equal(one.reader.skip(0, 6), 2);
      assert.equal(one.read(), '-3 P5 A6 C7');
    });

    test('gives the Service VM’s entry first if the linked one was never written', () => {
      const one = lanes();
      for (let i = 0; i < 4; i++) {
        one.pending(4 * i + 1);
        one.processing(2 * i, 4 * i + 2);
        one.complete(4 * i + 3);
        one.free(COMPLETE, 4 * i + 4);
        if (i === 0) assert.equal(one.read(), 'P1 A2 C3 F4');
      }
      one.ring.words[entryIndex(hypervisorLane(0), 6) + EntryWord.move] = 0;
      one.reader.skip(0, 6);
      assert.match(one.read(), /^-2 A14 /);
    });

    test('takes no link to an entry that it has not, or that is not there yet', () => {
      for (const link of [1, 7, 8]) {
        const one = lanes();
        for (let i = 0; i < 3; i++) burst(one, 2 * i + 1);
        assert.equal(one.reader.skip(0, 4), 8);
        one.pending(20);
        one.processing(link, 21);
        assert.equal(one.read(), '-3 P5 F5+ P20', `link ${link}`);
      }
    });
  });

  test('that was overtaken goes on at the first link, with the number of all that it did not give', () => {
    const one = lanes();
    const requests = LANE_ENTRIES;
    for (let i = 0; i < requests; i++) {
      one.pending(4 * i + 1);
      one.processing(2 * i, 4 * i + 2);
      one.complete(4 * i + 3);
      one.free(COMPLETE, 4 * i + 4);
    }
    const all = one.read().split(' ');
    assert.match(all[0] ?? '', /^-\d+$/);
    const lost = -Number(all[0]);
    assert.equal(all.length - 1 + lost, 4 * requests);
    assert.equal(all[1], `P${4 * requests - (all.length - 1) + 1}`);
    assert.deepEqual(
      all.slice(1),
      all.slice(1).map((_, i) => `${'PACF'[i % 4]}${lost + i + 1}`),
    );
  });
});
