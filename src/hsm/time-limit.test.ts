import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IoRequestState } from '../io-request/state.js';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { BEAT_MS, JUDGE_MS, MAX_FRESH_PERIODS } from '../sync/timer-lateness.js';
import { ports } from './address-range.js';
import { Keeper, OneVm } from './fixtures/one-vm.js';
import type { HsmEvent } from './hsm-observer.js';
import type { IoClient } from './io-client.js';
import { CLIENT_TIMEOUT_MS } from './late-policy.js';
import { ThreadHolder } from './thread-holder.js';

const LIMIT_MS = 2000;
const HEALTHY_PORT = 0x500;
const BUSY_PORT = 0x600;

interface Setup {
  readonly vm: OneVm;
  readonly timing: FakeTiming;
  readonly healthy: Keeper;
  readonly kinds: () => string[];
  readonly event: (kind: HsmEvent['kind']) => HsmEvent | undefined;
}

/** `healthy` answers when the test says so. `busy` computes for 3 s in each access. */
function setup({ processorShare = 1 } = {}): Setup {
  const timing = new FakeTiming();
  const holder = new ThreadHolder(() => 1e6 + timing.now() * processorShare);
  const vm = new OneVm({ clientTimeoutMs: LIMIT_MS, timing, holder });
  const healthy = new Keeper('healthy', ports(HEALTHY_PORT, 1));
  const busy: IoClient = {
    name: 'busy',
    notify: (request) => {
      timing.hold(3000);
      request.finish(request.ticket, 1);
    },
  };
  vm.requests.clients.add(healthy, healthy.ranges);
  vm.requests.clients.add(busy, [ports(BUSY_PORT, 1)]);
  return {
    vm,
    timing,
    healthy,
    kinds: () => vm.events.map(({ kind }) => kind),
    event: (kind) => vm.events.find((event) => event.kind === kind),
  };
}

function lateAfterMs(vm: OneVm): number[] {
  return vm.events.flatMap((event) => (event.kind === 'client-late' ? [event.elapsedMs] : []));
}

function access(vm: OneVm, vcpu: number, address: number): void {
  vm.fill(vcpu, { address });
  vm.requests.dispatch();
}

describe('the time limit of a client whose thread was held', () => {
  test('by another client’s computation begins again, and the event names that client', () => {
    const { vm, timing, healthy, kinds, event } = setup();
    access(vm, 0, HEALTHY_PORT);
    timing.pass(100);
    access(vm, 1, BUSY_PORT);
    timing.pass(1000);
    assert.deepEqual(kinds(), ['limit-extended']);
    const extended = event('limit-extended');
    assert.ok(extended?.kind === 'limit-extended' && extended.cause === 'client');
    assert.deepEqual([extended.client, extended.holder, extended.vcpu], ['healthy', 'busy', 0]);
    assert.ok(extended.heldMs > 2500 && extended.elapsedMs > 3000, JSON.stringify(extended));
    assert.equal(healthy.answer(7), true);
    assert.deepEqual([vm.buffer.slot(0).valueLow, vm.requests.clients.all.length], [7, 2]);
  });

  test('expires a full period after the hold if the client does not answer', () => {
    const { vm, timing, kinds } = setup();
    access(vm, 0, HEALTHY_PORT);
    access(vm, 1, BUSY_PORT);
    timing.pass(LIMIT_MS - 10);
    assert.deepEqual(kinds(), ['limit-extended']);
    timing.pass(300);
    assert.deepEqual(kinds(), ['limit-extended', 'client-late']);
    assert.equal(vm.buffer.slot(0).state, IoRequestState.COMPLETE);
  });

  test('is not reported as extended if the hold ended before the limit', () => {
    const { vm, timing, healthy, kinds } = setup();
    access(vm, 0, HEALTHY_PORT);
    timing.hold(LIMIT_MS - 500);
    timing.pass(LIMIT_MS - 10);
    assert.deepEqual(kinds(), []);
    assert.equal(healthy.answer(), true);
  });

  test('by a stop of the process is distinguished from other work by the processor time', () => {
    for (const [processorShare, cause] of [
      [0.01, 'stopped'],
      [0.9, 'unknown'],
    ] as const) {
      const { vm, timing, event } = setup({ processorShare });
      access(vm, 0, HEALTHY_PORT);
      timing.hold(5000);
      timing.pass(0);
      const extended = event('limit-extended');
      assert.equal(extended?.kind === 'limit-extended' && extended.cause, cause);
      vm.requests.close();
    }
  });

  test('is not extended without end: a client that never answers is removed', () => {
    const { vm, timing, healthy, kinds } = setup();
    access(vm, 0, HEALTHY_PORT);
    for (let hold = 0; hold < MAX_FRESH_PERIODS; hold++) {
      timing.hold(600);
      timing.pass(0);
    }
    healthy.answer();
    vm.buffer.slot(0).release();
    // Each request has its own fresh periods.
    access(vm, 0, HEALTHY_PORT);
    let holds = 0;
    for (; !kinds().includes('client-late') && holds < 1000; holds++) {
      timing.hold(600);
      timing.pass(0);
    }
    // The thread runs for a beat of 250 ms between two holds: eight beats are the limit. The hold
    // after them judges.
    assert.equal(holds, MAX_FRESH_PERIODS + 8 + 1);
    assert.equal(vm.buffer.slot(0).state, IoRequestState.COMPLETE);
  });
});

describe('a hold of the thread', () => {
  test('until exactly the limit extends it, and is reported with its times', () => {
    const { vm, timing, event } = setup();
    access(vm, 0, HEALTHY_PORT);
    timing.pass(1000);
    timing.hold(LIMIT_MS - 1000);
    timing.pass(0);
    const extended = event('limit-extended');
    assert.ok(extended?.kind === 'limit-extended');
    assert.deepEqual([extended.elapsedMs, extended.heldMs], [LIMIT_MS, LIMIT_MS - 1000 - BEAT_MS]);
  });

  test('between the end of the limit and its judgement begins the limit again', () => {
    const { vm, timing, healthy, kinds } = setup();
    access(vm, 0, HEALTHY_PORT);
    timing.pass(LIMIT_MS);
    timing.hold(100);
    timing.pass(0);
    assert.deepEqual(kinds(), ['limit-extended']);
    timing.pass(LIMIT_MS);
    assert.equal(healthy.answer(), true, 'the loop has not turned after the new limit');
    assert.deepEqual(kinds(), ['limit-extended']);
  });

  test('after the last fresh period is not reported if the limit is over without it', () => {
    const { vm, timing, kinds } = setup();
    access(vm, 0, HEALTHY_PORT);
    for (let hold = 0; hold < MAX_FRESH_PERIODS; hold++) {
      timing.hold(LIMIT_MS);
      timing.pass(0);
    }
    const extended = kinds();
    timing.pass(LIMIT_MS - 1);
    timing.hold(600);
    timing.pass(0);
    assert.deepEqual(kinds(), extended);
    timing.pass(JUDGE_MS);
    assert.deepEqual(kinds(), [...extended, 'client-late']);
  });
});

describe('the time limit', () => {
  test('is five seconds if the program gives none', () => {
    assert.equal(CLIENT_TIMEOUT_MS, 5000);
  });

  test('ends one turn of the loop after its time, and leaves no timer', () => {
    const { vm, timing } = setup();
    access(vm, 0, HEALTHY_PORT);
    timing.pass(LIMIT_MS);
    assert.deepEqual(lateAfterMs(vm), []);
    timing.pass(JUDGE_MS);
    assert.deepEqual(lateAfterMs(vm), [LIMIT_MS + JUDGE_MS]);
    assert.equal(timing.running, 0);
  });

  test('of a request that the client keeps is reported again after twice the time each', () => {
    const timing = new FakeTiming();
    const vm = new OneVm({ clientTimeoutMs: LIMIT_MS, timing, late: 'wait' });
    vm.requests.clients.addDefault(new Keeper('default'));
    access(vm, 0, HEALTHY_PORT);
    timing.pass(5 * LIMIT_MS);
    const first = LIMIT_MS + JUDGE_MS;
    const second = 2 * first + JUDGE_MS;
    assert.deepEqual(lateAfterMs(vm), [first, second, 2 * second + JUDGE_MS]);
  });

  test('also holds for the request with which the guest goes on while the late one is reported', () => {
    const timing = new FakeTiming();
    let late = 0;
    const vm: OneVm = new OneVm({
      clientTimeoutMs: LIMIT_MS,
      timing,
      observer: {
        event: () => {
          vm.buffer.slot(0).release();
          if (++late < 3) access(vm, 0, HEALTHY_PORT);
        },
      },
    });
    vm.requests.clients.addDefault(new Keeper('default'));
    access(vm, 0, HEALTHY_PORT);
    timing.pass(10 * LIMIT_MS);
    assert.equal(late, 3);
  });

  test('of the next request in the slot is judged a turn after its own end', () => {
    const { vm, timing, healthy, kinds } = setup();
    access(vm, 0, HEALTHY_PORT);
    timing.pass(LIMIT_MS);
    healthy.answer();
    vm.buffer.slot(0).release();
    access(vm, 0, HEALTHY_PORT);
    timing.pass(LIMIT_MS);
    assert.equal(healthy.answer(), true);
    assert.deepEqual(kinds(), []);
  });

  test('needs one timer for all requests of the VM', () => {
    const holder = new ThreadHolder(() => 0);
    const timing = new FakeTiming();
    const vm = new OneVm({ clientTimeoutMs: LIMIT_MS, timing, holder });
    vm.requests.clients.addDefault(new Keeper('default'));
    access(vm, 0, HEALTHY_PORT);
    access(vm, 1, HEALTHY_PORT);
    assert.deepEqual([timing.running, holder.limits], [1, 1]);
    vm.requests.close();
    assert.deepEqual([timing.running, holder.limits], [0, 0]);
  });

  test('leaves no timer if a report ends the VM while another request is watched', () => {
    const holder = new ThreadHolder(() => 0);
    const timing = new FakeTiming();
    const vm: OneVm = new OneVm({
      clientTimeoutMs: LIMIT_MS,
      timing,
      holder,
      late: 'wait',
      observer: { event: () => vm.requests.close() },
    });
    vm.requests.clients.addDefault(new Keeper('default'));
    access(vm, 0, HEALTHY_PORT);
    timing.pass(100);
    access(vm, 1, HEALTHY_PORT);
    timing.pass(LIMIT_MS);
    assert.deepEqual([timing.running, holder.limits], [0, 0]);
  });

  test('is without a timer if it is infinite, and a VM that had none ends without one', () => {
    const holder = new ThreadHolder(() => 0);
    const timing = new FakeTiming();
    const vm = new OneVm({ clientTimeoutMs: Infinity, timing, holder });
    vm.requests.clients.addDefault(new Keeper('default'));
    access(vm, 0, HEALTHY_PORT);
    assert.deepEqual([timing.running, holder.limits], [0, 0]);
    vm.requests.close();
    assert.deepEqual([timing.running, holder.limits], [0, 0]);
  });

  test('lets the event loop turn once before it removes a client', () => {
    const { vm, timing, healthy, kinds } = setup();
    access(vm, 0, HEALTHY_PORT);
    timing.pass(LIMIT_MS);
    assert.deepEqual(kinds(), []);
    assert.equal(healthy.answer(3), true, 'an answer that was in a queue');
    timing.pass(LIMIT_MS);
    assert.deepEqual([kinds(), vm.buffer.slot(0).valueLow], [[], 3]);
  });

  test('leaves no timer when nothing is watched, and calls are not timed then', () => {
    const holder = new ThreadHolder(() => 0);
    const timing = new FakeTiming();
    const vm = new OneVm({ clientTimeoutMs: LIMIT_MS, timing, holder });
    const client = new Keeper('client', ports(HEALTHY_PORT, 1));
    vm.requests.clients.add(client, client.ranges);
    access(vm, 0, HEALTHY_PORT);
    assert.deepEqual([timing.running, holder.limits], [1, 1]);
    client.answer();
    timing.pass(500);
    assert.deepEqual([timing.running, holder.limits], [0, 0]);
    vm.buffer.slot(0).release();
    access(vm, 0, HEALTHY_PORT);
    vm.requests.close();
    assert.deepEqual([timing.running, holder.limits], [0, 0]);
  });
});
