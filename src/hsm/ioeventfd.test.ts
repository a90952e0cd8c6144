import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { LocalEvent } from './event-object.js';
import { IoEventFds, type IoEventRequest } from './ioeventfd.js';
import { VmRequests } from './vm-requests.js';

const EINVAL = -22;
const EEXIST = -17;
const ENOMEM = -12;

class Machine {
  readonly buffer = new SharedBuffer();
  readonly requests = new VmRequests({
    vmId: 3,
    buffer: this.buffer,
    hypercalls: { vcpuCount: 1, notifyRequestFinish: () => 0 },
    observer: { event: () => undefined },
    clientTimeoutMs: Infinity,
  });
  readonly events = new IoEventFds(3, this.requests.clients);

  constructor() {
    this.requests.clients.add(this.events);
  }

  /** The slot's state after one request: 3 (FREE) if it was answered. */
  access(type: number, direction: number, address: number, size: number, low = 0, high = 0): number {
    const slot = this.buffer.slot(0);
    assert.ok(slot.fill(type, direction, address, 0, size, low, high, false));
    this.requests.dispatch();
    slot.release();
    return slot.state;
  }

  write(address: number, size: number, value: number): number {
    return this.access(IoRequestType.PORT, Direction.WRITE, address, size, value);
  }
}

const PORT: IoEventRequest = { isPort: true, address: 0x2010n, length: 2 };
const MATCHED: IoEventRequest = { ...PORT, data: 1n };

describe('an ioeventfd of two ports that matches data 1', () => {
  function machine(): { machine: Machine; event: LocalEvent } {
    const event = new LocalEvent();
    const made = new Machine();
    assert.equal(made.events.assign(MATCHED, event), 0);
    return { machine: made, event };
  }

  for (const [what, address, size, value, signals] of [
    ['a write of its width and its value signals', 0x2010, 2, 1, 1n],
    ['another value is swallowed', 0x2010, 2, 2, 0n],
    ['a narrower write of its value signals', 0x2010, 1, 1, 1n],
    ['a write to its second byte is swallowed', 0x2011, 1, 1, 0n],
  ] as const) {
    test(what, () => {
      const { machine: made, event } = machine();
      assert.equal(made.write(address, size, value), IoRequestState.FREE);
      assert.equal(event.read(), signals);
    });
  }

  test('a write wider than the entry does not match', () => {
    const { machine: made, event } = machine();
    assert.equal(made.write(0x2010, 4, 1), IoRequestState.PENDING);
    assert.equal(event.isReadable, false);
  });

  test('a read gives 0 and signals nothing', () => {
    const { machine: made, event } = machine();
    made.access(IoRequestType.PORT, Direction.READ, 0x2010, 2, 0x1234);
    assert.equal(made.buffer.slot(0).valueLow, 0);
    assert.equal(event.isReadable, false);
  });

  test('a read signals nothing even if any value matches', () => {
    const made = new Machine();
    const event = new LocalEvent();
    made.events.assign(PORT, event);
    made.access(IoRequestType.PORT, Direction.READ, 0x2010, 2);
    assert.equal(event.isReadable, false);
  });

  test('the same address in memory does not match', () => {
    const { machine: made } = machine();
    assert.equal(made.access(IoRequestType.MMIO, Direction.WRITE, 0x2010, 2, 1), IoRequestState.PENDING);
  });
});

describe('matching', () => {
  test('without data every value signals', () => {
    const made = new Machine();
    const event = new LocalEvent();
    made.events.assign(PORT, event);
    for (const value of [0, 1, 0xffff]) made.write(0x2010, 2, value);
    assert.equal(event.read(), 3n);
  });

  test('MMIO values are compared on 64 bits, with what lies above the access', () => {
    const made = new Machine();
    const event = new LocalEvent();
    made.events.assign({ isPort: false, address: 0x3000n, length: 8, data: 0x1_0000_0002n }, event);
    made.access(IoRequestType.MMIO, Direction.WRITE, 0x3000, 4, 2, 0);
    assert.equal(event.read(), 0n);
    made.access(IoRequestType.MMIO, Direction.WRITE, 0x3000, 8, 2, 1);
    assert.equal(event.read(), 1n);
  });

  test("a port's value is 32 bits, whatever the page holds above it", () => {
    const made = new Machine();
    const event = new LocalEvent();
    made.events.assign(MATCHED, event);
    made.access(IoRequestType.PORT, Direction.WRITE, 0x2010, 2, 1, 0x7777);
    assert.equal(event.read(), 1n);
  });

  test('an MMIO read gives 64 bits of 0', () => {
    const made = new Machine();
    made.events.assign({ isPort: false, address: 0x3000n, length: 8 }, new LocalEvent());
    made.access(IoRequestType.MMIO, Direction.READ, 0x3000, 8, -1, -1);
    assert.equal(made.buffer.slot(0).valueLow, 0);
    assert.equal(made.buffer.slot(0).valueHigh, 0);
  });

  test('of two events at one place the first registered gets the signal', () => {
    const made = new Machine();
    const first = new LocalEvent();
    const second = new LocalEvent();
    assert.equal(made.events.assign(PORT, first), 0);
    assert.equal(made.events.assign(PORT, second), 0);
    made.write(0x2010, 2, 5);
    assert.equal(first.read(), 1n);
    assert.equal(second.read(), 0n);
  });
});

describe('registration', () => {
  test('is shown under the number of its VM', () => {
    assert.equal(new Machine().events.name, 'ioeventfd-3');
  });

  test('widths 1, 2, 4 and 8 are possible, and no other', () => {
    const widths = Array.from({ length: 18 }, (_, length) => length).filter(
      (length) => new Machine().events.assign({ ...PORT, length }, new LocalEvent()) === 0,
    );
    assert.deepEqual(widths, [1, 2, 4, 8]);
  });

  for (const [what, request] of [
    ['an address that wraps', { isPort: false, address: 0xffff_ffff_ffff_ffffn, length: 4 }],
    ['length 0', { ...PORT, length: 0 }],
    ['length 3', { ...PORT, length: 3 }],
    ['length 16', { ...PORT, length: 16 }],
  ] as const) {
    test(`${what} is −EINVAL`, () => {
      assert.equal(new Machine().events.assign(request, new LocalEvent()), EINVAL);
    });
  }

  test('a range that ends exactly at 2^64 wraps too', () => {
    const request = { isPort: false, address: 0xffff_ffff_ffff_fffcn, length: 4 };
    assert.equal(new Machine().events.assign(request, new LocalEvent()), EINVAL);
  });

  for (const [what, first, second, result] of [
    ['equal data', MATCHED, MATCHED, EEXIST],
    ['a wildcard after data', MATCHED, PORT, EEXIST],
    ['data after a wildcard', PORT, MATCHED, EEXIST],
    ['equal data and another length', MATCHED, { ...MATCHED, length: 4 }, EEXIST],
    ['other data', MATCHED, { ...MATCHED, data: 2n }, 0],
    ['another address', PORT, { ...PORT, address: 0x2012n }, 0],
    ['the same address in memory', PORT, { ...PORT, isPort: false }, 0],
  ] as const) {
    test(`the same event again with ${what} is ${result}`, () => {
      const { events } = new Machine();
      const event = new LocalEvent();
      assert.equal(events.assign(first, event), 0);
      assert.equal(events.assign(second, event), result);
    });
  }

  test('the number of entries is limited', () => {
    const { events } = new Machine();
    for (let i = 0; i < 1024; i++) assert.equal(events.assign(PORT, new LocalEvent()), 0);
    assert.equal(events.assign(PORT, new LocalEvent()), ENOMEM);
  });
});

describe('removal', () => {
  test('compares only the event, oldest entry first, one at a time', () => {
    const { events, requests } = new Machine();
    const event = new LocalEvent();
    events.assign(PORT, event);
    events.assign({ isPort: false, address: 0x3000n, length: 4 }, event);
    assert.equal(events.deassign(event), 0);
    assert.deepEqual(
      requests.clients.ranges(events).map(({ type }) => type),
      [IoRequestType.MMIO],
    );
    events.deassign(event);
    assert.equal(events.size, 0);
  });

  test('of an event that is not registered returns 0, and leaves the others', () => {
    const { events } = new Machine();
    assert.equal(events.deassign(new LocalEvent()), 0);
    events.assign(PORT, new LocalEvent());
    assert.equal(events.deassign(new LocalEvent()), 0);
    assert.equal(events.size, 1);
  });

  test('the range of another event at the same place stays', () => {
    const made = new Machine();
    const gone = new LocalEvent();
    const stays = new LocalEvent();
    made.events.assign(PORT, gone);
    made.events.assign(PORT, stays);
    made.events.deassign(gone);
    made.write(0x2010, 2, 9);
    assert.equal(stays.read(), 1n);
  });

  test('the end of the VM releases every event', () => {
    const made = new Machine();
    made.events.assign(PORT, new LocalEvent());
    made.requests.close();
    assert.equal(made.events.size, 0);
  });
});
