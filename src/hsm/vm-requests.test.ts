import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Direction, IoRequestType } from '../io-request/layout.js';
import { SharedWords } from '../sync/shared-words.js';
import { IoRequestState } from '../io-request/state.js';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { mmio, ports } from './address-range.js';
import { answering, Keeper, OneVm } from './fixtures/one-vm.js';
import type { IoClient } from './io-client.js';
import type { ClientFinisher } from './request-finisher.js';
import { CLEAR_ROUNDS, CLEAR_SLEEP_MS } from './clear-wait.js';

const { FREE, PENDING, PROCESSING, COMPLETE } = IoRequestState;
const { WRITE } = Direction;
const { MMIO, WRITE_PROTECT } = IoRequestType;
const EINVAL = -22;

function withDefault(options: ConstructorParameters<typeof OneVm>[0] = {}): { vm: OneVm; client: Keeper } {
  const vm = new OneVm(options);
  const client = new Keeper('default');
  assert.equal(vm.requests.clients.addDefault(client), 0);
  return { vm, client };
}

describe('dispatch', () => {
  test('assigns each PENDING slot, in vCPU order, to the client whose range contains it', () => {
    const { vm, client } = withDefault();
    const narrow = new Keeper('narrow');
    vm.requests.clients.add(narrow, [ports(0x500, 4)]);
    vm.fill(3, { address: 0x503 });
    vm.fill(1, { address: 0x502, size: 4 });
    vm.fill(0, { address: 0x500, direction: WRITE, value: 0x41 });
    assert.equal(vm.requests.dispatch(), 0);
    assert.deepEqual(vm.dispatched, [
      '0 write port 0x500/1 = 0x41 to narrow',
      '1 read port 0x502/4 to default',
      '3 read port 0x503/1 to narrow',
    ]);
    assert.deepEqual(vm.states().slice(0, 5), [PROCESSING, PROCESSING, FREE, PROCESSING, FREE]);
    assert.deepEqual([narrow.kept.length, client.kept.length], [2, 1]);
    assert.equal(vm.requests.assignments.slotsOf(narrow), 0b1001);
  });

  test('kernel_handled is 1 for a client of its own range and 0 for the default client', () => {
    const { vm } = withDefault();
    vm.requests.clients.add(new Keeper('kernel'), [ports(0x500, 1)]);
    const kernel = vm.fill(0);
    const user = vm.fill(1, { address: 0x501 });
    vm.requests.dispatch();
    assert.deepEqual([kernel.kernelHandled, user.kernelHandled], [1, 0]);
  });

  test('polls only the slots of the VM’s vCPUs (X-K34)', () => {
    const { vm, client } = withDefault({ vcpuCount: 2 });
    vm.fill(2);
    vm.fill(15);
    assert.equal(vm.requests.work.ordered(), false);
    vm.requests.dispatch();
    assert.equal(client.kept.length, 0);
    assert.deepEqual([vm.buffer.slot(2).state, vm.buffer.slot(15).state], [PENDING, PENDING]);
  });

  test('skips every state but PENDING, and invalid states', () => {
    const { vm, client } = withDefault();
    const words = new SharedWords(vm.buffer.page);
    for (const state of [PROCESSING, COMPLETE, FREE, 4, -1, 0x7fff_ffff]) {
      words.store(136 >> 2, state);
      vm.requests.dispatch();
      assert.equal(vm.buffer.slot(0).state, state);
    }
    assert.equal(client.kept.length, 0);
  });

  test('a write-protect fault goes to the default client', () => {
    const { vm, client } = withDefault();
    vm.requests.clients.add(new Keeper('memory'), [mmio(0, 0x10_0000)]);
    vm.fill(0, { type: WRITE_PROTECT, direction: WRITE, address: 0x1000, size: 4, value: 7 });
    vm.requests.dispatch();
    assert.equal(client.kept[0]?.text, 'write write-protect 0x1000/4 = 0x7');
  });

  test('an answer puts the value into the page, completes the slot and makes one hypercall', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(2, { size: 4 });
    vm.requests.dispatch();
    assert.equal(client.answer(0x1234_5678, 0x55), true);
    assert.deepEqual([slot.state, slot.valueLow, slot.valueHigh], [COMPLETE, 0x1234_5678, 0]);
    assert.deepEqual(vm.notified, [2]);
    assert.equal(vm.requests.assignments.of(2).isAssigned, false);
  });

  test('an MMIO answer has both words, and the answer to a write leaves the value unchanged', () => {
    const { vm, client } = withDefault();
    const read = vm.fill(0, { type: MMIO, address: 0x1_0000_0000, size: 8 });
    const write = vm.fill(1, { type: MMIO, direction: WRITE, address: 0xd000_0000, size: 8, value: 3, valueHigh: 4 });
    vm.requests.dispatch();
    client.answer(-1, 0x7fff_ffff);
    client.answer(99, 99);
    assert.deepEqual([read.valueLow, read.valueHigh], [-1, 0x7fff_ffff]);
    assert.deepEqual([write.valueLow, write.valueHigh], [3, 4]);
  });

  test('for a slot that polls for completion no hypercall is made', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0, { polling: true });
    vm.requests.dispatch();
    client.answer(1);
    assert.equal(slot.state, COMPLETE);
    assert.deepEqual(vm.notified, []);
  });

  test('a refused completion hypercall is reported to the operator', () => {
    const { vm, client } = withDefault();
    vm.notifyResult = -1;
    vm.fill(0);
    vm.requests.dispatch();
    client.answer();
    assert.deepEqual(vm.events, [{ kind: 'notify-failed', vmId: 1, vcpu: 0, result: -1 }]);
  });

  test('a client sees the HSM’s copy, which a later write to the page does not change', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0, { direction: WRITE, size: 2, value: 0x1234 });
    vm.requests.dispatch();
    const words = new SharedWords(vm.buffer.page);
    for (const offset of [0, 64, 72, 80, 88]) words.store(offset >> 2, 0);
    assert.equal(client.kept[0]?.request.describe(), 'write port 0x500/2 = 0x1234');
    client.answer(0x77);
    assert.equal(slot.valueLow, 0, 'it was a write, whatever the page says now');
  });
});

describe('a request without a client', () => {
  test('ends the pass with −EINVAL, and the VM’s remaining slots are skipped', () => {
    const vm = new OneVm();
    const kernel = new Keeper('kernel');
    vm.requests.clients.add(kernel, [ports(0x500, 1)]);
    vm.fill(0);
    vm.fill(1, { address: 0x600 });
    vm.fill(2);
    assert.equal(vm.requests.dispatch(), EINVAL);
    assert.deepEqual(vm.states().slice(0, 3), [PROCESSING, PENDING, PENDING]);
    assert.deepEqual(vm.events, [{ kind: 'no-client', vmId: 1, vcpu: 1 }]);
  });

  test('does not keep the worker awake, and a new client does not bring a new pass', () => {
    const vm = new OneVm();
    vm.fill(0);
    assert.equal(vm.requests.work.ordered(), true);
    vm.requests.dispatch();
    assert.equal(vm.requests.work.ordered(), false);
    const client = new Keeper('default');
    vm.requests.clients.addDefault(client);
    assert.equal(vm.requests.work.ordered(), false);
    assert.equal(client.kept.length, 0);
    assert.equal(vm.requests.dispatch(), 0);
    assert.equal(client.kept.length, 1);
  });

  test('does not hide a later request of another vCPU, whose upcall brings the next pass', () => {
    const { vm, client } = { vm: new OneVm(), client: new Keeper('default') };
    vm.fill(0);
    vm.requests.dispatch();
    vm.requests.clients.addDefault(client);
    vm.fill(1);
    assert.equal(vm.requests.work.ordered(), true);
    vm.requests.dispatch();
    assert.equal(client.kept.length, 2);
  });

  test('does not hide the first request of its vCPU after a reset', () => {
    const vm = new OneVm();
    vm.fill(0);
    vm.requests.dispatch();
    vm.buffer.stampFree();
    vm.requests.withdraw();
    vm.fill(0);
    assert.equal(vm.requests.work.ordered(), true);
  });
});

describe('the default client', () => {
  test('a second one is refused with −EEXIST', () => {
    const { vm, client } = withDefault();
    assert.equal(vm.requests.clients.addDefault(new Keeper('second')), -17);
    assert.equal(vm.requests.clients.default, client);
  });

  test('NOTIFY completes its slot with the value in the page', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(1, { value: 5 });
    vm.requests.dispatch();
    slot.setValue(0x42);
    assert.equal(vm.requests.finishDefault(1), 0);
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, 0x42]);
    assert.deepEqual(vm.notified, [1]);
    assert.equal(client.answer(9), false, 'the ticket is taken');
  });

  test('NOTIFY checks the vCPU, does nothing without a default client, and returns the hypercall’s result', () => {
    assert.equal(new OneVm().requests.finishDefault(99), 0);
    const { vm } = withDefault();
    assert.equal(vm.requests.finishDefault(4), EINVAL);
    assert.equal(vm.requests.finishDefault(16), EINVAL);
    vm.fill(0);
    vm.requests.dispatch();
    vm.notifyResult = -1;
    assert.equal(vm.requests.finishDefault(0), -1);
  });

  test('NOTIFY changes no slot that the default client does not own', () => {
    const { vm } = withDefault();
    vm.requests.clients.add(new Keeper('kernel'), [ports(0x500, 1)]);
    vm.fill(0);
    vm.requests.dispatch();
    vm.fill(1);
    assert.deepEqual(
      [0, 1, 2].map((vcpu) => vm.requests.finishDefault(vcpu)),
      [0, 0, 0],
    );
    assert.deepEqual(vm.states().slice(0, 3), [PROCESSING, PENDING, FREE]);
  });

  test('a second NOTIFY changes nothing', () => {
    const { vm } = withDefault();
    const slot = vm.fill(0);
    vm.requests.dispatch();
    vm.requests.finishDefault(0);
    slot.release();
    assert.equal(vm.requests.finishDefault(0), 0);
    assert.equal(slot.state, FREE);
    assert.deepEqual(vm.notified, [0]);
  });
});

describe('CLEAR', () => {
  /** A VM whose sleeps are counted, and during which `meanwhile` happens. */
  function clearing(meanwhile: (vm: OneVm, sleeps: number) => void = () => undefined): { vm: OneVm; sleeps: number[] } {
    const sleeps: number[] = [];
    const vm = new OneVm({
      sleep: (ms) => {
        sleeps.push(ms);
        meanwhile(vm, sleeps.length);
        return Promise.resolve();
      },
    });
    return { vm, sleeps };
  }

  test('with a stuck client sleeps ten times 10 ms, warns once, and completes the default client’s requests (vector 10)', async () => {
    const { vm, sleeps } = clearing();
    const stuck = new Keeper('stuck', ports(0x600, 1));
    const user = new Keeper('default');
    vm.requests.clients.addDefault(user);
    vm.requests.clients.add(stuck, stuck.ranges);
    const kernelSlot = vm.fill(0, { address: 0x600 });
    const userSlot = vm.fill(1, { value: 0x33 });
    vm.requests.dispatch();
    await vm.requests.clear();
    assert.deepEqual(
      sleeps,
      Array.from({ length: CLEAR_ROUNDS }, () => CLEAR_SLEEP_MS),
    );
    assert.deepEqual([CLEAR_ROUNDS, CLEAR_SLEEP_MS], [10, 10]);
    assert.deepEqual(vm.events, [{ kind: 'flush-timeout', vmId: 1, client: 'stuck' }]);
    assert.deepEqual([kernelSlot.state, userSlot.state, userSlot.valueLow], [PROCESSING, COMPLETE, 0x33]);
    assert.equal(user.answer(1), false);
    assert.equal(stuck.answer(1), true);
  });

  test('waits no longer than the clients need, and not at all without a busy client', async () => {
    const busy = new Keeper('busy', ports(0x600, 1));
    const { vm, sleeps } = clearing((_, count) => {
      if (count === 3) busy.answer(7);
    });
    vm.requests.clients.add(busy, busy.ranges);
    await vm.requests.clear();
    assert.deepEqual(sleeps, []);
    vm.fill(0, { address: 0x600 });
    vm.requests.dispatch();
    await vm.requests.clear();
    assert.equal(sleeps.length, 3);
    assert.deepEqual(vm.events, []);
  });

  test('completes new requests unhandled while it waits, and dispatches them again afterwards', async () => {
    const stuck = new Keeper('stuck', ports(0x600, 1));
    const { vm } = clearing((one, count) => {
      if (count !== 1) return;
      one.fill(1, { value: 0x77 });
      one.fill(2, { polling: true });
      one.requests.dispatch();
    });
    const user = new Keeper('default');
    vm.requests.clients.addDefault(user);
    vm.requests.clients.add(stuck, stuck.ranges);
    vm.fill(0, { address: 0x600 });
    vm.requests.dispatch();
    await vm.requests.clear();
    assert.deepEqual([vm.buffer.slot(1).state, vm.buffer.slot(1).valueLow], [COMPLETE, 0x77]);
    assert.deepEqual(vm.notified, [1], 'no hypercall for the slot that polls');
    assert.equal(user.kept.length, 0);
    vm.fill(3);
    vm.requests.dispatch();
    assert.equal(user.kept.length, 1);
  });

  test('without an injected sleep waits in real time', async () => {
    const vm = new OneVm();
    const stuck = new Keeper('stuck', ports(0x500, 1));
    vm.requests.clients.add(stuck, stuck.ranges);
    vm.fill(0);
    vm.requests.dispatch();
    const start = performance.now();
    await vm.requests.clear();
    assert.ok(performance.now() - start >= 95);
  });
});

describe('tickets', () => {
  test('of two answers to one request the second is too late', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0);
    vm.requests.dispatch();
    const kept = client.kept[0];
    assert.ok(kept);
    assert.equal(kept.request.finish(kept.ticket, 1), true);
    assert.equal(kept.request.finish(kept.ticket, 2), false);
    assert.equal(kept.request.finishAllOnes(kept.ticket), false);
    assert.equal(slot.valueLow, 1);
    assert.deepEqual(vm.notified, [0]);
  });

  test('a late answer never reaches a later request in the same slot', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0);
    vm.requests.dispatch();
    const late = client.kept[0];
    assert.ok(late);
    vm.requests.clients.finishAllOf(client);
    slot.release();
    vm.fill(0, { address: 0x501, value: 5 });
    vm.requests.dispatch();
    assert.notEqual(client.kept[1]?.ticket, late.ticket);
    assert.equal(late.request.finish(late.ticket, 0x99), false);
    assert.deepEqual([slot.state, slot.valueLow], [PROCESSING, 5]);
  });

  test('0 is not a valid ticket', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0);
    vm.requests.dispatch();
    vm.requests.withdraw();
    assert.equal(client.kept[0]?.request.finish(0, 1), false);
    assert.equal(slot.state, PROCESSING);
  });

  test('after a reset withdrew it, and after CLEAR, an answer changes nothing', async () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0);
    vm.requests.dispatch();
    vm.requests.withdraw();
    slot.stampFree();
    assert.equal(client.answer(1), false);
    assert.equal(slot.state, FREE);
    vm.fill(0, { value: 3 });
    vm.requests.dispatch();
    await vm.requests.clear();
    assert.equal(client.answer(1), false);
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, 3]);
    assert.deepEqual(vm.notified, [0]);
  });
});

describe('a removed client', () => {
  test('has its requests finished as all ones and its range falls to the default client', () => {
    const { vm, client } = withDefault();
    const kernel = new Keeper('kernel', ports(0x500, 1), mmio(0xd000_0000, 0x1000));
    vm.requests.clients.add(kernel, kernel.ranges);
    const port = vm.fill(0);
    const wide = vm.fill(1, { type: MMIO, address: 0xd000_0000, size: 8 });
    const write = vm.fill(2, { direction: WRITE, value: 0x12 });
    const other = vm.fill(3, { address: 0x600 });
    vm.requests.dispatch();
    vm.requests.clients.destroy(kernel);
    assert.deepEqual([port.valueLow, wide.valueLow, wide.valueHigh, write.valueLow], [-1, -1, -1, 0x12]);
    assert.deepEqual(vm.states().slice(0, 4), [COMPLETE, COMPLETE, COMPLETE, PROCESSING]);
    assert.equal(kernel.disconnects, 1);
    assert.equal(kernel.answer(1), false);
    assert.deepEqual(vm.requests.clients.all, []);
    port.release();
    vm.fill(0);
    vm.requests.dispatch();
    assert.equal(client.kept.length, 2);
    assert.equal(other.state, PROCESSING);
  });

  test('a request whose ticket its thread took before it died is still completed', () => {
    const vm = new OneVm({
      hypercalls: {
        vcpuCount: 4,
        notifyRequestFinish: () => 0,
        shared: new VmSharedState(),
      },
    });
    let finisher: ClientFinisher | undefined;
    const dying: IoClient = { name: 'dying', notify: () => undefined, connect: (given) => void (finisher = given) };
    vm.requests.clients.add(dying, [ports(0x500, 1)]);
    const slot = vm.fill(1);
    vm.requests.dispatch();
    assert.ok(finisher);
    // The first half of a finish: the ticket is taken, the slot still PROCESSING. Then the thread
    // dies.
    new SharedWords(finisher.tickets).exchange(1, 0);
    assert.equal(slot.state, PROCESSING);
    vm.requests.clients.destroy(dying);
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, -1]);
  });

  test('a request that a thread is completing is left to it while it lives, and completed after it died', () => {
    const vm = new OneVm({
      hypercalls: { vcpuCount: 4, notifyRequestFinish: () => 0, shared: new VmSharedState() },
    });
    let tickets: SharedWords | undefined;
    let isRunning = true;
    const threaded: IoClient = {
      name: 'threaded',
      notify: () => undefined,
      connect: (given) => void (tickets = new SharedWords(given.tickets)),
      get isRunning() {
        return isRunning;
      },
    };
    vm.requests.clients.add(threaded, [ports(0x500, 1)]);
    const slots = [vm.fill(0), vm.fill(1), vm.fill(2)];
    vm.requests.dispatch();
    assert.ok(tickets);
    // The thread is preempted after it took the ticket of slot 0 and before COMPLETE. For slot 1 it
    // is preempted just after COMPLETE.
    for (const vcpu of [0, 1]) tickets.store(vcpu, -tickets.load(vcpu));
    slots[1]?.complete();
    assert.equal(vm.requests.assignments.slotsOf(threaded), 0b111);
    vm.requests.clients.destroy(threaded);
    assert.deepEqual(vm.states().slice(0, 3), [PROCESSING, COMPLETE, COMPLETE]);
    assert.equal(vm.requests.withdraw(), false, 'nor may the slots be used again yet');
    isRunning = false;
    vm.requests.clients.finishAllOf(threaded);
    assert.deepEqual(vm.states().slice(0, 3), [COMPLETE, COMPLETE, COMPLETE]);
    assert.equal(slots[0]?.valueLow, -1);
    assert.equal(vm.requests.withdraw(), true);
  });

  test('an answer holds the ticket until the slot is COMPLETE, and then releases it', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0);
    vm.requests.dispatch();
    const { request, ticket } = client.kept[0] ?? assert.fail('no request');
    assert.equal(request.finish(-ticket), false, 'the mark is no ticket');
    assert.equal(client.answer(7), true);
    assert.equal(vm.requests.assignments.of(0).isAssigned, false);
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, 7]);
  });

  test('a client that throws when it is removed has its requests finished, and the others are removed too', () => {
    const { vm, client } = withDefault();
    const rude: IoClient = {
      name: 'rude',
      notify: () => undefined,
      disconnected: () => {
        throw new Error('not now');
      },
    };
    vm.requests.clients.add(rude, [ports(0x500, 1)]);
    const slot = vm.fill(0);
    vm.requests.dispatch();
    vm.requests.close();
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, -1]);
    assert.equal(client.disconnects, 1);
    assert.deepEqual(
      vm.events.map((event) => event.kind),
      ['client-failed'],
    );
  });

  test('a client that cannot be connected is not added', () => {
    const vm = new OneVm({
      hypercalls: { vcpuCount: 1, notifyRequestFinish: () => 0, shared: new VmSharedState() },
    });
    const broken: IoClient = {
      name: 'broken',
      notify: () => undefined,
      connect: () => {
        throw new Error('no thread');
      },
    };
    assert.throws(() => vm.requests.clients.add(broken, [ports(0x500, 1)]), /no thread/);
    assert.throws(() => vm.requests.clients.addDefault(broken), /no thread/);
    assert.deepEqual([vm.requests.clients.all, vm.requests.clients.default], [[], undefined]);
  });

  test('finishing a client’s requests does not touch those that it finished before', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0);
    vm.requests.dispatch();
    client.answer(7);
    vm.requests.clients.finishAllOf(client);
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, 7]);
    assert.deepEqual(vm.notified, [0]);
  });

  test('a client that throws is removed with an event, and the pass goes on', () => {
    const { vm, client } = withDefault();
    const error = new TypeError('client bug');
    vm.requests.clients.add(
      {
        name: 'broken',
        notify: () => {
          throw error;
        },
      },
      [ports(0x500, 1)],
    );
    const slot = vm.fill(0);
    vm.fill(1);
    assert.equal(vm.requests.dispatch(), 0);
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, -1]);
    assert.equal(client.kept.length, 1, 'the second access of the range is the default client’s');
    assert.deepEqual(vm.events, [
      { kind: 'client-failed', vmId: 1, client: 'broken', message: 'client bug', stack: error.stack },
    ]);
  });

  test('any value that a client throws is reported', () => {
    const { vm } = withDefault();
    const broken: IoClient = {
      name: 'odd',
      notify: () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- a foreign client may do this
        throw 'a string';
      },
    };
    vm.requests.clients.add(broken, [ports(0x500, 1)]);
    vm.fill(0);
    vm.requests.dispatch();
    assert.deepEqual(vm.events, [{ kind: 'client-failed', vmId: 1, client: 'odd', message: 'a string' }]);
  });

  test('a default client that throws is not removed: its requests finish, and it gets the next one', () => {
    const vm = new OneVm();
    let calls = 0;
    vm.requests.clients.addDefault({
      name: 'default',
      notify: (request) => {
        if (++calls === 1) throw new Error('once');
        request.finish(request.ticket, 4);
      },
    });
    const first = vm.fill(0);
    const second = vm.fill(1);
    vm.requests.dispatch();
    assert.deepEqual([first.valueLow, second.valueLow], [-1, 4]);
    assert.deepEqual([first.state, second.state], [COMPLETE, COMPLETE]);
  });

  test('a client that destroys itself while it is notified finishes with all ones, once', () => {
    const { vm } = withDefault();
    const suicidal: IoClient = { name: 'suicidal', notify: () => vm.requests.clients.destroy(suicidal) };
    vm.requests.clients.add(suicidal, [ports(0x500, 1)]);
    const slot = vm.fill(0);
    vm.requests.dispatch();
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, -1]);
    assert.deepEqual(vm.notified, [0]);
  });

  test('closing finishes every request and disconnects every client', () => {
    const { vm, client } = withDefault();
    const kernel = new Keeper('kernel', ports(0x500, 1));
    vm.requests.clients.add(kernel, kernel.ranges);
    vm.fill(0);
    vm.fill(1, { address: 0x600 });
    vm.requests.dispatch();
    vm.requests.close();
    assert.deepEqual(vm.states().slice(0, 2), [COMPLETE, COMPLETE]);
    assert.deepEqual([kernel.disconnects, client.disconnects], [1, 1]);
    assert.equal(vm.requests.clients.default, undefined);
  });

  test('ranges are added and removed while the client exists', () => {
    const { vm, client } = withDefault();
    const kernel = answering('kernel', 6);
    vm.requests.clients.add(kernel);
    assert.equal(vm.requests.clients.addRange(kernel, ports(0x500, 1)), true);
    assert.equal(vm.requests.clients.ranges(kernel).length, 1);
    const slot = vm.fill(0);
    vm.requests.dispatch();
    assert.equal(slot.valueLow, 6);
    assert.equal(vm.requests.clients.removeRange(kernel, ports(0x500, 1)), true);
    vm.fill(1);
    vm.requests.dispatch();
    assert.equal(client.kept.length, 1);
  });
});

describe('the default client stays, and its events say so', () => {
  test('when it fails', () => {
    const vm = new OneVm();
    const broken: IoClient = {
      name: 'user',
      notify: () => {
        throw new Error('client bug');
      },
    };
    vm.requests.clients.addDefault(broken);
    vm.fill(0);
    vm.requests.dispatch();
    assert.deepEqual(
      vm.events.map((event) => [event.kind, 'isDefault' in event && event.isDefault]),
      [['client-failed', true]],
    );
    assert.equal(vm.requests.clients.default, broken);
  });

  test('when it is late', () => {
    const timing = new FakeTiming();
    const { vm, client } = withDefault({ clientTimeoutMs: 30, timing });
    vm.fill(0);
    vm.requests.dispatch();
    timing.pass(80);
    assert.deepEqual(
      vm.events.map((event) => [event.kind, 'isDefault' in event && event.isDefault]),
      [['client-late', true]],
    );
    assert.equal(vm.requests.clients.default, client);
  });
});

describe('the time limit', { timeout: 120_000 }, () => {
  test('each outstanding request has its own, and a late client is removed once, with one event', () => {
    const timing = new FakeTiming();
    const { vm, client } = withDefault({ clientTimeoutMs: 30, timing });
    const first = new Keeper('first', ports(0x500, 1));
    const second = new Keeper('second', ports(0x501, 1));
    vm.requests.clients.add(first, first.ranges);
    vm.requests.clients.add(second, second.ranges);
    vm.fill(0, { address: 0x500 });
    vm.fill(1, { address: 0x500 });
    vm.requests.dispatch();
    timing.pass(40);
    vm.fill(2, { address: 0x501 });
    vm.requests.dispatch();
    assert.equal(vm.buffer.slot(2).state, PROCESSING, 'its time has only begun');
    timing.pass(40);
    const late = { kind: 'client-late', vmId: 1, limitMs: 30, policy: 'all-ones' };
    assert.deepEqual(
      vm.events.map((event) => ({ ...event, elapsedMs: undefined })),
      [
        { ...late, client: 'first', vcpu: 0, request: 'read port 0x500/1', elapsedMs: undefined },
        { ...late, client: 'second', vcpu: 2, request: 'read port 0x501/1', elapsedMs: undefined },
      ],
    );
    for (const event of vm.events) assert.ok(event.kind === 'client-late' && event.elapsedMs >= 30);
    assert.deepEqual(
      [0, 1, 2].map((vcpu) => [vm.buffer.slot(vcpu).state, vm.buffer.slot(vcpu).valueLow]),
      [
        [COMPLETE, -1],
        [COMPLETE, -1],
        [COMPLETE, -1],
      ],
    );
    assert.deepEqual([first.answer(1), first.answer(1), second.answer(1)], [false, false, false]);
    assert.deepEqual(vm.requests.clients.all, []);
    assert.equal(client.kept.length, 0);
  });

  test('a request that was answered in time, and the next one in its slot, are not late', () => {
    const timing = new FakeTiming();
    const { vm } = withDefault({ clientTimeoutMs: 60, timing });
    const client = new Keeper('client', ports(0x500, 1));
    const other = new Keeper('other', ports(0x600, 1));
    vm.requests.clients.add(client, client.ranges);
    vm.requests.clients.add(other, other.ranges);
    const lateClients = (): string[] =>
      vm.events.map((event) => (event.kind === 'client-late' ? event.client : event.kind));
    const slot = vm.fill(0);
    vm.fill(1, { address: 0x600 });
    vm.requests.dispatch();
    client.answer(1);
    slot.release();
    timing.pass(20);
    vm.fill(0);
    vm.requests.dispatch();
    // The request has its own time limit, not the rest of the previous one's.
    timing.pass(59);
    assert.deepEqual(lateClients(), ['other']);
    timing.pass(10);
    assert.deepEqual(lateClients(), ['other', 'client']);
    vm.requests.close();
  });

  test('a late client under the wait policy keeps its request and is reported at growing intervals until it answers', () => {
    const timing = new FakeTiming();
    const { vm } = withDefault({ clientTimeoutMs: 5, late: 'wait', timing });
    const slow = Object.assign(new Keeper('slow', ports(0x500, 1)), {
      explain: (vcpu: number) => ({ detail: `at vCPU ${vcpu}`, stack: 'there' }),
    });
    vm.requests.clients.add(slow, slow.ranges);
    const slot = vm.fill(2);
    vm.requests.dispatch();
    while (vm.events.length < 3) timing.pass(1);
    const times = vm.events.map((event) => {
      assert.ok(event.kind === 'client-late');
      assert.deepEqual(
        [event.client, event.vcpu, event.limitMs, event.policy, event.detail, event.stack],
        ['slow', 2, 5, 'wait', 'at vCPU 2', 'there'],
      );
      return event.elapsedMs;
    });
    const [first = 0, second = 0, third = 0] = times;
    assert.ok(first >= 5 && second >= 2 * first && third >= 2 * second, times.join(' '));
    assert.equal(slot.state, PROCESSING);
    assert.equal(slow.answer(7), true);
    assert.deepEqual([slot.state, slot.valueLow], [COMPLETE, 7]);
    assert.deepEqual(vm.requests.clients.all, [slow]);
    slot.release();
    // The next request has a new time limit, and the answered one is no longer reported.
    vm.fill(3);
    vm.requests.dispatch();
    const reported = vm.events.length;
    while (vm.events.length === reported) timing.pass(1);
    const next = vm.events[reported];
    assert.ok(next?.kind === 'client-late' && next.vcpu === 3 && next.elapsedMs < second, JSON.stringify(next));
    vm.requests.close();
  });

  test('a late default client is not removed', () => {
    const timing = new FakeTiming();
    const { vm, client } = withDefault({ clientTimeoutMs: 5, timing });
    vm.fill(0);
    vm.requests.dispatch();
    timing.pass(10);
    assert.equal(vm.buffer.slot(0).state, COMPLETE);
    assert.equal(vm.requests.clients.default, client);
  });

  test('a closed VM has no timer left', () => {
    const timing = new FakeTiming();
    const { vm } = withDefault({ clientTimeoutMs: 5, timing });
    vm.fill(0);
    vm.requests.dispatch();
    vm.requests.close();
    assert.equal(timing.running, 0);
    timing.pass(15);
    assert.deepEqual(vm.events, []);
  });
});

describe('a pass', () => {
  test('runs the side work', () => {
    const { vm } = withDefault();
    let runs = 0;
    vm.requests.work.add({ hasWork: false, run: () => runs++ });
    vm.requests.dispatch();
    assert.equal(runs, 1);
  });

  test('skips a slot that only a plain load shows as PENDING', () => {
    const { vm } = withDefault();
    // A write to the PCI address register, which the HSM answers, and a later one of another vCPU.
    for (const [vcpu, value] of [
      [0, 0x10],
      [1, 0x20],
    ] as const) {
      vm.fill(vcpu, { direction: WRITE, address: 0xcf8, size: 4, value });
      vm.requests.dispatch();
      vm.buffer.slot(vcpu).release();
    }
    const slot = vm.buffer.slot(0);
    Object.defineProperty(slot, 'relaxedState', { get: () => PENDING });
    vm.requests.dispatch();
    assert.deepEqual([vm.requests.pciConfig.address, slot.state], [0x20, FREE]);
  });

  test('reports the observer each client just before it gets a request', () => {
    const reported: string[] = [];
    const vm = new OneVm({
      observer: { event: () => undefined, assigning: (client) => reported.push(`assigning to ${client.name}`) },
    });
    vm.requests.clients.addDefault({ name: 'default', notify: () => reported.push('notify') });
    vm.fill(0);
    vm.requests.dispatch();
    assert.deepEqual(reported, ['assigning to default', 'notify']);
  });

  test('leaves a request that another writer moves out of PENDING meanwhile', () => {
    const { vm, client } = withDefault();
    const slot = vm.fill(0);
    const gate = {
      holdsPending: () => {
        slot.stampFree();
        return false;
      },
      decideAnswer: () => assert.fail('no answer'),
      hasAnswer: () => false,
    };
    vm.requests.setGate(gate, false);
    assert.equal(vm.requests.dispatch(), 0);
    assert.deepEqual([client.kept.length, slot.state, vm.events], [0, FREE, []]);
    assert.equal(vm.requests.assignments.of(0).isAssigned, false);
  });

  test('reads no clock and starts no timer for requests that are answered at once', () => {
    const timing = new FakeTiming();
    let readings = 0;
    const vm = new OneVm({
      clientTimeoutMs: 5,
      timing: {
        now: () => {
          readings++;
          return timing.now();
        },
        start: (callback, ms) => timing.start(callback, ms),
        stop: (timer) => timing.stop(timer),
      },
    });
    vm.requests.clients.addDefault(answering('default'));
    vm.fill(0);
    vm.requests.dispatch();
    assert.deepEqual([readings, timing.running], [0, 0]);
  });

  test('of a VM with a limit needs no clock of the program', () => {
    const { vm, client } = withDefault({ clientTimeoutMs: 60_000 });
    vm.fill(0);
    vm.requests.dispatch();
    assert.equal(client.answer(), true);
    vm.requests.close();
  });
});

test('a gate may have the answers of other threads relayed', () => {
  const { vm, client } = withDefault();
  const reported: boolean[] = [];
  Object.assign(client, { relay: (on: boolean) => reported.push(on) });
  vm.requests.setGate(undefined, true);
  vm.requests.setGate(undefined, false);
  assert.deepEqual(reported, [true, false]);
});
