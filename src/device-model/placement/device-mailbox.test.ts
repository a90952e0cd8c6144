import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssignedRequest } from '../../hsm/assigned-request.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import { DeviceMailbox, MailboxControl } from './device-mailbox.js';

function request(vcpu: number, fields: Partial<AssignedRequest> = {}): AssignedRequest {
  return Object.assign(new AssignedRequest(vcpu, { finish: () => false }), fields);
}

const FIELDS = {
  ticket: 0x7fff_ffff,
  type: 1,
  direction: 1,
  addressLow: -1,
  addressHigh: 0xf,
  size: 8,
  valueLow: -2,
  valueHigh: 0x1234_5678,
};

test('a request arrives at the other view of the mailbox as it was posted', () => {
  const mailbox = new DeviceMailbox();
  const other = new DeviceMailbox(mailbox.buffer);
  mailbox.post(request(15, FIELDS));
  assert.equal(other.takePending(), 1 << 15);
  const fetched = request(15);
  other.fetch(fetched);
  for (const [name, value] of Object.entries(FIELDS)) assert.equal(fetched[name as keyof typeof FIELDS], value, name);
});

test('each slot has its own place, and all of them can have a request at once', () => {
  const mailbox = new DeviceMailbox();
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) mailbox.post(request(vcpu, { ticket: 100 + vcpu, valueLow: vcpu }));
  assert.equal(mailbox.takePending(), 0xffff);
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
    const fetched = request(vcpu);
    mailbox.fetch(fetched);
    assert.deepEqual([fetched.ticket, fetched.valueLow], [100 + vcpu, vcpu]);
  }
});

test('pending bits and control bits are taken once', () => {
  const mailbox = new DeviceMailbox();
  mailbox.post(request(3));
  mailbox.control(MailboxControl.RESET);
  mailbox.control(MailboxControl.CLOSE);
  assert.deepEqual([mailbox.takePending(), mailbox.takePending()], [8, 0]);
  assert.deepEqual([mailbox.takeControl(), mailbox.takeControl()], [3, 0]);
});

test('a waiting device thread is woken by a request and by a control bit', { timeout: 120_000 }, async () => {
  const mailbox = new DeviceMailbox();
  const keepAlive = setInterval(() => undefined, 1000);
  for (const wake of [() => mailbox.post(request(0)), () => mailbox.control(MailboxControl.RESET)]) {
    const waiting = mailbox.wait();
    setImmediate(wake);
    assert.equal(await waiting, true);
    assert.equal(mailbox.takePending() + mailbox.takeControl(), 1);
  }
  clearInterval(keepAlive);
});

test('a half-posted request is not fetched', () => {
  const mailbox = new DeviceMailbox();
  const fetched = request(3);
  assert.equal(mailbox.fetch(fetched), false, 'nothing was posted there');
  mailbox.post(request(3, FIELDS));
  assert.equal(mailbox.fetch(fetched), true);
  assert.equal(fetched.ticket, FIELDS.ticket);
  // A post that is read in its middle: while the fields change there is no ticket.
  const seen: boolean[] = [];
  const halfway = Object.defineProperty(request(3), 'valueLow', {
    get: () => seen.push(mailbox.fetch(fetched)),
  });
  halfway.ticket = 5;
  mailbox.post(halfway);
  assert.deepEqual(seen, [false]);
  assert.equal(mailbox.fetch(fetched), true);
});

test('an answer has the ticket of its request, also when the next request is posted before it is taken', () => {
  const mailbox = new DeviceMailbox();
  const thread = new DeviceMailbox(mailbox.buffer);
  const taken: number[][] = [];
  const take = (): void => mailbox.takeAnswers((...answer) => taken.push(answer));
  mailbox.post(request(3, { ticket: 7 }), true);
  assert.equal(thread.answer(3, 7, 1, 2), true);
  mailbox.post(request(3, { ticket: 8 }), true);
  take();
  assert.equal(thread.answer(3, 7, 1, 2), false);
  assert.equal(thread.answer(3, 8, 3, 4), true);
  take();
  take();
  assert.deepEqual(taken, [
    [3, 7, 1, 2],
    [3, 8, 3, 4],
  ]);
  mailbox.post(request(3, { ticket: 9 }));
  assert.equal(thread.answer(3, 9, 5, 6), false);
});
