import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { IoRequestState } from '../io-request/state.js';
import { Assignments } from './assignments.js';
import { Keeper } from './fixtures/one-vm.js';

interface Machine {
  readonly buffer: SharedBuffer;
  readonly assignments: Assignments;
  readonly refused: number[][];
}

function machine({ vcpuCount = 16, result = 0 } = {}): Machine {
  const buffer = new SharedBuffer();
  const refused: number[][] = [];
  const assignments = new Assignments({
    buffer,
    hypercalls: { vcpuCount, notifyRequestFinish: () => result },
    onRefused: (...refusal) => refused.push(refusal),
  });
  return { buffer, assignments, refused };
}

/** A request of `vcpu`, assigned to `client`. Returns its ticket. */
function assigned({ buffer, assignments }: Machine, vcpu: number, client: Keeper): number {
  const slot = buffer.slot(vcpu);
  assert.ok(slot.fill(0, 0, 0x500, 0, 1, 0, 0, false));
  const assignment = assignments.of(vcpu);
  slot.copyTo(assignment.request);
  return assignment.assign(client, false);
}

describe('the assignments of a VM', () => {
  test('are one for each slot, of which its vCPUs use the first', () => {
    const { buffer, assignments } = machine({ vcpuCount: 3 });
    assert.deepEqual(
      assignments.used.map(({ vcpu }) => vcpu),
      [0, 1, 2],
    );
    assert.equal(assignments.of(15).slot, buffer.slot(15));
  });

  test('of a client are one bit per slot, until they are finished', () => {
    const one = machine();
    const [a, b] = [new Keeper('a'), new Keeper('b')];
    const tickets = new Map([0, 1, 2, 15].map((vcpu) => [vcpu, assigned(one, vcpu, vcpu === 1 ? b : a)]));
    const { assignments } = one;
    assert.equal(assignments.slotsOf(a), 0b1000_0000_0000_0101);
    assert.equal(assignments.slotsOf(b), 0b10);
    assert.equal(assignments.of(2).finish(tickets.get(2) ?? 0, 0, 0), true);
    assert.equal(assignments.slotsOf(a), 0b1000_0000_0000_0001);
  });

  test('of a client are finished together, and those of another are not', () => {
    const one = machine();
    const [a, b] = [new Keeper('a'), new Keeper('b')];
    for (const vcpu of [0, 1, 2]) assigned(one, vcpu, vcpu === 1 ? b : a);
    one.assignments.finishAllOf(a);
    assert.deepEqual(
      [0, 1, 2].map((vcpu) => one.buffer.slot(vcpu).state),
      [IoRequestState.COMPLETE, IoRequestState.PROCESSING, IoRequestState.COMPLETE],
    );
  });

  test('are finished as they are only for their owner, with the hypercall’s result', () => {
    const one = machine({ result: -1 });
    const [owner, other] = [new Keeper('owner'), new Keeper('other')];
    assigned(one, 0, owner);
    const { assignments, refused } = one;
    assert.equal(assignments.finishAsIs(other, 0), 0);
    assert.equal(one.buffer.slot(0).state, IoRequestState.PROCESSING);
    assert.equal(assignments.finishAsIs(owner, 0), -1);
    assert.equal(one.buffer.slot(0).state, IoRequestState.COMPLETE);
    assert.deepEqual(refused, [[0, -1]]);
  });

  test('are all withdrawn but the one that a thread is finishing', () => {
    const one = machine();
    const client = new Keeper('client');
    for (const vcpu of [0, 1, 2]) assigned(one, vcpu, client);
    const { assignments } = one;
    const ticket = assignments.tickets.load(1);
    assignments.tickets.store(1, -ticket);
    assert.equal(assignments.withdraw(), false);
    assert.deepEqual(
      [0, 1, 2].map((vcpu) => assignments.of(vcpu).isAssigned),
      [false, true, false],
    );
    assignments.tickets.store(1, 0);
    assert.equal(assignments.withdraw(), true);
  });

  test('need no receiver for refused hypercalls', () => {
    const { assignments } = machine();
    const quiet = new Assignments({
      buffer: new SharedBuffer(),
      hypercalls: { vcpuCount: 1, notifyRequestFinish: () => -1 },
    });
    assert.equal(quiet.finisher.notify(0), -1);
    assert.equal(assignments.finisher.notify(0), 0);
  });
});
