import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RingId, type AsyncIoDescriptor, type AsyncIoHypercalls } from '../hypervisor/async-io-hypercalls.js';
import { PAGE_BYTES } from '../io-request/layout.js';
import { createRingPage, SharedRing } from '../sync/shared-ring.js';
import { AsyncIoEvents, MAX_ASYNC_EVENTS } from './async-io.js';
import { LocalEvent } from './event-object.js';
import type { IoEventRequest } from './ioeventfd.js';

const ENODEV = -19;
const ENOMEM = -12;
const ELEMENT_BYTES = 8;
const ELEMENTS = (PAGE_BYTES - 64) / ELEMENT_BYTES;
const PORT: IoEventRequest = { isPort: true, address: 0x2010n, length: 2 };
const MEMORY: IoEventRequest = { isPort: false, address: 0x3000n, length: 8, data: 5n };

interface Machine {
  readonly events: AsyncIoEvents;
  readonly ring: SharedRing;
  readonly assigned: AsyncIoDescriptor[];
  readonly deassigned: AsyncIoDescriptor[];
}

/** A hypervisor that records the hypercalls and returns `result`. */
function machine({ hasRing = true, result = 0 } = {}): Machine {
  const page = new SharedArrayBuffer(PAGE_BYTES);
  createRingPage(ELEMENT_BYTES, new Uint8Array(page));
  const ring = new SharedRing(page, ELEMENT_BYTES, ELEMENTS);
  const assigned: AsyncIoDescriptor[] = [];
  const deassigned: AsyncIoDescriptor[] = [];
  const hypercalls: AsyncIoHypercalls = {
    setupRing: () => 0,
    ringBytes: () => new Uint8Array(page),
    ring: (id) => (id === RingId.ASYNC_IO && hasRing ? ring : undefined),
    assignAsyncIo: (descriptor) => {
      assigned.push(descriptor);
      return result;
    },
    deassignAsyncIo: (descriptor) => {
      deassigned.push(descriptor);
      return result;
    },
    sendEvent: () => false,
  };
  return { events: new AsyncIoEvents(hypercalls), ring, assigned, deassigned };
}

/** Puts a handle into the ring, as a vCPU does. */
function kick(ring: SharedRing, handle: number, upper = 0): void {
  ring.put(Int32Array.of(handle, upper));
}

describe('asynchronous I/O', () => {
  test('is refused with −ENODEV without a ring, and has no work', () => {
    const { events, assigned, deassigned } = machine({ hasRing: false });
    assert.equal(events.isSetUp, false);
    assert.equal(events.assign(PORT, new LocalEvent()), ENODEV);
    assert.equal(events.deassign(PORT, new LocalEvent()), ENODEV);
    assert.equal(events.hasWork, false);
    events.run();
    assert.deepEqual([assigned, deassigned], [[], []]);
  });

  test('gives each event a handle of its own, and the descriptor its data if there is one', () => {
    const { events, assigned, deassigned } = machine();
    assert.equal(events.isSetUp, true);
    const [first, second] = [new LocalEvent(), new LocalEvent()];
    assert.equal(events.assign(PORT, first), 0);
    assert.equal(events.assign(MEMORY, second), 0);
    assert.equal(events.assign(MEMORY, first), 0);
    const [a = 0, b = 0, c = 0] = assigned.map(({ handle }) => handle);
    assert.ok(a > 0 && b > 0 && a !== b && a === c, `${a} ${b} ${c}`);
    const memory = { isPort: false, address: 0x3000n, data: 5n };
    assert.deepEqual(assigned, [
      { isPort: true, address: 0x2010n, handle: a },
      { ...memory, handle: b },
      { ...memory, handle: a },
    ]);
    assert.equal(events.deassign(PORT, first), 0);
    assert.deepEqual(deassigned, [{ isPort: true, address: 0x2010n, handle: a }]);
  });

  test('returns the result of the hypercall', () => {
    const { events } = machine({ result: -1 });
    const event = new LocalEvent();
    assert.equal(events.assign(PORT, event), -1);
    assert.equal(events.deassign(PORT, event), -1);
  });

  test('ignores the removal of an event that was not assigned', () => {
    const { events, deassigned } = machine({ result: -1 });
    assert.equal(events.deassign(PORT, new LocalEvent()), 0);
    assert.deepEqual(deassigned, []);
  });

  test('signals the event of each handle in the ring, a full one in one pass', () => {
    const { events, ring, assigned } = machine();
    const [first, second] = [new LocalEvent(), new LocalEvent()];
    events.assign(PORT, first);
    events.assign(MEMORY, second);
    const [a = 0, b = 0] = assigned.map(({ handle }) => handle);
    assert.equal(events.hasWork, false);
    kick(ring, b);
    while (!ring.isFull) kick(ring, a);
    assert.equal(events.hasWork, true);
    events.run();
    assert.equal(events.hasWork, false);
    assert.equal(second.read(), 1n);
    assert.equal(first.read(), BigInt(ELEMENTS - 2));
  });

  test('ends a pass after 512 handles, although each signal brings the next', () => {
    const { events, ring, assigned } = machine();
    const event = new LocalEvent();
    events.assign(PORT, event);
    const [handle = 0] = assigned.map((descriptor) => descriptor.handle);
    let signals = 0;
    event.onSignal(() => {
      assert.ok(++signals <= 512);
      kick(ring, handle);
    });
    kick(ring, handle);
    events.run();
    assert.equal(signals, 512);
    assert.equal(events.hasWork, true);
  });

  test('drops a number that is no handle', () => {
    const { events, ring, assigned } = machine();
    const event = new LocalEvent();
    events.assign(PORT, event);
    const [handle = 0] = assigned.map((descriptor) => descriptor.handle);
    kick(ring, handle + 1);
    kick(ring, handle, 1);
    kick(ring, 0);
    events.run();
    assert.equal(event.isReadable, false);
    assert.equal(events.hasWork, false);
  });

  test('revokes a handle after as many removals as assignments, and never uses it again', () => {
    const { events, ring, assigned } = machine();
    const event = new LocalEvent();
    events.assign(PORT, event);
    events.assign(PORT, event);
    const [handle = 0] = assigned.map((descriptor) => descriptor.handle);
    events.deassign(PORT, event);
    kick(ring, handle);
    events.run();
    assert.equal(event.read(), 1n);
    events.deassign(PORT, event);
    kick(ring, handle);
    events.run();
    assert.equal(event.isReadable, false);
    events.assign(PORT, event);
    assert.notEqual(assigned.at(-1)?.handle, handle);
    kick(ring, handle);
    events.run();
    assert.equal(event.isReadable, false);
  });

  test('has a limited number of events, and place again after a removal', () => {
    const { events } = machine();
    assert.equal(MAX_ASYNC_EVENTS, 64);
    const all = Array.from({ length: 64 }, () => new LocalEvent());
    for (const event of all) assert.equal(events.assign(PORT, event), 0);
    const late = new LocalEvent();
    assert.equal(events.assign(PORT, late), ENOMEM);
    for (const event of all) assert.equal(events.assign(PORT, event), 0, 'known events need no place');
    for (let uses = 0; uses < 2; uses++) events.deassign(PORT, all[0] ?? late);
    assert.equal(events.assign(PORT, late), 0);
  });
});
