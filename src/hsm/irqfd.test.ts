import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalEvent, MAX_LISTENERS } from './event-object.js';
import { IrqFds, type MsiMessage } from './irqfd.js';

const EBUSY = -16;
const ENOMEM = -12;
const MESSAGE: MsiMessage = { address: 0xfee0_0000, data: 0x41 };

function machine(): { irqs: IrqFds; injected: MsiMessage[] } {
  const injected: MsiMessage[] = [];
  return { irqs: new IrqFds((message) => injected.push(message)), injected };
}

test('each signal injects the message, and the counter is not read', () => {
  const { irqs, injected } = machine();
  const event = new LocalEvent();
  assert.equal(irqs.assign(event, MESSAGE), 0);
  assert.deepEqual(injected, []);
  event.signal();
  event.signal();
  assert.deepEqual(injected, [MESSAGE, MESSAGE]);
  assert.equal(event.read(), 2n);
});

test('an event that is readable already injects at once', () => {
  const { irqs, injected } = machine();
  const event = new LocalEvent();
  event.signal();
  irqs.assign(event, MESSAGE);
  assert.equal(injected.length, 1);
});

test('the same event twice is −EBUSY and does not inject again', () => {
  const { irqs, injected } = machine();
  const event = new LocalEvent();
  irqs.assign(event, MESSAGE);
  event.signal();
  assert.equal(irqs.assign(event, { address: 0xfee0_1000, data: 0x42 }), EBUSY);
  assert.deepEqual(injected, [MESSAGE]);
});

test('after removal the event is fully unhooked, and may come back', () => {
  const { irqs, injected } = machine();
  const event = new LocalEvent();
  irqs.assign(event, MESSAGE);
  assert.equal(irqs.deassign(event), 0);
  assert.equal(irqs.deassign(event), 0);
  event.signal();
  assert.deepEqual(injected, []);
  assert.equal(irqs.assign(event, MESSAGE), 0);
  assert.equal(injected.length, 1);
});

test('the removal of one event leaves the others', () => {
  const { irqs, injected } = machine();
  const [first, second, unknown] = [new LocalEvent(), new LocalEvent(), new LocalEvent()];
  irqs.assign(first, MESSAGE);
  irqs.assign(second, MESSAGE);
  assert.equal(irqs.deassign(unknown), 0);
  assert.equal(irqs.size, 2);
  irqs.deassign(first);
  assert.equal(irqs.size, 1);
  second.signal();
  assert.equal(injected.length, 1);
});

test('an event may come and go more often than it may have listeners', () => {
  const { irqs } = machine();
  const event = new LocalEvent();
  for (let i = 0; i <= MAX_LISTENERS; i++) {
    assert.equal(irqs.assign(event, MESSAGE), 0);
    irqs.deassign(event);
  }
});

test('an event that its last user closes removes itself', () => {
  const { irqs, injected } = machine();
  const event = new LocalEvent();
  irqs.assign(event, MESSAGE);
  event.close();
  assert.equal(irqs.size, 0);
  event.signal();
  assert.deepEqual(injected, []);
});

test('an injection may remove its own event', () => {
  const event = new LocalEvent();
  const injected: number[] = [];
  const irqs = new IrqFds(({ data }) => {
    injected.push(data);
    irqs.deassign(event);
  });
  irqs.assign(event, MESSAGE);
  event.signal();
  event.signal();
  assert.deepEqual(injected, [0x41]);
});

test('the end of the VM unhooks all, and there is a limit', () => {
  const { irqs, injected } = machine();
  const events = Array.from({ length: 1024 }, () => new LocalEvent());
  for (const event of events) assert.equal(irqs.assign(event, MESSAGE), 0);
  assert.equal(irqs.assign(new LocalEvent(), MESSAGE), ENOMEM);
  irqs.close();
  for (const event of events) event.signal();
  assert.deepEqual(injected, []);
});
