import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction } from '../io-request/layout.js';
import { Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import { TracedPage } from './fixtures/traced-page.js';
import { HypervisorLane, LaneView, ServiceLane } from './lane.js';
import { LaneReader } from './lane-reader.js';
import { MoveAssembler } from './move-assembler.js';
import { MoveRecorder } from './move-recorder.js';
import { RingReader } from './ring-reader.js';
import { SlotRecorder } from './slot-recorder.js';
import {
  begunIndex,
  entryIndex,
  hypervisorLane,
  LANE_ENTRIES,
  MoveBits,
  publishedIndex,
  serviceLane,
  TraceRing,
} from './trace-ring.js';

const CLIENT = { name: 'client' };
const HYPERVISOR = hypervisorLane(0);
const SERVICE = serviceLane(0);

/**
 * A processor that reorders stores: the plain stores of a step may become visible in any order
 * until its first `Atomics.store`. Calls `visible` once for each subset of the words that the step
 * has changed by then, with only these in memory. Plain stores after the last `Atomics.store` fail
 * the test: no reader could rely on them. Returns how many words the step changed before it
 * published them.
 */
function forEachVisibleSubset(words: Int32Array, step: () => void, visible: () => void): number {
  const before = words.slice();
  let stored: Int32Array | undefined;
  let published: Int32Array | undefined;
  const atomicStore = Atomics.store;
  Atomics.store = ((array: Int32Array, at: number, value: number) => {
    stored ??= words.slice();
    atomicStore(array, at, value);
    published = words.slice();
    return value;
  }) as typeof Atomics.store;
  try {
    step();
  } finally {
    Atomics.store = atomicStore;
  }
  const final = words.slice();
  assert.deepEqual(published, final, 'stores that nothing orders');
  const after = stored as Int32Array;
  const changed = [...after.keys()].filter((at) => after[at] !== before[at]);
  words.set(before);
  for (let subset = 0; subset < 2 ** changed.length; subset++) {
    changed.forEach((at, bit) => (words[at] = (((subset >> bit) & 1) !== 0 ? after[at] : before[at]) as number));
    visible();
  }
  words.set(final);
  return changed.length;
}

/**
 * A page whose lanes are full of entries of older requests, and a request of another kind that a
 * test makes step by step.
 */
function agedPage(): { page: TracedPage; reader: RingReader; views: readonly LaneView[] } {
  const page = new TracedPage();
  page.trace.use();
  for (let i = 0; i < LANE_ENTRIES; i++)
    page.play({ address: 0x1234, size: 2, value: 0x7777, answer: 0x6666, isRead: i % 3 === 0 }, CLIENT);
  const reader = new RingReader(page.ring);
  return { page, reader, views: [new LaneView(page.ring, HYPERVISOR), new LaneView(page.ring, SERVICE)] };
}

describe('each writer stores exactly the words of its entry', () => {
  /** Names for the words of a lane's entry and its counts. */
  function names(lane: number, number: number): Map<number, string> {
    const first = entryIndex(lane, number);
    const words = ['link', 'move', 'addressLow', 'addressHigh', 'valueLow', 'valueHigh', 'time0', 'time1'];
    return new Map([
      ...words.map((name, i) => [first + i, name] as const),
      [publishedIndex(lane), 'published'],
      [begunIndex(lane), 'begun'],
    ]);
  }

  /** What a step changes, by name. A word that has no name is not the step's to change. */
  function changes(ring: TraceRing, lane: number, number: number, step: () => void): Record<string, number> {
    const before = ring.words.slice();
    step();
    const known = names(lane, number);
    const changed: Record<string, number> = {};
    for (let at = 0; at < before.length; at++)
      if (ring.words[at] !== before[at]) changed[known.get(at) ?? `word ${at}`] = ring.words[at] as number;
    return changed;
  }

  const [time0 = 0, time1 = 0] = new Int32Array(Float64Array.of(1234.5678).buffer);
  const time = { time0, time1 };
  const { HAS_LINK, IS_TIMED, TIME_DUE, REFUSED } = MoveBits;

  for (const number of [0, 1, LANE_ENTRIES - 1, LANE_ENTRIES + 6, 0x7fff_ffff, -1])
    for (const vcpu of [0, 15])
      test(`entry ${number} of vCPU ${vcpu}`, () => {
        const ring = new TraceRing();
        const next = (number + 1) | 0;
        const upper = hypervisorLane(vcpu);
        const lower = serviceLane(vcpu);
        const reset = (): void => {
          ring.words.fill(0x55);
          for (const lane of [upper, lower]) ring.words[publishedIndex(lane)] = number;
          ring.words[begunIndex(upper)] = number;
        };
        const up = (step: () => void): Record<string, number> => changes(ring, upper, number, step);
        const low = (step: () => void): Record<string, number> => changes(ring, lower, number, step);

        const hypervisor = new HypervisorLane(ring, vcpu);
        reset();
        assert.deepEqual(
          up(() => hypervisor.begin()),
          { move: 0, begun: next },
        );
        assert.equal(hypervisor.lastBegun, number);
        assert.deepEqual(
          up(() => hypervisor.pending(IS_TIMED, 1, 2, 3, 4, 1234.5678)),
          { move: IS_TIMED, addressLow: 1, addressHigh: 2, valueLow: 3, valueHigh: 4, ...time, published: next },
        );
        reset();
        assert.deepEqual(
          up(() => hypervisor.free(IS_TIMED, 1234.5678)),
          { move: IS_TIMED, ...time, begun: next, published: next },
        );
        reset();
        assert.deepEqual(
          up(() => hypervisor.free(7, 1234.5678)),
          { move: 7, begun: next, published: next },
        );

        const service = new ServiceLane(ring, vcpu);
        reset();
        assert.equal(service.next, number);
        assert.deepEqual(
          low(() => service.pciRequest(1, 2, 3)),
          { addressLow: 1, addressHigh: 2, valueLow: 3 },
        );
        assert.deepEqual(
          low(() => service.processing(HAS_LINK | IS_TIMED, 8, 9, 1234.5678)),
          { move: HAS_LINK | IS_TIMED, link: 8, valueHigh: 9, ...time, published: next },
        );
        reset();
        assert.deepEqual(
          low(() => service.processing(7, 8, 9, 1234.5678)),
          { move: 7, valueHigh: 9, published: next },
        );
        reset();
        assert.deepEqual(
          low(() => service.complete(HAS_LINK, 8, 3, 4, 1234.5678)),
          { move: HAS_LINK, link: 8, valueLow: 3, valueHigh: 4, ...time, published: next },
        );
        reset();
        assert.deepEqual(
          low(() => service.complete(7, 8, 3, 4, 1234.5678)),
          { move: 7, valueLow: 3, valueHigh: 4, ...time, published: next },
        );
        for (const hasMoved of [true, false]) {
          reset();
          assert.deepEqual(
            low(() => service.completing(7, 3, 4)),
            { move: 7 | TIME_DUE, valueLow: 3, valueHigh: 4, published: next },
          );
          assert.deepEqual(
            low(() => service.completed(hasMoved, 1234.5678)),
            { move: hasMoved ? 7 : 7 | REFUSED, ...time },
          );
        }
      });
});

describe('a view of a lane', () => {
  test('knows of entries that are due only in the hypervisor’s lane', () => {
    const ring = new TraceRing();
    for (const vcpu of [0, 1, 2, 15]) {
      new HypervisorLane(ring, vcpu).begin();
      new ServiceLane(ring, vcpu).processing(7, 0, 0, 0);
      const [upper, lower] = [hypervisorLane(vcpu), serviceLane(vcpu)].map((lane) => new LaneView(ring, lane));
      assert.deepEqual([upper?.begun, upper?.published, lower?.begun, lower?.published], [1, 0, 1, 1]);
    }
  });

  test('copies the words of an entry, and no more', () => {
    const ring = new TraceRing();
    new ServiceLane(ring, 0).complete(7 | MoveBits.HAS_LINK, 9, 3, 4, 1);
    const view = new LaneView(ring, SERVICE);
    const words = new Int32Array(9).fill(-1);
    assert.equal(view.copy(0, words), true);
    const first = entryIndex(SERVICE, 0);
    assert.deepEqual([...words], [...ring.words.subarray(first, first + 8), -1]);
    assert.equal(view.link(0), 9);
  });

  test('reads each entry at its own place', () => {
    const ring = new TraceRing();
    const writer = new ServiceLane(ring, 3);
    const view = new LaneView(ring, serviceLane(3));
    for (let i = 1; i <= 3; i++) writer.complete(i | MoveBits.HAS_LINK | MoveBits.IS_TIMED, 10 * i, 0, 0, 100 * i);
    assert.deepEqual(
      [0, 1, 2].map((number) => [view.move(number) & 0xf, view.link(number), view.timeMs(number)]),
      [
        [1, 10, 100],
        [2, 20, 200],
        [3, 30, 300],
      ],
    );
  });

  test('records an impossible time as 0', () => {
    for (const [ms, given] of [
      [0.5, 0.5],
      [0, 0],
      [-1, 0],
      [NaN, 0],
      [Infinity, 0],
    ] as const) {
      const ring = new TraceRing();
      new HypervisorLane(ring, 0).free(MoveBits.IS_TIMED, ms);
      assert.equal(new LaneView(ring, HYPERVISOR).timeMs(0), given);
    }
  });
});

describe('stores that become visible in any order', () => {
  test('never let a reader see part of an entry of PENDING or FREE', () => {
    const { page, views } = agedPage();
    const { words } = page.ring;
    const slot = page.buffer.slot(0);
    const number = views[0]?.published as number;
    const end = (): number => views[0]?.published as number;
    const fill = (): void => void slot.fill(0, Direction.WRITE, 0x3f8, 0, 1, 0x41, 0, false);
    const changed = forEachVisibleSubset(words, fill, () => {
      assert.equal(views[0]?.has(number), false);
      assert.equal(views[0].timeMs(number), 0);
      assert.equal(end(), number);
    });
    assert.ok(changed >= 5, `the step changed ${changed} words`);
    assert.equal(views[0]?.has(number), true);

    page.trace.assigning(CLIENT);
    slot.assign(true);
    slot.complete();
    const more = forEachVisibleSubset(
      words,
      () => slot.release(),
      () => assert.equal(views[0]?.has(number + 1), false),
    );
    assert.ok(more >= 2, `the step changed ${more} words`);
    assert.equal(views[0].has(number + 1), true);
  });

  test('never let a reader pass on a move with another request than its own', () => {
    const { page, reader } = agedPage();
    const slot = page.buffer.slot(0);
    const assembler = new MoveAssembler(() => CLIENT.name, 0);
    const given: string[] = [];
    const read = (from: RingReader): void => {
      from.read(0, (entry, lost) => {
        const { to, request } = assembler.assemble(entry, lost);
        given.push(`${to} ${request?.type === 'port' ? request.address.toString(16) : ''}`);
      });
    };
    const fill = (): void => void slot.fill(0, Direction.WRITE, 0x3f8, 0, 1, 0x41, 0, false);
    forEachVisibleSubset(page.ring.words, fill, () => read(reader));
    assert.deepEqual(given, []);
    read(reader);
    assert.deepEqual(given, ['PENDING 3f8']);
  });

  test('never let a reader see part of a COMPLETE entry that a client’s thread writes, or of its time', () => {
    const { page, views } = agedPage();
    const { words } = page.ring;
    const own = page.buffer.slot(0);
    const clients = new Slot(page.buffer.page, 0);
    new MoveRecorder(page.ring, { isOfClient: true }).observe(clients);
    own.fill(0, Direction.READ, 0x60, 0, 1, 0, 0, false);
    page.trace.assigning(CLIENT);
    own.assign(true);
    const number = views[1]?.published as number;
    const changed = forEachVisibleSubset(
      words,
      () => {
        clients.setValue(0x5a);
        clients.complete();
      },
      () => assert.equal(views[1]?.has(number), false),
    );
    assert.ok(changed >= 2, `the step changed ${changed} words`);
    assert.equal(views[1]?.has(number), true);
    assert.ok(views[1].timeMs(number) > 0);
  });

  test('never let a reader take a time that is still to be written', () => {
    const { page, views } = agedPage();
    const recorder = new SlotRecorder(page.ring, 0, { isOfClient: true, client: 0, isForced: false }, 0);
    const number = views[1]?.published as number;
    recorder.completing(IoRequestState.PROCESSING, 0x5a, 0);
    const changed = forEachVisibleSubset(
      page.ring.words,
      () => recorder.completed(true, IoRequestState.PROCESSING, 0x5a, 0),
      () => assert.equal(views[1]?.timeMs(number), 0),
    );
    assert.ok(changed >= 1, `the step changed ${changed} words`);
    assert.ok((views[1]?.timeMs(number) as number) > 0);
  });
});

test('an entry that the writer may overwrite while a reader runs is not readable', () => {
  const { page, views } = agedPage();
  const view = views[0] as LaneView;
  const oldest = (view.published - LANE_ENTRIES) | 0;
  // A request that was under way goes on to FREE, and the next one to PENDING.
  const overwritten = [0, 1, 2].map((i) => entryIndex(HYPERVISOR, view.published + i));
  for (let number = oldest; number < view.published; number++)
    if (view.has(number)) assert.ok(!overwritten.includes(entryIndex(HYPERVISOR, number)), `${number}`);
  assert.equal(view.has(oldest + 4), true);
  assert.equal(page.ring.words[publishedIndex(HYPERVISOR)], view.published);
});

test('an entry that was overwritten since its number was read is lost, not given', () => {
  for (const more of [LANE_ENTRIES - 3, LANE_ENTRIES, 2 * LANE_ENTRIES]) {
    const { page } = agedPage();
    const lane = new LaneReader(page.ring, HYPERVISOR);
    const number = lane.next;
    const slot = page.buffer.slot(0);
    slot.fill(0, Direction.WRITE, 0x3f8, 0, 1, 0x41, 0, false);
    const { end } = lane;
    assert.equal((end - number) | 0, 1);
    page.trace.assigning(CLIENT);
    slot.assign(true);
    slot.complete();
    slot.release();
    // PENDING and FREE make two entries each.
    for (let i = 2; i < more; i += 2) page.play({ address: 0x4321, value: 0x55 }, CLIENT);
    assert.equal(lane.hasNext(end), false, `${more} entries later`);
    assert.ok(lane.takeLost() > 0);
    assert.ok(((lane.next - number) | 0) > 0);
  }
});

test('an entry that is published while a reader checks for it is read, not counted as lost', () => {
  const { page, reader } = agedPage();
  const { words } = page.ring;
  const published = publishedIndex(HYPERVISOR);
  page.buffer.slot(0).fill(0, Direction.WRITE, 0x3f8, 0, 1, 0x41, 0, false);
  const final = words[published] as number;
  words[published] = final - 1;
  const atomicLoad = Atomics.load;
  Atomics.load = ((array: Int32Array, at: number) => {
    const value = atomicLoad(array, at);
    // Right after this load the vCPU publishes.
    if (array.buffer === words.buffer && at === published) words[published] = final;
    return value;
  }) as typeof Atomics.load;
  let given = 0;
  let lost = 0;
  const read = (): void => {
    const after = reader.read(0, (_, before) => {
      given++;
      lost += before;
    });
    lost += after;
  };
  try {
    read();
  } finally {
    Atomics.load = atomicLoad;
  }
  read();
  assert.deepEqual([given, lost], [1, 0]);
});
