import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { SlotRecorder } from './slot-recorder.js';
import { LaneView } from './lane.js';
import { entryIndex, EntryWord, hypervisorLane, MoveBits, movedTo, serviceLane, TraceRing } from './trace-ring.js';

const { PENDING, PROCESSING, COMPLETE } = IoRequestState;
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
