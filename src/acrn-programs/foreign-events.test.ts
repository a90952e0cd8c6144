import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LinuxEvents } from '../acrn-hsm/linux-events.js';
import { closeDescriptor, copyDescriptor } from '../host/node/linux/descriptors.js';
import { host } from '../host/current.js';
import { ForeignEvents } from './foreign-events.js';

const [events, fds] = [await LinuxEvents.load(), await host.openEventFds()];

test('an eventfd that two open files use is closed with the second one', { skip: events === undefined }, () => {
  if (events === undefined || fds === undefined) return;
  const fd = fds.create();
  const [one, other] = [0, 1].map(() => new ForeignEvents((own) => copyDescriptor(process.pid, own), events)) as [
    ForeignEvents,
    ForeignEvents,
  ];
  const event = one.lookup(fd);
  assert.ok(typeof event !== 'number');
  assert.equal(other.lookup(fd), event);
  assert.equal(other.lookup(fd), event);
  one.close();
  assert.equal(event.isClosed, false);
  event.signal();
  assert.equal(fds.read(fd), 1n);
  other.close();
  assert.equal(event.isClosed, true);
  closeDescriptor(fd);
});
