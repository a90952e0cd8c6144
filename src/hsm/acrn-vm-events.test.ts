import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AsyncIo } from '../hypervisor/async-io.js';
import { RingId, VmEventType } from '../hypervisor/async-io-hypercalls.js';
import { createRingPage, RingResult } from '../sync/shared-ring.js';
import { AcrnVmEvents, decodeAcrnVmEvent, POWER_OFF, rtcChanged, type AcrnVmEvent } from './acrn-vm-events.js';
import { LocalEvent } from './event-object.js';

/** `struct vm_event`: its size in bytes, and the offsets of RTC_CHG's fields. */
const ELEMENT_BYTES = 32;
const LAST_TIME = 4;
const DELTA = 12;

interface Machine {
  readonly hypercalls: AsyncIo;
  readonly events: AcrnVmEvents;
  readonly event: LocalEvent;
}

function withRing(): Machine {
  const hypercalls = new AsyncIo();
  assert.equal(hypercalls.setupRing(RingId.VM_EVENT, createRingPage(ELEMENT_BYTES)), 0);
  return { hypercalls, events: new AcrnVmEvents(hypercalls), event: new LocalEvent() };
}

/** The oldest element of the ring, as userspace takes it. */
function taken(hypercalls: AsyncIo): Int32Array<ArrayBuffer> {
  const element = new Int32Array(ELEMENT_BYTES >> 2);
  assert.equal(hypercalls.ring(RingId.VM_EVENT)?.take(element), RingResult.DONE);
  return element;
}

describe('a VM event', () => {
  test('of a changed clock has the time and the change, 64 bits each', () => {
    const { hypercalls, events } = withRing();
    const lastTime = 0x1_0000_0002;
    assert.equal(events.send(rtcChanged(lastTime, -3)), true);
    const element = taken(hypercalls);
    const view = new DataView(element.buffer);
    assert.equal(view.getUint32(0, true), VmEventType.RTC_CHANGED);
    assert.equal(view.getBigInt64(LAST_TIME, true), BigInt(lastTime));
    assert.equal(view.getBigInt64(DELTA, true), -3n);
    const decoded = decodeAcrnVmEvent(element);
    assert.deepEqual(decoded, rtcChanged(lastTime, -3));
  });

  test('is decoded from its own element only, and has 28 bytes of data', () => {
    const elements = new Int32Array((2 * ELEMENT_BYTES) >> 2).fill(-1);
    elements[0] = VmEventType.TRIPLE_FAULT;
    const decoded: AcrnVmEvent = decodeAcrnVmEvent(elements);
    assert.deepEqual(decoded, { type: VmEventType.TRIPLE_FAULT, data: new Uint8Array(28).fill(0xff) });
    assert.deepEqual(POWER_OFF, { type: VmEventType.POWER_OFF, data: new Uint8Array(28) });
  });

  test('is lost without a ring, and in a full one', () => {
    assert.equal(new AcrnVmEvents(new AsyncIo()).send(POWER_OFF), false);
    const { events, event } = withRing();
    events.setEvent(event);
    let sent = 0;
    while (events.send(POWER_OFF)) sent++;
    assert.equal(sent, Math.floor((4096 - 64) / ELEMENT_BYTES) - 1);
    assert.equal(event.read(), BigInt(sent));
  });
});

describe('the signal of a VM event', () => {
  test('comes once for each new element, whether userspace has emptied the ring or not', () => {
    const { hypercalls, events, event } = withRing();
    events.setEvent(event);
    assert.equal(events.hasWork, false);
    events.run();
    assert.equal(event.isReadable, false);
    hypercalls.sendEvent(VmEventType.TRIPLE_FAULT);
    assert.equal(events.hasWork, true);
    events.run();
    assert.equal(events.hasWork, false);
    events.run();
    assert.equal(event.read(), 1n);
    hypercalls.sendEvent(VmEventType.TRIPLE_FAULT);
    events.run();
    assert.equal(event.read(), 1n);
    taken(hypercalls);
    taken(hypercalls);
    assert.equal(events.hasWork, false);
  });

  test('comes at once when the Service VM itself sends', () => {
    const { events, event } = withRing();
    events.setEvent(event);
    events.send(POWER_OFF);
    assert.equal(event.read(), 1n);
    assert.equal(events.hasWork, false);
  });

  test('waits for the event object', () => {
    const { hypercalls, events, event } = withRing();
    hypercalls.sendEvent(VmEventType.TRIPLE_FAULT);
    assert.equal(events.hasWork, false);
    events.setEvent(event);
    assert.equal(events.hasWork, true);
    events.run();
    assert.equal(event.read(), 1n);
  });

  test('may be missing where userspace is only woken', () => {
    const { hypercalls, events, event } = withRing();
    events.wakeUserspace();
    events.setEvent(event);
    events.wakeUserspace();
    assert.equal(event.read(), 1n);
    const element = new Int32Array(ELEMENT_BYTES >> 2);
    assert.notEqual(hypercalls.ring(RingId.VM_EVENT)?.take(element), RingResult.DONE);
  });

  test('waits for the ring', () => {
    const events = new AcrnVmEvents(new AsyncIo());
    events.setEvent(new LocalEvent());
    assert.equal(events.hasWork, false);
  });

  test('comes for the first element of a ring that was set up again', () => {
    const { hypercalls, events, event } = withRing();
    events.setEvent(event);
    events.send(POWER_OFF);
    hypercalls.setupRing(RingId.VM_EVENT, createRingPage(ELEMENT_BYTES));
    events.setEvent(event);
    assert.equal(event.read(), 1n);
    events.send(POWER_OFF);
    assert.equal(event.read(), 1n);
  });
});
