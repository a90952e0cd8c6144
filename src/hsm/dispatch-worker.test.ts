import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SLOT_COUNT } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { Upcall } from '../hypervisor/upcall.js';
import { DispatchWorker, MAX_TURN_MS, PASSES_PER_TURN } from './dispatch-worker.js';
import { answering, Keeper, OneVm } from './fixtures/one-vm.js';
import { started } from './fixtures/running-module.js';
import { someTurns, turn, until } from './fixtures/turns.js';
import { HypervisorServiceModule } from './service-module.js';

const { PROCESSING } = IoRequestState;
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

  test('passes at once when it is asked to, but not within a pass nor while it is paused', async () => {
    const module = new HypervisorServiceModule({ upcall: new Upcall(), turn });
    const { worker } = module;
    const vm = new OneVm();
    const seen: number[] = [];
    const nested: number[] = [];
    vm.requests.clients.addDefault({
      name: 'a client',
      notify: ({ vcpu }) => {
        seen.push(vcpu);
        if (vcpu !== 3) return;
        vm.fill(0);
        const before = seen.length;
        worker.passNow();
        nested.push(seen.length - before);
      },
    });
    module.addVm(vm.requests);
    worker.start();
    await someTurns();
    vm.fill(3);
    worker.passNow();
    assert.deepEqual([seen[0], nested], [3, [0]]);
    // The worker was parked, and no vCPU has woken it.
    await until(() => seen.includes(0));
    vm.fill(1);
    worker.passNow();
    assert.ok(seen.includes(1));
    worker.pause();
    vm.fill(2);
    worker.passNow();
    assert.ok(!seen.includes(2));
    worker.resume();
    await until(() => seen.length === 4);
    assert.deepEqual([...seen].sort(), [0, 1, 2, 3]);
    await worker.stop();
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

  /** A worker with one vCPU whose next request follows each answer at once, `total` times. */
  function busy(
    total: number,
    options: { now?: () => number; onServed?: (served: number) => void; turn?: () => Promise<void> },
  ): { worker: DispatchWorker; upcall: Upcall; vm: OneVm; served: () => number } {
    const upcall = new Upcall();
    let served = 0;
    const vm: OneVm = new OneVm({
      vcpuCount: 1,
      hypercalls: {
        vcpuCount: 1,
        notifyRequestFinish: (vcpu) => {
          vm.buffer.slot(vcpu).release();
          served++;
          options.onServed?.(served);
          if (served % total !== 0) vm.fill(vcpu);
          return 0;
        },
      },
    });
    vm.requests.clients.addDefault(answering('default'));
    const worker = new DispatchWorker({ upcall, turn, vms: () => [vm.requests], spinUs: 0, ...options });
    return { worker, upcall, vm, served: () => served };
  }

  for (const passMs of [1, 5])
    test(`lets it turn after 5 ms when each pass takes ${passMs} ms, because it is timed`, async () => {
      let nowMs = 0;
      const turnedMs: number[] = [];
      const { worker, vm, served } = busy(100, {
        now: () => nowMs,
        onServed: () => (nowMs += passMs),
        turn: () => {
          turnedMs.push(nowMs);
          return turn();
        },
      });
      vm.fill(0);
      worker.start();
      await until(() => served() === 100);
      await worker.stop();
      assert.deepEqual(turnedMs.slice(0, 4), [5, 10, 15, 20]);
      assert.equal(MAX_TURN_MS, 5);
    });

  test('lets it turn once after the pass in which other work asks for it', async () => {
    const turns: number[] = [];
    let count = 0;
    const total = PASSES_PER_TURN + 100;
    const { worker, vm, served } = busy(total, {
      now: () => 0,
      onServed: (number) => {
        count = number;
        if (number === 10) worker.turnSoon();
      },
      turn: () => {
        turns.push(count);
        return turn();
      },
    });
    vm.fill(0);
    worker.start();
    await until(() => served() === total);
    await worker.stop();
    assert.deepEqual(turns.slice(0, 2), [10, 10 + PASSES_PER_TURN]);
  });

  test('reads the clock at most every 64 quick passes, and more often again after a turn', async () => {
    const reads: number[] = [];
    const turns: number[] = [];
    const total = 3 * PASSES_PER_TURN;
    let count = 0;
    const { worker, vm, served } = busy(total, {
      now: () => {
        reads.push(count);
        return 0;
      },
      onServed: (number) => (count = number),
      turn: () => {
        turns.push(count);
        return turn();
      },
    });
    vm.fill(0);
    worker.start();
    await until(() => served() === total);
    await worker.stop();
    assert.deepEqual(turns.slice(0, 2), [PASSES_PER_TURN, 2 * PASSES_PER_TURN]);
    for (const began of [0, PASSES_PER_TURN]) {
      const passes = reads.filter((at) => at >= began && at < began + PASSES_PER_TURN).map((at) => at - began);
      assert.deepEqual(passes.slice(0, 10), [0, 1, 3, 7, 15, 31, 63, 127, 191, 255]);
      assert.ok(passes.slice(8).every((at, i) => at === 191 + 64 * i));
    }
  });

  for (const [waitMs, turnMs] of [
    [1.5, 6.5],
    [1, 5],
  ] as const)
    test(`after a wait of ${waitMs} ms it turns at ${turnMs} ms: only a longer one than 1 ms has parked`, async () => {
      const startMs = 100;
      let nowMs = startMs;
      const turnedMs: number[] = [];
      const { worker, upcall, vm, served } = busy(20, {
        now: () => nowMs,
        onServed: () => nowMs++,
        turn: () => {
          turnedMs.push(nowMs);
          return turn();
        },
      });
      worker.start();
      await someTurns();
      nowMs = startMs + waitMs;
      vm.fill(0);
      upcall.raise();
      await until(() => served() === 20);
      await worker.stop();
      assert.equal(turnedMs[0], startMs + turnMs);
    });

  test('the passes before it parked do not count', async () => {
    let nowMs = 0;
    let turns = 0;
    const burst = PASSES_PER_TURN - 1;
    const { worker, upcall, vm, served } = busy(burst, {
      now: () => nowMs,
      turn: () => {
        turns++;
        return turn();
      },
    });
    worker.start();
    for (let bursts = 1; bursts <= 2; bursts++) {
      await someTurns();
      nowMs += 10;
      vm.fill(0);
      upcall.raise();
      await until(() => served() === bursts * burst);
    }
    assert.equal(turns, 0);
    await worker.stop();
  });

  test('stopping waits for the end of its loop', async () => {
    let release = (): void => undefined;
    const { worker, vm, served } = busy(PASSES_PER_TURN, {
      now: () => 0,
      turn: () => new Promise((resolve) => (release = resolve)),
    });
    vm.fill(0);
    worker.start();
    await until(() => served() === PASSES_PER_TURN);
    let isStopped = false;
    const stopped = worker.stop().then(() => (isStopped = true));
    await someTurns();
    assert.equal(isStopped, false);
    release();
    await stopped;
  });

  test('makes no pass when it is paused just after the upcall woke it', async () => {
    const { worker, upcall, vm, served } = busy(1, {});
    const wait = upcall.wait.bind(upcall);
    upcall.wait = async (poll) => {
      upcall.wait = wait;
      const found = await wait(poll);
      worker.pause();
      return found;
    };
    worker.start();
    await someTurns();
    vm.fill(0);
    upcall.raise();
    await someTurns();
    assert.equal(served(), 0);
    worker.resume();
    await until(() => served() === 1);
    await worker.stop();
  });

  test('makes no pass at its start if there is no work', async () => {
    const { worker, vm } = busy(1, {});
    let runs = 0;
    vm.requests.work.add({ hasWork: false, run: () => runs++ });
    worker.start();
    await someTurns();
    assert.equal(runs, 0);
    await worker.stop();
  });

  test('paused, it parks even if a slot is PENDING', async () => {
    let turns = 0;
    const { worker, upcall, vm } = busy(1, {
      turn: () => {
        turns++;
        return turn();
      },
    });
    worker.pause();
    vm.fill(0);
    worker.start();
    upcall.raise();
    await someTurns();
    assert.equal(turns, 0);
    worker.resume();
    await worker.stop();
  });

  test('polls with plain loads while it spins, and with ordered ones before it parks', async () => {
    const { worker, vm } = busy(1, {});
    const { work } = vm.requests;
    const polls: string[] = [];
    work.relaxed = () => {
      polls.push('relaxed');
      return false;
    };
    work.ordered = () => {
      polls.push('ordered');
      return false;
    };
    worker.start();
    await someTurns();
    assert.equal(polls[0], 'relaxed');
    assert.equal(polls.at(-1), 'ordered');
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
