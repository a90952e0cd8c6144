import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalEvent, MAX_LISTENERS } from './event-object.js';
import type { MessageEvents } from '../hypervisor/message-events.js';
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

/** An event that stands for an eventfd of the system. */
class SystemEvent extends LocalEvent {
  readonly fd = 7;
}

/** A hypervisor that takes eventfds, or refuses them. */
function takingMachine(takes: boolean): { irqs: IrqFds; injected: MsiMessage[]; calls: string[] } {
  const injected: MsiMessage[] = [];
  const calls: string[] = [];
  const hypervisor: MessageEvents = {
    assign: (fd, address, data) => {
      calls.push(`assign ${fd} 0x${address.toString(16)} 0x${data.toString(16)}`);
      return takes ? () => calls.push('end') : undefined;
    },
  };
  return { irqs: new IrqFds((message) => injected.push(message), hypervisor), injected, calls };
}

test('an eventfd that the hypervisor takes injects nothing here, until it is removed', () => {
  const { irqs, injected, calls } = takingMachine(true);
  const event = new SystemEvent();
  event.signal();
  assert.equal(irqs.assign(event, MESSAGE), 0);
  event.signal();
  assert.equal(irqs.assign(event, MESSAGE), EBUSY);
  assert.deepEqual(calls, ['assign 7 0xfee00000 0x41']);
  irqs.deassign(event);
  irqs.deassign(event);
  event.signal();
  assert.deepEqual(calls, ['assign 7 0xfee00000 0x41', 'end']);
  assert.deepEqual(injected, []);
});

test('an eventfd that the hypervisor took ends with its last user, and with the VM', () => {
  const { irqs, calls } = takingMachine(true);
  const [first, second] = [new SystemEvent(), new SystemEvent()];
  irqs.assign(first, MESSAGE);
  irqs.assign(second, MESSAGE);
  first.close();
  assert.deepEqual(calls.slice(2), ['end']);
  irqs.close();
  assert.deepEqual(calls.slice(2), ['end', 'end']);
});

test('an eventfd that the hypervisor refuses is listened to, and injects once if it is readable', () => {
  const { irqs, injected, calls } = takingMachine(false);
  const event = new SystemEvent();
  event.signal();
  assert.equal(irqs.assign(event, MESSAGE), 0);
  assert.deepEqual([calls.length, injected.length], [1, 1]);
  event.signal();
  assert.equal(injected.length, 2);
  irqs.deassign(event);
  event.signal();
  assert.equal(injected.length, 2);
});

test('the hypervisor is not asked for an event of this process, nor above the limit', () => {
  const { irqs, calls } = takingMachine(true);
  for (let i = 0; i < 1024; i++) irqs.assign(new LocalEvent(), MESSAGE);
  assert.equal(irqs.assign(new SystemEvent(), MESSAGE), ENOMEM);
  assert.deepEqual(calls, []);
});
