import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { LaneView } from './lane.js';
import { MoveRecorder } from './move-recorder.js';
import { MoveBits, serviceLane, TraceRing } from './trace-ring.js';

test('a recorder observes each slot on its own, and knows the request that it has timed there', () => {
  const ring = new TraceRing();
  ring.isOn = true;
  const recorder = new MoveRecorder(ring, { burstMs: 0 });
  assert.deepEqual([recorder.client, recorder.isForced, recorder.isOfClient], [0, false, false]);
  const buffer = new SharedBuffer();
  for (const slot of buffer.slots) recorder.observe(slot);
  for (const vcpu of [0, 15]) {
    buffer.slot(vcpu).fill(0, 0, 0x60, 0, 1, 0, 0, false);
    buffer.slot(vcpu).assign(true);
    assert.equal(new LaneView(ring, serviceLane(vcpu)).published, 1);
    assert.equal(recorder.timedProcessing(vcpu), 0);
  }
  assert.equal(recorder.timedProcessing(16), undefined);
});

test('a client’s recorder leaves the time of COMPLETE open until the move is made', () => {
  const ring = new TraceRing();
  ring.isOn = true;
  const buffer = new SharedBuffer();
  const slot = buffer.slot(3);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  slot.assign(true);
  const recorder = new MoveRecorder(ring, { isOfClient: true });
  assert.equal(recorder.isOfClient, true);
  recorder.observe(slot);
  slot.complete();
  const view = new LaneView(ring, serviceLane(3));
  assert.equal(view.published, 1);
  assert.equal(view.move(0) & MoveBits.TIME_DUE, 0);
  assert.ok(view.timeMs(0) > 0);
});
