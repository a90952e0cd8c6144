/** PCI cards in threads of their own, driven by vCPUs through the whole request path. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { SystemClock } from '../device-model/clock.js';
import { UNCONNECTED } from '../device-model/device.js';
import WorkerCard, { COPY_BYTES, WORKER, WORKER_WORDS } from '../device-model/placement/fixtures/worker-card.js';
import { inOwnThread } from '../device-model/placement/thread-placement.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { pciInterrupt } from '../hypervisor/boot/interrupt-routing.js';
import { SharedWords } from '../sync/shared-words.js';
import { ServiceVm } from './service-vm.js';
import type { AttachedCard } from './vm-cards.js';
import type { UserVm } from './user-vm.js';
import type { UserVmEvent } from './user-vm-events.js';
import type { UserVmOptions } from './user-vm-options.js';

const CARD = { bus: 0, device: 5, function: 0 };
const MEMORY = 0xd000_0000;
const WIDE = 0xe_0000_0000;
const PORTS = 0x2000;
const TABLE = 0xd010_0000;
const ALL_ONES = 0xffff_ffff;
/** A register that means nothing to a card. */
const CACHE_LINE_SIZE = 0x0c;
/** What the pin of device 5 is routed to. */
const PIN = pciInterrupt(CARD.device, 0);

const port = (address: number, value?: number): ScriptStep => ({
  type: 'port',
  direction: value === undefined ? 'read' : 'write',
  address,
  size: 4,
  ...(value === undefined ? {} : { value }),
});
const mem = (address: number, value?: number): ScriptStep => ({
  type: 'mmio',
  direction: value === undefined ? 'read' : 'write',
  address,
  size: 4,
  ...(value === undefined ? {} : { value }),
});
const load = (offset: number): ScriptStep => mem(MEMORY + offset);
const store = (offset: number, value = 1): ScriptStep => mem(MEMORY + offset, value);
const config = (register: number, value?: number): ScriptStep[] => [
  port(0xcf8, 0x8000_0000 + (CARD.device << 11) + register),
  port(0xcfc, value),
];
const waitForPin: ScriptStep = { type: 'wait-for-interrupt', line: PIN };

/** Places all BARs and enables the card. */
const setUp: readonly ScriptStep[] = [
  ...config(0x10, MEMORY),
  ...config(0x14, WIDE % 2 ** 32),
  ...config(0x18, Math.floor(WIDE / 2 ** 32)),
  ...config(0x1c, PORTS),
  ...config(0x20, TABLE),
  ...config(0x04, 7),
];
const enableMsix: readonly ScriptStep[] = [
  ...[0, 1].flatMap((vector) => [
    mem(TABLE + 16 * vector, 0xfee0_0000),
    mem(TABLE + 16 * vector + 8, 0x40 + vector),
    mem(TABLE + 16 * vector + 12, 0),
  ]),
  ...config(0x60, 0x8000_0000),
];
const copy = (source: number, target: number): ScriptStep[] => [
  store(WORKER.SOURCE, source),
  store(WORKER.TARGET, target),
  store(WORKER.COPY),
];

type Place = 'in the Service VM’s thread' | 'in its own thread';
const PLACES: readonly Place[] = ['in the Service VM’s thread', 'in its own thread'];
const MODULE = new URL('../device-model/placement/fixtures/worker-card.js', import.meta.url);

interface Run {
  readonly vm: UserVm;
  readonly card: AttachedCard;
  readonly words: SharedWords;
  readonly events: readonly UserVmEvent[];
  readonly values: readonly number[];
}

interface Plan extends UserVmOptions {
  /** While the guest runs. */
  readonly meanwhile?: (run: Omit<Run, 'values'>) => Promise<void>;
}

async function run(steps: readonly ScriptStep[], place: Place, { meanwhile, ...options }: Plan = {}): Promise<Run> {
  const hypervisor = new ScriptedHypervisor([{ steps: [...steps] }]);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({
    memoryMiB: 1,
    // A slow machine is no late client.
    clientTimeoutMs: 60_000,
    startTimeoutMs: 60_000,
    statistics: true,
    ...options,
  });
  const events: UserVmEvent[] = [];
  vm.onEvent((event) => events.push(event));
  const words = new SharedWords(WORKER_WORDS.COUNT);
  vm.memory.write(
    0x1000,
    Uint8Array.from({ length: COPY_BYTES }, (_, index) => index + 1),
  );
  const context = { interruptLine: () => UNCONNECTED, memory: vm.memory, clock: new SystemClock() };
  const card =
    place === 'in its own thread'
      ? await vm.attachCard(inOwnThread(MODULE, { words: words.buffer }), CARD)
      : vm.attachCard(new WorkerCard(context, { words: words.buffer }), CARD);
  await vm.start();
  await meanwhile?.({ vm, card, words, events });
  const values = (await results).flatMap((result) => result.values.map(Number));
  await vm.ended;
  await serviceVm.close();
  return { vm, card, words, events, values };
}

/** Until the words of the card say so. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}

for (const place of PLACES)
  describe(`a card ${place}`, { timeout: 120_000 }, () => {
    test('answers at each of its BARs, before and after they have moved', async () => {
      const { values } = await run(
        [
          ...config(0x00),
          ...setUp,
          store(WORKER.SOURCE, 0x1234),
          load(WORKER.SOURCE),
          mem(WIDE + 0x40),
          port(PORTS + 4),
          mem(MEMORY + 0xffe),
          ...config(0x10, MEMORY + 0x8000),
          load(WORKER.SOURCE),
          mem(MEMORY + 0x8000),
          ...config(0x04, 0),
          mem(MEMORY + 0x8000),
        ],
        place,
      );
      assert.deepEqual(values, [0x0c0c_1234, 0x1234, 0x10_0404, 0x30_0044, ALL_ONES, ALL_ONES, 0x1234, ALL_ONES]);
    });

    test('copies by DMA, and sends the messages of its MSI-X table', async () => {
      const { values, vm, card } = await run(
        [
          ...setUp,
          ...enableMsix,
          ...copy(0x1000, 0x2000),
          load(WORKER.STATUS),
          ...copy(0x1000, 0x10_0000),
          load(WORKER.STATUS),
          ...config(0x04),
        ],
        place,
      );
      assert.deepEqual(values.slice(0, 2), [1, 2]);
      assert.equal((values[2] ?? 0) >>> 29, 1, 'received master abort');
      assert.deepEqual([...vm.memory.read(0x2000, 2)], [1, 2]);
      const { messages } = vm.inspection.interrupts();
      assert.deepEqual(
        messages.map(({ vector, sent }) => [vector, sent]),
        [
          [0, 1],
          [1, 1],
        ],
      );
      assert.deepEqual(card.counters, { refusedDma: 1, refusedMessages: 0, conflicts: 0 });
    });

    test('has no DMA without bus mastering', async () => {
      const { values, card } = await run(
        [...setUp, ...config(0x04, 3), ...copy(0x1000, 0x2000), load(WORKER.STATUS)],
        place,
      );
      assert.deepEqual(values, [2]);
      assert.equal(card.counters.refusedDma, 1);
    });

    test('drives its pin, which is low when the read that clears its cause has ended', async () => {
      const { values } = await run(
        [...setUp, ...copy(0x1000, 0x2000), waitForPin, ...config(0x04), load(WORKER.STATUS), ...config(0x04)],
        place,
      );
      const pinStatus = values.map((value, index) => (index === 1 ? value : (value >>> 19) & 1));
      assert.deepEqual(pinStatus, [1, 1, 0]);
    });

    test('is called for its doorbells', async () => {
      const { values, vm } = await run([...setUp, store(WORKER.BELL), waitForPin, load(WORKER.RUNG)], place);
      assert.deepEqual(values, [1]);
      assert.deepEqual(
        vm.inspection.interrupts().doorbells.map(({ writes }) => writes),
        [1],
      );
    });

    test('gets writes to doorbells as requests in a VM with a fault plan, whose rules apply to it', async () => {
      const { values } = await run(
        [...setUp, store(WORKER.BELL), waitForPin, load(WORKER.RUNG), load(WORKER.SOURCE)],
        place,
        { faults: { rules: ['client=worker mmio=0xd0000000 read: value=7'] } },
      );
      assert.deepEqual(values, [1, 7]);
    });

    test('is reset by its function-level reset', async () => {
      const { values, words } = await run(
        [...setUp, store(WORKER.SOURCE, 5), ...config(0x44, 1), ...setUp, load(WORKER.SOURCE)],
        place,
      );
      assert.deepEqual(values, [0]);
      assert.ok(words.load(WORKER_WORDS.RESETS) >= 1);
    });

    test('reports, and its errors leave the guest with all ones', async () => {
      const { values, events } = await run([...setUp, load(WORKER.WRONG), store(WORKER.WRONG, 6), waitForPin], place, {
        meanwhile: async ({ vm, events: soFar }) => {
          // A thread's report comes as a message, and the end of the VM ends the thread.
          await until(() => soFar.some(({ kind }) => kind === 'device-report'));
          vm.interruptLine(PIN).set(true);
        },
      });
      assert.deepEqual(values, [ALL_ONES]);
      const error = events.find(({ kind }) => kind === 'device-error');
      assert.ok(error?.kind === 'device-error' && error.message === 'no such register', JSON.stringify(error));
      const report = events.find(({ kind }) => kind === 'device-report');
      assert.ok(report?.kind === 'device-report' && report.message === 'got 6', JSON.stringify(report));
    });

    test('shows its registers, and is closed when it has written what it has', async () => {
      const { card, words, events } = await run([...setUp, store(WORKER.SOURCE, 3), waitForPin], place, {
        meanwhile: async ({ vm }) => {
          const client = vm.inspection.clients.find(({ name }) => name === 'worker');
          assert.ok(client);
          // The guest has written its register once it waits for the pin.
          while ((await vm.inspection.peek(client)).registers[0]?.value !== 3)
            await new Promise((resolve) => setTimeout(resolve, 1));
          vm.interruptLine(PIN).set(true);
        },
      });
      await card.closed;
      assert.equal(words.load(WORKER_WORDS.CLOSED), 1);
      assert.deepEqual(
        events.filter(({ kind }) => kind === 'device-lost' || kind === 'device-error'),
        [],
      );
    });

    test('vanishes when it is detached', async () => {
      const { values } = await run([...setUp, waitForPin, load(WORKER.SOURCE), ...config(0x00)], place, {
        meanwhile: async ({ vm, card, words }) => {
          card.detach();
          await card.closed;
          assert.equal(words.load(WORKER_WORDS.CLOSED), 1);
          vm.interruptLine(PIN).set(true);
        },
      });
      assert.deepEqual(values, [ALL_ONES, ALL_ONES]);
    });
  });

describe('the thread of a card', { timeout: 120_000 }, () => {
  const own = 'in its own thread';

  test('that ends leaves all ones, and the card is gone', async () => {
    const { values, events } = await run([...setUp, mem(MEMORY + WORKER.DIE, 1), load(0), ...config(0)], own);
    assert.deepEqual(values, [ALL_ONES, ALL_ONES]);
    const lost = events.find(({ kind }) => kind === 'device-lost');
    assert.ok(lost?.kind === 'device-lost' && /process\.exit/.test(lost.reason), JSON.stringify(lost));
  });

  test('that loops is late: its request reads all ones, the card is gone and its thread ended', async () => {
    const { values, events, card } = await run([...setUp, store(WORKER.DIE, 2), load(0), ...config(0)], own, {
      clientTimeoutMs: 500,
    });
    assert.deepEqual(values, [ALL_ONES, ALL_ONES]);
    const late = events.find(({ kind }) => kind === 'client-late');
    assert.ok(late?.kind === 'client-late' && /inside this access/.test(late.detail ?? ''), JSON.stringify(late));
    await card.closed;
  });

  test('that computes through a reset has no DMA and no interrupts until it has taken the reset', async () => {
    const hypervisor = new ScriptedHypervisor([
      // vCPU 0 has the interrupt controllers.
      { steps: [waitForPin, ...config(0x44, 1), ...setUp, ...config(CACHE_LINE_SIZE, 8), waitForPin] },
      { steps: [...setUp, store(WORKER.TARGET, 0x2000), store(WORKER.GATE)] },
    ]);
    const serviceVm = new ServiceVm(hypervisor);
    const results = hypervisor.results();
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, vcpus: 2, clientTimeoutMs: 60_000 });
    const words = new SharedWords(WORKER_WORDS.COUNT);
    const card = await vm.attachCard(inOwnThread(MODULE, { words: words.buffer }), CARD);
    vm.memory.fill(9, 0x2000, COPY_BYTES);
    await vm.start();
    await until(() => words.load(WORKER_WORDS.ENTERED) === 1);
    const line = vm.interruptLine(PIN);
    line.set(true);
    // The other vCPU has reset the card and made it a bus master again.
    await until(() => vm.pci.read(0, CARD.device, 0, CACHE_LINE_SIZE, 1) === 8);
    line.set(false);
    words.store(WORKER_WORDS.OPENED, 1);
    await until(() => words.load(WORKER_WORDS.COPIED) !== 0);
    assert.equal(words.load(WORKER_WORDS.COPIED), 2);
    assert.equal(vm.memory.readU8(0x2000), 9);
    line.set(true);
    await results;
    assert.equal(card.counters.refusedDma, 1);
    await serviceVm.close();
  });

  test('gives the address of a card without one, also to several at once', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    const attach = (): Promise<AttachedCard> =>
      vm.attachCard(inOwnThread(MODULE, { words: new SharedWords(WORKER_WORDS.COUNT).buffer }));
    const cards = await Promise.all([attach(), attach()]);
    assert.deepEqual(
      cards.map(({ address }) => address.device),
      [1, 2],
    );
    await assert.rejects(
      vm.attachCard(inOwnThread(MODULE, { words: new SharedWords(WORKER_WORDS.COUNT).buffer }), {
        bus: 0,
        device: 2,
        function: 0,
      }),
      { code: 'RANGE_OVERLAP' },
    );
    const words = new SharedWords(WORKER_WORDS.COUNT);
    const late = vm.attachCard(inOwnThread(MODULE, { words: words.buffer }));
    await vm.destroy();
    await assert.rejects(late, { code: 'VM_STATE' });
    await serviceVm.close();
  });

  test('that cannot create its card, or never does, rejects', async () => {
    const serviceVm = new ServiceVm(new ScriptedHypervisor([]));
    const vm = await serviceVm.createUserVm({ memoryMiB: 1, startTimeoutMs: 200 });
    const fixture = (name: string): URL => new URL(`../device-model/placement/fixtures/${name}.js`, import.meta.url);
    await assert.rejects(vm.attachCard(inOwnThread(fixture('read-counter'), { start: 1 })), {
      code: 'DEVICE_MODULE_INVALID',
    });
    await assert.rejects(vm.attachCard(inOwnThread(fixture('never-made'))), { code: 'DEVICE_MODULE_INVALID' });
    await serviceVm.close();
  });
});
