import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SLOT_BYTES, SLOT_OFFSET } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { SlotRecorder } from './slot-recorder.js';
import { eventIndex, EventWord, hypervisorLane, MoveBits, movedTo, serviceLane, TraceRing } from './trace-ring.js';

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
  ring.words[eventIndex(lane, 0) + which] as number;

test('before a move to PENDING its event is due, and has no word of an older one', () => {
  const ring = ringOn();
  const recorder = new SlotRecorder(ring, VCPU, THREAD, 0);
  ring.words[eventIndex(UPPER, 0) + EventWord.move] = -1;
  recorder.filling();
  assert.deepEqual([ring.head(UPPER), word(ring, UPPER, EventWord.move)], [1, 0]);
});

test('the event of PENDING tells the request that was made, though the page has its answer already', () => {
  const ring = ringOn();
  const recorder = new SlotRecorder(ring, VCPU, THREAD, 0);
  const page = new Int32Array(new SharedBuffer().page);
  const base = (VCPU * SLOT_BYTES) >> 2;
  page[base + (SLOT_OFFSET.value >> 2)] = 0x5a;
  recorder.filling();
  recorder.filled(true, 0, 1, 0x3f8, 0, 1, 0x41, 0, page, base);
  assert.equal(word(ring, UPPER, EventWord.addressLow), 0x3f8);
  assert.equal(word(ring, UPPER, EventWord.valueLow), 0x41);
  const move = word(ring, UPPER, EventWord.move);
  assert.equal(movedTo(move), PENDING);
  assert.ok((move & MoveBits.IS_WRITE) !== 0);
  assert.ok(ring.time(UPPER, 0) > 0);
});

test('a move to PENDING that was refused is told as refused', () => {
  const ring = ringOn();
  const recorder = new SlotRecorder(ring, VCPU, THREAD, 0);
  recorder.filling();
  recorder.filled(false, 0, 0, 0x3f8, 0, 1, 0, 0, new Int32Array(1024), 0);
  assert.ok((word(ring, UPPER, EventWord.move) & MoveBits.REFUSED) !== 0);
});

test('who assigns writes COMPLETE down after it; a client’s thread before it, because the next request may follow at once', () => {
  const ring = ringOn();
  const own = new SlotRecorder(ring, VCPU, THREAD, 0);
  own.completing(PROCESSING, 7, 0);
  assert.equal(ring.head(LOWER), 0);
  const clients = new SlotRecorder(ring, VCPU, { ...THREAD, isOfClient: true }, 0);
  clients.completing(PROCESSING, 7, 0);
  assert.equal(ring.head(LOWER), 1);
  assert.equal(movedTo(word(ring, LOWER, EventWord.move)), COMPLETE);
  assert.equal(word(ring, LOWER, EventWord.valueLow), 7);
  assert.equal(ring.time(LOWER, 0), 0);
  clients.completed(true, PROCESSING, 7, 0);
  assert.ok(ring.time(LOWER, 0) > 0);
  clients.completing(PROCESSING, 7, 0);
  clients.completed(false, PROCESSING, 7, 0);
  const second = ring.words[eventIndex(LOWER, 1) + EventWord.move] as number;
  assert.ok((second & MoveBits.REFUSED) !== 0);
});
