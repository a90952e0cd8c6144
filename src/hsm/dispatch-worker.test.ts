import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SLOT_COUNT } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { Upcall } from '../hypervisor/upcall.js';
import { ports } from './address-range.js';
import { DispatchWorker, MAX_TURN_MS, PASSES_PER_TURN } from './dispatch-worker.js';
import { answering, Keeper, OneVm } from './fixtures/one-vm.js';
import { HypervisorServiceModule } from './service-module.js';

const { PROCESSING, COMPLETE, PENDING } = IoRequestState;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Running {
  readonly module: HypervisorServiceModule;
  readonly upcall: Upcall;
  readonly vm: OneVm;
  readonly client: Keeper;
}

function started(spinUs = 0): Running {
  const upcall = new Upcall();
  const module = new HypervisorServiceModule({ upcall, turn, spinUs });
  const vm = new OneVm();
  const client = new Keeper('default');
  vm.requests.clients.addDefault(client);
  module.addVm(vm.requests);
  module.worker.start();
  return { module, upcall, vm, client };
}

/** Everything here happens in this thread's event loop: in fewer turns, or never. */
const MOST_TURNS = 1_000_000;

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    assert.ok(turns < MOST_TURNS, `not after ${turns} turns: ${condition.toString()}`);
    await turn();
  }
}

/** Enough turns of the event loop for an awake worker to finish its work. */
async function someTurns(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

/** Requests by which the event loop must have turned several times, whatever the clock says. */
const SERVED = 5 * PASSES_PER_TURN;

describe('the worker', { timeout: 120_000 }, () => {
  test('parks until an upcall, then dispatches every PENDING slot of every VM', async () => {
    const { module, upcall, vm, client } = started();
    const second = new OneVm();
    const secondClient = new Keeper('default');
    second.requests.clients.addDefault(secondClient);
    module.addVm(second.requests);
    await someTurns();
    vm.fill(0);
    vm.fill(3);
    second.fill(1);
    await someTurns();
    assert.equal(client.kept.length, 0, 'no upcall yet');
    assert.equal(upcall.raise(), true);
    await until(() => client.kept.length + secondClient.kept.length === 3);
    assert.equal(upcall.delivered, 1);
    await module.worker.stop();
  });

  test('asks the newest VM first', () => {
    const module = new HypervisorServiceModule({ upcall: new Upcall(), turn });
    const order: string[] = [];
    for (const name of ['first', 'second']) {
      const vm = new OneVm();
      vm.requests.clients.addDefault({ name, notify: () => void order.push(name) });
      vm.fill(0);
      module.addVm(vm.requests);
    }
    module.worker.pass();
    assert.deepEqual(order, ['second', 'first']);
  });

  test('takes upcalls that coalesce: many raised while it is awake are one pass', async () => {
    const { module, upcall, vm, client } = started();
    await someTurns();
    for (let vcpu = 0; vcpu < 4; vcpu++) {
      vm.fill(vcpu);
      upcall.raise();
    }
    await until(() => client.kept.length === 4);
    assert.ok(upcall.delivered <= 4);
    assert.deepEqual(client.kept.map(({ text }) => text).length, 4);
    await someTurns();
    assert.equal(client.kept.length, 4, 'no request was dispatched twice');
    await module.worker.stop();
  });

  test('after a bounded number of passes lets the event loop turn, however much work there is', async () => {
    const upcall = new Upcall();
    const vm = new OneVm({
      vcpuCount: 1,
      hypercalls: {
        vcpuCount: 1,
        notifyRequestFinish: (vcpu) => {
          vm.buffer.slot(vcpu).release();
          if (++served < SERVED) vm.fill(vcpu);
          return 0;
        },
      },
    });
    let served = 0;
    let turns = 0;
    vm.requests.clients.addDefault(answering('default'));
    const worker = new DispatchWorker({ upcall, turn, vms: () => [vm.requests], spinUs: 0, now: () => 0 });
    const count = (): void => {
      turns++;
      if (served < SERVED) setImmediate(count);
    };
    setImmediate(count);
    vm.fill(0);
    worker.start();
    await until(() => served === SERVED);
    assert.ok(turns >= SERVED / PASSES_PER_TURN - 2, `${turns} turns for ${served} requests`);
    await worker.stop();
  });

  test('lets it turn also when each request arrives while the worker spins', async () => {
    const upcall = new Upcall();
    let served = 0;
    let polls = 0;
    let turns = 0;
    const vm = new OneVm({
      vcpuCount: 1,
      hypercalls: {
        vcpuCount: 1,
        notifyRequestFinish: (vcpu) => {
          served++;
          vm.buffer.slot(vcpu).release();
          return 0;
        },
      },
    });
    vm.requests.clients.addDefault(answering('default'));
    const isFree = (): boolean => vm.buffer.slot(0).state === IoRequestState.FREE;
    // The guest's next access comes a few polls after the last answer, before the worker would
    // park.
    const vms = (): OneVm['requests'][] => {
      if (++polls % 4 === 0 && served < SERVED && isFree()) vm.fill(0);
      return [vm.requests];
    };
    const worker = new DispatchWorker({ upcall, turn, vms, spinUs: 1e6, now: () => 0 });
    const count = (): void => {
      turns++;
      if (served < SERVED) setImmediate(count);
    };
    setImmediate(count);
    worker.start();
    await until(() => served === SERVED);
    const stopped = worker.stop();
    assert.ok(turns >= SERVED / PASSES_PER_TURN - 2, `${turns} turns for ${served} requests`);
    await stopped;
  });

  test('a burst after a pause begins without a turn, because the loop turned while it was parked', async () => {
    const upcall = new Upcall();
    let served = 0;
    let turns = 0;
    const vm = new OneVm({
      vcpuCount: 1,
      hypercalls: {
        vcpuCount: 1,
        notifyRequestFinish: (vcpu) => {
          vm.buffer.slot(vcpu).release();
          if (++served < PASSES_PER_TURN / 2) vm.fill(vcpu);
          return 0;
        },
      },
    });
    vm.requests.clients.addDefault(answering('default'));
    // A reading of the clock takes 10 us, a wait for an upcall longer than a turn may.
    let nowMs = 0;
    const now = (): number => (nowMs += 0.01);
    const counted = (): Promise<void> => {
      turns++;
      return turn();
    };
    const worker = new DispatchWorker({ upcall, turn: counted, vms: () => [vm.requests], spinUs: 0, now });
    worker.start();
    await someTurns();
    nowMs += 10 * MAX_TURN_MS;
    vm.fill(0);
    upcall.raise();
    await until(() => served === PASSES_PER_TURN / 2);
    assert.equal(turns, 0);
    await worker.stop();
  });

  test('lets it turn after a bounded time, however long the devices take in each pass', async () => {
    const upcall = new Upcall();
    let nowMs = 0;
    let served = 0;
    let turnedMs = 0;
    let longestMs = 0;
    const vm = new OneVm({
      vcpuCount: 1,
      hypercalls: {
        vcpuCount: 1,
        notifyRequestFinish: (vcpu) => {
          nowMs += 2;
          vm.buffer.slot(vcpu).release();
          if (++served < 500) vm.fill(vcpu);
          return 0;
        },
      },
    });
    vm.requests.clients.addDefault(answering('default'));
    const noteTurn = (): Promise<void> => {
      longestMs = Math.max(longestMs, nowMs - turnedMs);
      turnedMs = nowMs;
      return turn();
    };
    const worker = new DispatchWorker({
      upcall,
      turn: noteTurn,
      vms: () => [vm.requests],
      spinUs: 0,
      now: () => nowMs,
    });
    vm.fill(0);
    worker.start();
    await until(() => served === 500);
    assert.ok(longestMs <= MAX_TURN_MS + 2, `${longestMs} ms without a turn`);
    await worker.stop();
  });

  test('begins no pass while it is paused, however often, and loses no upcall meanwhile', async () => {
    const { module, upcall, vm, client } = started();
    module.worker.pause();
    module.worker.pause();
    vm.fill(0);
    upcall.raise();
    await someTurns();
    assert.equal(client.kept.length, 0);
    module.worker.resume();
    await someTurns();
    assert.equal(client.kept.length, 0);
    module.worker.resume();
    await until(() => client.kept.length === 1);
    await module.worker.stop();
  });

  test('paused between two turns of the event loop, a busy worker makes no further pass', async () => {
    const upcall = new Upcall();
    let served = 0;
    const vm = new OneVm({
      vcpuCount: 1,
      hypercalls: {
        vcpuCount: 1,
        notifyRequestFinish: (vcpu) => {
          served++;
          vm.buffer.slot(vcpu).release();
          vm.fill(vcpu);
          return 0;
        },
      },
    });
    vm.requests.clients.addDefault(answering('default'));
    const worker = new DispatchWorker({ upcall, turn, vms: () => [vm.requests], spinUs: 0 });
    vm.fill(0);
    worker.start();
    await until(() => served > 3 * PASSES_PER_TURN);
    worker.pause();
    const before = served;
    await someTurns();
    assert.equal(served, before);
    worker.resume();
    await until(() => served > before);
    await worker.stop();
  });

  test('resuming requests a pass, which retries stalled slots', async () => {
    const upcall = new Upcall();
    const module = new HypervisorServiceModule({ upcall, turn, spinUs: 0 });
    const vm = new OneVm();
    module.addVm(vm.requests);
    vm.fill(0);
    module.worker.start();
    await until(() => vm.events.length > 0);
    const client = new Keeper('default');
    vm.requests.clients.addDefault(client);
    await someTurns();
    assert.equal(client.kept.length, 0);
    module.destroyClient(vm.requests, new Keeper('unknown'));
    await until(() => client.kept.length === 1);
    assert.equal(vm.events.length, 1);
    await module.worker.stop();
  });

  test('stops while parked, while paused and before it was started, and dispatches nothing afterwards', async () => {
    for (const prepare of ['sleeping', 'paused'] as const) {
      const { module, upcall, vm, client } = started();
      await someTurns();
      if (prepare === 'paused') module.worker.pause();
      await module.worker.stop();
      vm.fill(0);
      upcall.raise();
      await someTurns();
      assert.equal(client.kept.length, 0);
    }
    await new DispatchWorker({ upcall: new Upcall(), turn, vms: () => [] }).stop();
  });

  describe('with sixteen vCPUs', () => {
    const EVERY = Array.from({ length: SLOT_COUNT }, (_, vcpu) => vcpu);

    /**
     * A worker whose VM has sixteen vCPUs. `arming` runs once, when the worker is about to park.
     */
    function withSixteen(arming: (vm: OneVm) => void): { worker: DispatchWorker; vm: OneVm; client: Keeper } {
      const vm = new OneVm({ vcpuCount: SLOT_COUNT });
      const client = new Keeper('default');
      vm.requests.clients.addDefault(client);
      const upcall = new Upcall();
      const wait = upcall.wait.bind(upcall);
      let polls = 0;
      upcall.wait = (poll) =>
        wait({
          relaxed: () => poll.relaxed(),
          ordered: () => {
            // The first poll comes before the doorbell is armed. The second is the last one.
            if (++polls === 2) arming(vm);
            return poll.ordered();
          },
        });
      const worker = new DispatchWorker({ upcall, turn, vms: () => [vm.requests], spinUs: 0 });
      worker.start();
      return { worker, vm, client };
    }

    for (const vcpus of [...EVERY.map((vcpu) => [vcpu]), EVERY])
      test(`the last poll before it parks sees slot ${vcpus.join(', ')}, and the pass serves it`, async () => {
        const { worker, vm, client } = withSixteen((one) => vcpus.forEach((vcpu) => one.fill(vcpu)));
        await someTurns();
        assert.deepEqual(
          client.kept.map(({ request }) => request.vcpu),
          vcpus,
        );
        assert.ok(vcpus.every((vcpu) => vm.buffer.slot(vcpu).state === PROCESSING));
        await worker.stop();
      });

    test('the spin sees each slot alone', () => {
      for (const vcpu of EVERY) {
        const vm = new OneVm({ vcpuCount: SLOT_COUNT });
        assert.equal(vm.requests.work.relaxed(), false);
        vm.fill(vcpu);
        assert.equal(vm.requests.work.relaxed(), true, `slot ${vcpu}`);
      }
    });
  });

  test('a pass that is requested during a pass is made after it', async () => {
    const { module, upcall, vm } = started();
    const other = new OneVm();
    module.addVm(other.requests);
    let passes = 0;
    other.requests.work.add({
      hasWork: false,
      run: () => {
        // Only the request makes the second pass: no slot is PENDING then.
        if (++passes === 1) module.worker.queuePass();
      },
    });
    await someTurns();
    vm.fill(0);
    upcall.raise();
    await until(() => passes >= 1);
    await someTurns();
    assert.equal(passes, 2);
    await module.worker.stop();
  });

  test('a second start is the same worker', async () => {
    const { module, upcall, vm, client } = started();
    module.worker.start();
    vm.fill(0);
    upcall.raise();
    await until(() => client.kept.length === 1);
    await module.worker.stop();
  });
});

describe('the module', { timeout: 120_000 }, () => {
  test('a removed VM is closed and no longer dispatched', async () => {
    const { module, upcall, vm, client } = started();
    vm.fill(0);
    upcall.raise();
    await until(() => client.kept.length === 1);
    module.removeVm(vm.requests);
    assert.deepEqual(module.vms, []);
    assert.equal(vm.buffer.slot(0).state, COMPLETE);
    vm.fill(1);
    upcall.raise();
    await someTurns();
    assert.equal(vm.buffer.slot(1).state, PENDING);
    await module.worker.stop();
  });

  test('destroying a client finishes its requests and lets the worker go on', async () => {
    const { module, upcall, vm, client } = started();
    const kernel = new Keeper('kernel', ports(0x500, 1));
    vm.requests.clients.add(kernel, kernel.ranges);
    vm.fill(0);
    upcall.raise();
    await until(() => kernel.kept.length === 1);
    module.destroyClient(vm.requests, kernel);
    assert.deepEqual([vm.buffer.slot(0).state, vm.buffer.slot(0).valueLow], [COMPLETE, -1]);
    vm.fill(1);
    upcall.raise();
    await until(() => client.kept.length === 1);
    assert.equal(vm.buffer.slot(1).state, PROCESSING);
    await module.worker.stop();
  });

  test('a disconnect that throws still lets the worker go on', async () => {
    const { module, upcall, vm, client } = started();
    const broken = {
      name: 'broken',
      notify: () => undefined,
      disconnected: () => {
        throw new Error('bug');
      },
    };
    vm.requests.clients.add(broken);
    assert.throws(() => module.destroyClient(vm.requests, broken), /bug/);
    vm.fill(0);
    upcall.raise();
    await until(() => client.kept.length === 1);
    await module.worker.stop();
  });
});
