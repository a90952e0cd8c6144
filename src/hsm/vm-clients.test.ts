import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { MAX_RANGES } from './address-map.js';
import { ports } from './address-range.js';
import { Keeper, OneVm } from './fixtures/one-vm.js';
import type { IoClient } from './io-client.js';

const range = ports(0x500, 1);

/** A client that records whether it was asked to relay, and to connect. */
class Relaying extends Keeper {
  readonly reported: (boolean | string)[] = [];

  connect(): void {
    this.reported.push('connect');
  }

  relay(on: boolean): void {
    this.reported.push(on);
  }
}

describe('the clients of a VM', () => {
  test('are those with ranges, newest first, and the default client', () => {
    const { clients } = new OneVm().requests;
    const [first, second, user, other] = ['first', 'second', 'user', 'other'].map((name) => new Keeper(name));
    assert.ok(first && second && user && other);
    clients.add(first, [range]);
    clients.add(second);
    clients.addDefault(user);
    assert.deepEqual(clients.all, [second, first]);
    assert.equal(clients.default, user);
    assert.deepEqual(
      [first, second, user, other].map((client) => clients.has(client)),
      [true, true, true, false],
    );
  });

  test('report each change of their ranges, after it', () => {
    const { clients } = new OneVm().requests;
    const client = new Keeper('client');
    const reported: number[] = [];
    clients.onRangesChanged = () => reported.push(clients.has(client) ? clients.ranges(client).length : -1);
    clients.add(client, [range]);
    assert.deepEqual(reported, [1]);
    clients.addRange(client, ports(0x600, 1));
    assert.deepEqual(reported, [1, 2]);
    clients.removeRange(client, range);
    assert.deepEqual(reported, [1, 2, 1]);
    clients.destroy(client);
    assert.deepEqual(reported, [1, 2, 1, -1]);
  });

  test('are added once and removed once', () => {
    const { clients } = new OneVm().requests;
    const [client, user] = [new Keeper('client'), new Keeper('user')];
    clients.add(client, [range]);
    clients.addDefault(user);
    for (const known of [client, user])
      assert.throws(() => clients.add(known, [ports(0x600, 1)]), { code: 'DEVICE_INVALID', errno: -17 });
    assert.deepEqual(clients.ranges(client), [range]);
    for (const known of [client, client, user, user]) clients.destroy(known);
    assert.deepEqual([client.disconnects, user.disconnects, clients.removals], [1, 1, 2]);
    clients.add(client, [range]);
    assert.deepEqual(clients.all, [client]);
  });

  test('that were removed are counted', () => {
    const { clients } = new OneVm().requests;
    const [kernel, user] = [new Keeper('kernel'), new Keeper('user')];
    clients.add(kernel);
    clients.addDefault(user);
    assert.equal(clients.removals, 0);
    clients.destroy(kernel);
    assert.equal(clients.removals, 1);
    clients.destroy(user);
    assert.equal(clients.removals, 2);
    assert.deepEqual([clients.all, clients.default], [[], undefined]);
  });

  test('have as many ranges as there is room for, over all of them', () => {
    const { clients } = new OneVm().requests;
    const [first, second] = [new Keeper('first'), new Keeper('second')];
    const all = Array.from({ length: MAX_RANGES }, () => range);
    assert.throws(() => clients.add(first, [...all, range]), { code: 'VM_LIMIT' });
    assert.equal(clients.has(first), false, 'nothing was added');
    clients.add(first, all);
    assert.throws(() => clients.add(second, [range]), { code: 'VM_LIMIT' });
    assert.equal(clients.addRange(first, range), false);
    assert.equal(clients.removeRange(first, range), true);
    clients.add(second, [range]);
  });

  test('are connected only where the hypervisor’s state can be shared', () => {
    const apart = new Relaying('apart');
    new OneVm().requests.clients.add(apart);
    assert.deepEqual(apart.reported, []);
    const shared = new Relaying('shared');
    const hypercalls = { vcpuCount: 1, notifyRequestFinish: () => 0, shared: new VmSharedState() };
    new OneVm({ hypercalls }).requests.clients.add(shared);
    assert.deepEqual(shared.reported, ['connect']);
  });

  test('are notified when they must relay their answers and when no longer, the later ones at once', () => {
    const { clients } = new OneVm().requests;
    const [kernel, user, later, last] = ['kernel', 'user', 'later', 'last'].map((name) => new Relaying(name));
    assert.ok(kernel && user && later && last);
    clients.add(kernel);
    clients.addDefault(user);
    clients.relay(false);
    assert.deepEqual([kernel.reported, user.reported], [[], []]);
    clients.relay(true);
    clients.relay(true);
    clients.add(later);
    assert.deepEqual([kernel.reported, user.reported, later.reported], [[true], [true], [true]]);
    clients.relay(false);
    clients.add(last);
    assert.deepEqual(
      [kernel, user, later, last].map(({ reported }) => reported),
      [[true, false], [true, false], [true, false], []],
    );
  });

  test('are finished in their place, which the observer gets before and after', () => {
    const reported: unknown[] = [];
    const vm: OneVm = new OneVm({
      observer: {
        event: () => undefined,
        forcing: (isForcing) => reported.push([isForcing, vm.requests.assignments.of(0).isAssigned]),
      },
    });
    const client = new Keeper('client');
    vm.requests.clients.add(client, [range]);
    vm.fill(0);
    vm.requests.dispatch();
    vm.requests.clients.finishAllOf(client);
    assert.deepEqual(reported, [
      [true, true],
      [false, false],
    ]);
  });

  test('that are late keep nothing if they are gone already', () => {
    const vm = new OneVm({ late: 'wait' });
    const assignment = vm.requests.assignments.of(0);
    assert.equal(vm.requests.clients.late(assignment, 1), false);
    assert.deepEqual(vm.events, []);
  });

  test('are asked what they do with a late request before they are removed', () => {
    const vm = new OneVm();
    let isRemoved = false;
    const client: IoClient = {
      name: 'late',
      notify: () => undefined,
      explain: (vcpu) => ({ detail: `vCPU ${vcpu}, ${isRemoved ? 'removed' : 'still there'}` }),
      disconnected: () => (isRemoved = true),
    };
    vm.requests.clients.add(client, [range]);
    vm.fill(1);
    vm.requests.dispatch();
    assert.equal(vm.requests.clients.late(vm.requests.assignments.of(1), 7), false);
    const [event] = vm.events;
    assert.ok(event?.kind === 'client-late');
    assert.deepEqual([event.detail, event.elapsedMs, isRemoved], ['vCPU 1, still there', 7, true]);
  });
});
