import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { IoRequestType, SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { SlotRecorder } from './slot-recorder.js';
import { LaneView } from './lane.js';
import { entryIndex, EntryWord, hypervisorLane, MoveBits, movedTo, serviceLane, TraceRing } from './trace-ring.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const VCPU = 3;
const UPPER = hypervisorLane(VCPU);
const LOWER = serviceLane(VCPU);
const THREAD = { client: 1, isForced: false, isOfClient: false };

function ringOn(): TraceRing {
  const ring = new TraceRing();
  ring.isOn = true;
  return ring;
}

const word = (ring: TraceRing, lane: number, which: number): number =>
  ring.words[entryIndex(lane, 0) + which] as number;

test('the entry of a move to PENDING is begun and empty before the move', () => {
  const ring = ringOn();
  const recorder = new SlotRecorder(ring, VCPU, THREAD, 0);
  ring.words[entryIndex(UPPER, 0) + EntryWord.move] = -1;
  recorder.filling();
  const view = new LaneView(ring, UPPER);
  assert.deepEqual([view.begun, view.published, word(ring, UPPER, EntryWord.move)], [1, 0, 0]);
});

test('the entry of PENDING has the request as it was filled, even if the page has its answer already', () => {
  const ring = ringOn();
  const recorder = new SlotRecorder(ring, VCPU, THREAD, 0);
  const page = new Int32Array(new SharedBuffer().page);
  const base = (VCPU * SLOT_BYTES) >> 2;
  page[base + (SLOT_OFFSET.value >> 2)] = 0x5a;
  recorder.filling();
  recorder.filled(true, 0, 1, 0x3f8, 0, 1, 0x41, 0, page, base);
  assert.equal(word(ring, UPPER, EntryWord.addressLow), 0x3f8);
  assert.equal(word(ring, UPPER, EntryWord.valueLow), 0x41);
  const move = word(ring, UPPER, EntryWord.move);
  assert.equal(movedTo(move), PENDING);
  assert.ok((move & MoveBits.IS_WRITE) !== 0);
  assert.ok(new LaneView(ring, UPPER).timeMs(0) > 0);
});

test('the entry of a refused move to PENDING is marked as refused', () => {
  const ring = ringOn();
  const recorder = new SlotRecorder(ring, VCPU, THREAD, 0);
  recorder.filling();
  recorder.filled(false, 0, 0, 0x3f8, 0, 1, 0, 0, new Int32Array(1024), 0);
  assert.ok((word(ring, UPPER, EntryWord.move) & MoveBits.REFUSED) !== 0);
});

test('the dispatching thread writes COMPLETE after the move, a client’s thread before it, with the time after', () => {
  const ring = ringOn();
  const view = new LaneView(ring, LOWER);
  const own = new SlotRecorder(ring, VCPU, THREAD, 0);
  own.completing(PROCESSING, 7, 0);
  assert.equal(view.published, 0);
  const clients = new SlotRecorder(ring, VCPU, { ...THREAD, isOfClient: true }, 0);
  clients.completing(PROCESSING, 7, 0);
  assert.equal(view.published, 1);
  assert.equal(movedTo(view.move(0)), COMPLETE);
  assert.equal(word(ring, LOWER, EntryWord.valueLow), 7);
  assert.equal(view.timeMs(0), 0);
  clients.completed(true, PROCESSING, 7, 0);
  assert.ok(view.timeMs(0) > 0);
  clients.completing(PROCESSING, 7, 0);
  clients.completed(false, PROCESSING, 7, 0);
  assert.ok((view.move(1) & MoveBits.REFUSED) !== 0);
});

describe('the entries of a slot', () => {
  const { TO_SHIFT, TYPE_SHIFT, SIZE_SHIFT, IS_WRITE, REFUSED, HAS_REQUEST, HAS_VALUE } = MoveBits;
  const { FORCED, IS_TIMED, HAS_LINK, STATE_MASK } = MoveBits;
  const { PCI } = IoRequestType;
  const BASE = (VCPU * SLOT_BYTES) >> 2;
  /** The ring was created this long before the thread's clock began. */
  const OFFSET_MS = 500;
  let nowMs = 0;

  beforeEach(() => {
    nowMs = 1000;
    mock.method(performance, 'now', () => nowMs);
  });
  afterEach(() => mock.restoreAll());

  interface Sides {
    readonly ring: TraceRing;
    readonly page: Int32Array;
    /** The recorders of the vCPU's thread and of the dispatching thread. */
    readonly hypervisor: SlotRecorder;
    readonly service: SlotRecorder;
    readonly thread: { client: number; isForced: boolean; isOfClient: boolean };
    readonly fill: (type?: number, size?: number, direction?: number) => void;
  }

  function sides(burstMs = 0): Sides {
    const ring = new TraceRing();
    // Its origin, which the recorders read when they are made.
    ring.times[1] = performance.timeOrigin - OFFSET_MS;
    ring.isOn = true;
    const page = new Int32Array(new SharedBuffer().page);
    const thread = { client: 9, isForced: false, isOfClient: false };
    const hypervisor = new SlotRecorder(ring, VCPU, { ...thread }, burstMs);
    const service = new SlotRecorder(ring, VCPU, thread, burstMs);
    const fill = (type = 0, size = 1, direction = 0): void => {
      page[BASE + (SLOT_OFFSET.type >> 2)] = type;
      hypervisor.filling();
      hypervisor.filled(true, type, direction, 0x60, 1, size, 0x41, 2, page, BASE);
    };
    return { ring, page, hypervisor, service, thread, fill };
  }

  /** A whole request, which a client answers. */
  function request({ hypervisor, service, page, fill }: Sides): void {
    fill();
    service.assigned(true, page, BASE);
    service.completed(true, PROCESSING, 0, 0);
    hypervisor.released(true, COMPLETE);
  }

  /** Words of an entry. The time in ms, 0: no time. */
  function entry(ring: TraceRing, lane: number, number: number): Record<string, number> {
    const at = entryIndex(lane, number);
    const one = (word: keyof typeof EntryWord): number => ring.words[at + EntryWord[word]] as number;
    const { link, move, addressLow, addressHigh, valueLow, valueHigh } = EntryWord;
    const names = Object.entries({ link, move, addressLow, addressHigh, valueLow, valueHigh });
    const words = names.map(([name]) => [name, one(name as keyof typeof EntryWord)] as const);
    return { ...Object.fromEntries(words), timeMs: ring.times[(at + EntryWord.time) >> 1] as number };
  }

  const NOTHING = { link: 0, addressLow: 0, addressHigh: 0, valueLow: 0, valueHigh: 0, timeMs: 0 };
  const moved = (from: number, to: number): number => from | (to << TO_SHIFT);
  const timeMs = 1000 + OFFSET_MS;

  test('have the request at PENDING, its numbers saturated, and the time', () => {
    for (const [type, size, direction, bits] of [
      [0, 1, 0, 1 << SIZE_SHIFT],
      [1, 8, 1, (1 << TYPE_SHIFT) | (8 << SIZE_SHIFT) | IS_WRITE],
      [0xff, 0xff, 0, (0xff << TYPE_SHIFT) | (0xff << SIZE_SHIFT)],
      [0x100, -1, 7, (0xff << TYPE_SHIFT) | (0xff << SIZE_SHIFT) | IS_WRITE],
    ] as const) {
      const one = sides();
      one.fill(type, size, direction);
      const move = moved(FREE, PENDING) | HAS_REQUEST | IS_TIMED | bits;
      const words = { move, addressLow: 0x60, addressHigh: 1, valueLow: 0x41, valueHigh: 2 };
      assert.deepEqual(entry(one.ring, UPPER, 0), { ...NOTHING, ...words, timeMs });
    }
  });

  test('have the place of a PCI request from the page', () => {
    const { ring, page, hypervisor } = sides();
    const place = { pciBus: 1, pciDevice: 0x1f, pciFunction: 2, pciRegister: 0x40 };
    for (const [name, value] of Object.entries(place))
      page[BASE + (SLOT_OFFSET[name as keyof typeof place] >> 2)] = value;
    hypervisor.filling();
    hypervisor.filled(true, PCI, 0, 0xcfc, 0, 4, 0, 0, page, BASE);
    const { addressLow, addressHigh } = entry(ring, UPPER, 0);
    assert.deepEqual([addressLow, addressHigh], [0x01_1f_02, 0x40]);
  });

  test('have the link, the client and the time at PROCESSING', () => {
    const one = sides();
    request(one);
    one.fill();
    one.service.assigned(true, one.page, BASE);
    const move = moved(PENDING, PROCESSING) | HAS_LINK | IS_TIMED;
    assert.deepEqual(entry(one.ring, LOWER, 2), { ...NOTHING, move, link: 2, valueHigh: 9, timeMs });
    assert.equal(one.service.timedProcessing, 2);
  });

  test('have a PCI request again at PROCESSING, as the HSM made it', () => {
    const { ring, page, service, fill } = sides();
    fill();
    const fields = { type: PCI, direction: 1, size: 4, value: 0x77, pciBus: 1, pciDevice: 0x1f, pciFunction: 2 };
    for (const [name, value] of Object.entries({ ...fields, pciRegister: 0x40 }))
      page[BASE + (SLOT_OFFSET[name as keyof typeof fields] >> 2)] = value;
    service.assigned(true, page, BASE);
    const bits = (PCI << TYPE_SHIFT) | (4 << SIZE_SHIFT) | IS_WRITE | HAS_REQUEST;
    const move = moved(PENDING, PROCESSING) | HAS_LINK | IS_TIMED | bits;
    const words = { move, addressLow: 0x01_1f_02, addressHigh: 0x40, valueLow: 0x77, valueHigh: 9 };
    assert.deepEqual(entry(ring, LOWER, 0), { ...NOTHING, ...words, timeMs });
  });

  test('have only the mark and the client if the move to PROCESSING was refused', () => {
    const { ring, page, service, fill } = sides();
    fill();
    service.assigned(false, page, BASE);
    const move = moved(PENDING, PROCESSING) | REFUSED;
    assert.deepEqual(entry(ring, LOWER, 0), { ...NOTHING, move, valueHigh: 9 });
    assert.equal(service.timedProcessing, undefined);
    service.completed(true, PROCESSING, 0, 0);
    assert.equal((entry(ring, LOWER, 1)['move'] as number) & HAS_LINK, 0);
  });

  test('have no link at COMPLETE if the trace was switched on after PROCESSING', () => {
    const one = sides();
    one.service.completed(true, PROCESSING, 3, 4);
    assert.equal(entry(one.ring, LOWER, 0)['move'], moved(PROCESSING, COMPLETE) | HAS_VALUE | IS_TIMED);
  });

  test('have a PCI read as one at PROCESSING', () => {
    const { ring, page, service, fill } = sides();
    fill(PCI, 4);
    page[BASE + (SLOT_OFFSET.size >> 2)] = 4;
    service.assigned(true, page, BASE);
    const bits = (PCI << TYPE_SHIFT) | (4 << SIZE_SHIFT) | HAS_REQUEST;
    assert.equal(entry(ring, LOWER, 0)['move'], moved(PENDING, PROCESSING) | HAS_LINK | IS_TIMED | bits);
  });

  test('have the value and the time at COMPLETE, and the link of the PROCESSING before', () => {
    const one = sides();
    request(one);
    one.fill();
    one.service.assigned(true, one.page, BASE);
    one.service.completed(true, PROCESSING, 3, 4);
    const move = moved(PROCESSING, COMPLETE) | HAS_VALUE | IS_TIMED;
    assert.deepEqual(entry(one.ring, LOWER, 3), {
      ...NOTHING,
      move: move | HAS_LINK,
      link: 2,
      valueLow: 3,
      valueHigh: 4,
      timeMs,
    });
    // The entry before is not this thread's PROCESSING.
    one.service.completed(false, PROCESSING, 3, 4);
    assert.deepEqual(entry(one.ring, LOWER, 4)['move'], move | REFUSED);
    one.thread.isForced = true;
    one.service.completed(true, PROCESSING, 3, 4);
    assert.deepEqual(entry(one.ring, LOWER, 5)['move'], move | FORCED);
  });

  test('have the link also at the COMPLETE of a request that the HSM answers', () => {
    const one = sides();
    request(one);
    one.fill();
    one.service.completed(true, PENDING, 3, 4);
    const { link, move } = entry(one.ring, LOWER, 2);
    assert.deepEqual([link, move], [2, moved(PENDING, COMPLETE) | HAS_VALUE | IS_TIMED | HAS_LINK]);
  });

  test('have at FREE where it came from, of which a number that is no state is all ones', () => {
    for (const [from, shown] of [
      [COMPLETE, COMPLETE],
      [FREE, FREE],
      [4, STATE_MASK],
      [-1, STATE_MASK],
    ] as const) {
      const { ring, hypervisor, fill } = sides();
      fill();
      hypervisor.released(true, from);
      assert.deepEqual(entry(ring, UPPER, 1), { ...NOTHING, move: moved(shown, FREE) | IS_TIMED, timeMs });
      hypervisor.released(false, from);
      assert.equal(entry(ring, UPPER, 2)['move'], moved(shown, FREE) | IS_TIMED | REFUSED);
    }
  });

  describe('in a burst', () => {
    const flags = (ring: TraceRing, lane: number, number: number): number =>
      (entry(ring, lane, number)['move'] as number) & (IS_TIMED | HAS_LINK);

    /** Two requests at one time: the next one is in a burst. */
    function inBurst(): Sides {
      const one = sides(10);
      request(one);
      request(one);
      return one;
    }

    test('have no times and no link at PROCESSING and FREE, but the link at COMPLETE', () => {
      const one = inBurst();
      nowMs += 9;
      request(one);
      assert.deepEqual([flags(one.ring, UPPER, 4), flags(one.ring, UPPER, 5)], [IS_TIMED, 0]);
      assert.deepEqual([flags(one.ring, LOWER, 4), flags(one.ring, LOWER, 5)], [0, IS_TIMED | HAS_LINK]);
      assert.equal(entry(one.ring, LOWER, 5)['link'], 4);
      assert.deepEqual([entry(one.ring, LOWER, 4)['timeMs'], entry(one.ring, UPPER, 5)['timeMs']], [0, 0]);
      assert.equal(one.service.timedProcessing, undefined);
    });

    test('have all times in the first two requests, of which nothing shows that they are a burst', () => {
      const one = sides(Infinity);
      for (let i = 0; i < 3; i++) request(one);
      assert.deepEqual(
        [1, 3, 5].map((number) => flags(one.ring, UPPER, number)),
        [IS_TIMED, IS_TIMED, 0],
      );
    });

    test('have all times again after a pause, and after the ring was switched on again', () => {
      for (const again of ['pause', 'switch'] as const) {
        const one = inBurst();
        if (again === 'pause') {
          nowMs += 10;
          request(one);
        } else {
          one.ring.isOn = false;
          one.ring.isOn = true;
        }
        request(one);
        const last = again === 'pause' ? 6 : 4;
        assert.deepEqual([flags(one.ring, UPPER, last), flags(one.ring, UPPER, last + 1)], [IS_TIMED, IS_TIMED]);
        assert.equal(flags(one.ring, LOWER, last), IS_TIMED | HAS_LINK);
      }
    });

    test('count the PENDING entries, and load their number for a request with all times', () => {
      const one = inBurst();
      // A request that was withdrawn is not counted.
      one.fill();
      one.hypervisor.released(true, PENDING);
      request(one);
      assert.equal(entry(one.ring, LOWER, 5)['link'], 4, 'one request too low');
      nowMs += 10;
      one.fill();
      one.service.completed(true, PENDING, 0, 0);
      one.hypervisor.released(true, COMPLETE);
      one.fill();
      one.service.completed(true, PENDING, 0, 0);
      assert.deepEqual(
        [6, 7].map((number) => entry(one.ring, LOWER, number)['link']),
        [6, 10],
      );
    });

    test('load the number at an answer of the HSM after the ring was switched on again', () => {
      const one = inBurst();
      one.fill();
      one.hypervisor.released(true, PENDING);
      one.ring.isOn = false;
      one.ring.isOn = true;
      one.fill();
      one.service.completed(true, PENDING, 0, 0);
      assert.equal(entry(one.ring, LOWER, 4)['link'], 6);
    });
  });
});
