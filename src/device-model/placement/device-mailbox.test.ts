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

/** Makes `Date.now()` return `ms` while `act` runs. */
function at<Result>(ms: number, act: () => Result): Result {
  const { now } = Date;
  Date.now = () => ms;
  try {
    return act();
  } finally {
    Date.now = now;
  }
}

test('no part of the mailbox takes the place of another, with all of them in use at once', async () => {
  const mailbox = new DeviceMailbox();
  const thread = new DeviceMailbox(mailbox.buffer);
  assert.equal(mailbox.inside, undefined);
  // Both sides wait, so that both doorbells are rung.
  const waiting = thread.wait();
  const answered = mailbox.waitAnswer(() => false);
  const began = 0x1_8000_0002;
  at(began, () => thread.enter(5));
  const fields = (vcpu: number): typeof FIELDS & { sizeHigh: number } => ({
    ticket: 1000 + vcpu,
    type: 1,
    direction: 1,
    addressLow: -1 - vcpu,
    addressHigh: 0x100 + vcpu,
    size: 8,
    sizeHigh: 0x200 + vcpu,
    valueLow: 0x300 + vcpu,
    valueHigh: 0x400 + vcpu,
  });
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) mailbox.post(request(vcpu, fields(vcpu)), true);
  mailbox.control(MailboxControl.RESET | MailboxControl.PEEK);
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++)
    assert.equal(thread.answer(vcpu, 1000 + vcpu, 0x500 + vcpu, 0x600 + vcpu), true);
  await Promise.all([waiting, answered]);
  assert.deepEqual(
    at(began + 7, () => mailbox.inside),
    { vcpu: 5, ms: 7 },
  );
  const longMs = 2 ** 31 + 5;
  assert.equal(
    at(began + longMs, () => mailbox.inside?.ms),
    longMs,
  );
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) assert.equal(mailbox.isPending(vcpu), true);
  assert.equal(thread.takePending(), 0xffff);
  assert.equal(mailbox.isPending(0), false);
  assert.equal(thread.takeControl(), MailboxControl.RESET | MailboxControl.PEEK);
  const taken: number[][] = [];
  mailbox.takeAnswers((...answer) => taken.push(answer));
  for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
    assert.deepEqual(taken[vcpu], [vcpu, 1000 + vcpu, 0x500 + vcpu, 0x600 + vcpu]);
    const fetched = request(vcpu);
    assert.equal(thread.fetch(fetched), true);
    for (const [name, value] of Object.entries(fields(vcpu)))
      assert.equal(fetched[name as keyof typeof FIELDS], value, name);
  }
  assert.equal(taken.length, SLOT_COUNT);
  thread.leave();
  assert.equal(mailbox.inside, undefined);
});

test('each control is a bit of its own', () => {
  assert.deepEqual(MailboxControl, { RESET: 1, CLOSE: 2, PEEK: 4, RUNG: 8, RELOAD: 16 });
});

test('an answer that is half stored is not taken', () => {
  const mailbox = new DeviceMailbox();
  const thread = new DeviceMailbox(mailbox.buffer);
  const taken: number[][] = [];
  const take = (): void => mailbox.takeAnswers((...answer) => taken.push(answer));
  mailbox.post(request(3, { ticket: 7 }), true);
  thread.answer(3, 7, 1, 2);
  mailbox.post(request(3, { ticket: 8 }), true);
  // The other thread takes before the upper word of the next answer is stored.
  const high = {
    valueOf: () => {
      take();
      return 4;
    },
  };
  thread.answer(3, 8, 3, high as unknown as number);
  assert.deepEqual(taken, []);
  take();
  assert.deepEqual(taken, [[3, 8, 3, 4]]);
});

test('the wait for an answer ends with one, or when it is over', { timeout: 120_000 }, async () => {
  const mailbox = new DeviceMailbox();
  const thread = new DeviceMailbox(mailbox.buffer);
  let isOver = false;
  let ended = 0;
  const wait = async (): Promise<void> => {
    await mailbox.waitAnswer(() => isOver);
    ended++;
  };
  mailbox.post(request(3, { ticket: 7 }), true);
  const first = wait();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, 0);
  thread.answer(3, 7, 1, 2);
  await first;
  mailbox.takeAnswers(() => undefined);
  const second = wait();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(ended, 1);
  isOver = true;
  mailbox.wakeAnswers();
  await second;
});
