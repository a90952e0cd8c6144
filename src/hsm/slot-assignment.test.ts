import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { Assignments } from './assignments.js';

/**
 * Slot 2 with a read of port 0x60, assigned to a client that finishes `here` or in a thread of its
 * own.
 */
function assigned(here: boolean, polling = false) {
  const buffer = new SharedBuffer();
  const notified: number[] = [];
  const hypercalls = { vcpuCount: 4, notifyRequestFinish: (vcpu: number) => notified.push(vcpu) };
  const assignments = new Assignments({ buffer, hypercalls });
  const assignment = assignments.of(2);
  const { slot } = assignment;
  assert.ok(slot.fill(IoRequestType.PORT, Direction.READ, 0x60, 0, 1, 0x11, 0x22, polling));
  slot.copyTo(assignment.request);
  const client = { name: 'client', notify: () => undefined, ...(here ? {} : { connect: () => undefined }) };
  const ticket = assignment.assign(client, true);
  assert.ok(ticket > 0);
  return { assignments, assignment, client, slot, ticket, notified };
}

for (const [where, here] of [
  ['in the Service VM’s thread', true],
  ['in a thread of its own', false],
] as const)
  describe(`a request whose client answers ${where}`, () => {
    test('is completed by the answer with its ticket, once, and its vCPU is woken', () => {
      const { assignment, slot, ticket, notified } = assigned(here);
      assert.equal(assignment.request.finish(ticket, 0x5a, -1), true);
      assert.deepEqual([slot.state, slot.valueLow, slot.valueHigh], [IoRequestState.COMPLETE, 0x5a, 0x22]);
      assert.deepEqual([assignment.currentTicket, notified], [0, [2]]);
      assert.equal(assignment.request.finish(ticket, 0x66, 0), false);
      assert.deepEqual([slot.valueLow, notified], [0x5a, [2]]);
    });

    test('is completed without a hypercall if its vCPU polls', () => {
      const { assignment, slot, ticket, notified } = assigned(here, true);
      assert.equal(assignment.request.finish(ticket, 1, 0), true);
      assert.deepEqual([slot.state, notified], [IoRequestState.COMPLETE, []]);
    });

    test('is not completed by an answer with another ticket, a ticket that was taken, or 0', () => {
      const { assignments, assignment, slot, ticket } = assigned(here);
      for (const other of [ticket + 1, 0, -ticket]) assert.equal(assignment.request.finish(other, 1, 0), false);
      assignments.tickets.store(2, -ticket);
      for (const other of [ticket, -ticket]) assert.equal(assignment.request.finish(other, 1, 0), false);
      assignments.tickets.store(2, 0);
      for (const other of [ticket, 0]) assert.equal(assignment.request.finish(other, 1, 0), false);
      assert.equal(slot.state, IoRequestState.PROCESSING);
    });

    test('keeps the value in the page when its owner, and only its owner, finishes it as it is', () => {
      const { assignments, client, slot, notified } = assigned(here);
      assert.equal(assignments.finishAsIs({ name: 'other', notify: () => undefined }, 2), 0);
      assert.equal(slot.state, IoRequestState.PROCESSING);
      assert.equal(assignments.finishAsIs(client, 2), 1, 'the result of the hypercall');
      assert.deepEqual([slot.state, slot.valueLow, notified], [IoRequestState.COMPLETE, 0x11, [2]]);
      assert.equal(assignments.slotsOf(client), 0);
    });

    test('is not completed by an answer after a reset', () => {
      const { assignments, assignment, client, slot, ticket } = assigned(here);
      assert.equal(assignments.slotsOf(client), 1 << 2);
      assert.equal(assignments.withdraw(), true);
      assert.equal(assignment.request.finish(ticket, 1, 0), false);
      assert.deepEqual([slot.state, assignment.owner], [IoRequestState.PROCESSING, undefined]);
    });
  });

describe('a request that is finished in place of its owner', () => {
  /** Its client has a thread of its own, which is running or has ended. */
  function finishedForced(isRunning: boolean, prepare: (vm: ReturnType<typeof assigned>) => void = () => undefined) {
    const vm = assigned(false);
    const { assignment } = vm;
    assignment.owner = { name: 'client', notify: () => undefined, isRunning };
    prepare(vm);
    assignment.finishForced();
    return vm;
  }

  test('is completed as all ones and has no owner and no ticket afterwards, whether or not the owner runs', () => {
    for (const isRunning of [true, false]) {
      const { assignment, slot, notified } = finishedForced(isRunning);
      assert.deepEqual([slot.state, slot.valueLow, notified], [IoRequestState.COMPLETE, -1, [2]]);
      assert.deepEqual([assignment.owner, assignment.currentTicket], [undefined, 0]);
    }
  });

  test('is left to a running thread that has taken its ticket', () => {
    const { assignment, slot, ticket, notified } = finishedForced(true, ({ assignments, ticket: taken }) =>
      assignments.tickets.store(2, -taken),
    );
    assert.deepEqual([slot.state, notified], [IoRequestState.PROCESSING, []]);
    assert.deepEqual([assignment.owner?.name, assignment.currentTicket], ['client', -ticket]);
  });

  test('wakes the vCPU if the thread died after it completed the slot', () => {
    const { assignment, slot, notified } = finishedForced(false, ({ assignments, ticket, slot: own }) => {
      assignments.tickets.store(2, -ticket);
      own.complete();
    });
    assert.deepEqual([slot.state, notified, assignment.currentTicket], [IoRequestState.COMPLETE, [2], 0]);
    assert.equal(assignment.owner, undefined);
  });

  test('has both words of an 8-byte load as ones, if its thread died before it completed the slot', () => {
    const buffer = new SharedBuffer();
    const hypercalls = { vcpuCount: 1, notifyRequestFinish: () => 0 };
    const assignments = new Assignments({ buffer, hypercalls });
    const assignment = assignments.of(0);
    const { slot } = assignment;
    slot.fill(IoRequestType.MMIO, Direction.READ, 0x1000, 0, 8, 1, 2, false);
    slot.copyTo(assignment.request);
    const client = { name: 'client', notify: () => undefined, connect: () => undefined, isRunning: false };
    assignments.tickets.store(0, -assignment.assign(client, true));
    assignment.finishForced();
    assert.deepEqual([slot.state, slot.valueLow, slot.valueHigh], [IoRequestState.COMPLETE, -1, -1]);
  });
});

test('while it completes a slot, a client in a thread of its own keeps the ticket as taken; one in this thread does not', () => {
  for (const [here, expected] of [
    [true, 0],
    [false, -1],
  ] as const) {
    const { assignments, assignment, ticket, notified } = assigned(here);
    const tickets: number[] = [];
    const push = notified.push.bind(notified);
    notified.push = (vcpu) => {
      tickets.push(assignments.tickets.load(2));
      return push(vcpu);
    };
    assert.equal(assignment.request.finish(ticket, 1, 0), true);
    assert.deepEqual(tickets, [expected * ticket]);
  }
});

test('a slot that is not PENDING is not assigned: no ticket is valid', () => {
  for (const connects of [true, false]) {
    const assignments = new Assignments({
      buffer: new SharedBuffer(),
      hypercalls: { vcpuCount: 1, notifyRequestFinish: () => 0 },
    });
    const assignment = assignments.of(0);
    assert.equal(assignment.watchedTicket, 0);
    const client = { name: 'client', notify: () => undefined, ...(connects ? { connect: () => undefined } : {}) };
    assert.equal(assignment.assign(client, true), 0);
    assert.deepEqual([assignment.currentTicket, assignment.isAssigned], [0, false]);
  }
});
