/** Doorbells of PCI cards, written by a vCPU through the whole request path. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AccessSize } from '../device-model/device.js';
import { TestCard } from '../device-model/pci/fixtures/test-card.js';
import { mmio } from '../hsm/address-range.js';
import { MAX_ASYNC_EVENTS } from '../hsm/async-io.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from './service-vm.js';
import type { UserVm } from './user-vm.js';
import type { UserVmOptions } from './user-vm-options.js';

const CARD = { bus: 0, device: 5, function: 0 };
const MEMORY = 0xd000_0000;
const BELL = 0x10;
const OTHER_BELL = 0x20;

/** A card with two doorbells, which notes what reaches it. */
class Bells extends TestCard {
  readonly seen: string[] = [];
  readonly doorbells = [
    { bar: 0, offset: BELL },
    { bar: 0, offset: OTHER_BELL },
  ];

  constructor(name = 'bells') {
    super({ bars: [{ type: 'memory', size: 0x1000 }] }, name);
  }

  override write(_bar: number, offset: number): void {
    this.seen.push(`write ${offset.toString(16)}`);
  }

  override read(): number {
    this.seen.push('read');
    return this.seen.length;
  }

  rung(doorbell: number): void {
    this.seen.push(`rung ${doorbell}`);
  }
}

const access = (direction: 'read' | 'write', type: 'port' | 'mmio', address: number, value = 0): ScriptStep => ({
  type,
  direction,
  address,
  size: 4 satisfies AccessSize,
  ...(direction === 'write' ? { value } : {}),
});
const store = (offset: number): ScriptStep => access('write', 'mmio', MEMORY + offset, 1);
/** A read is a request: what was rung before it is known by its end. */
const load = (offset = 0): ScriptStep => access('read', 'mmio', MEMORY + offset);
const place = (address: number, device = CARD.device): ScriptStep[] =>
  (
    [
      [0x10, address],
      [0x04, 6],
    ] as const
  ).flatMap(([register, value]) => [
    access('write', 'port', 0xcf8, 0x8000_0000 + (device << 11) + register),
    access('write', 'port', 0xcfc, value),
  ]);

async function play(steps: ScriptStep[], prepare: (vm: UserVm) => void, options: UserVmOptions = {}): Promise<number> {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, clientTimeoutMs: 60_000, ...options });
  prepare(vm);
  await vm.start();
  await vm.ended;
  await serviceVm.close();
  return vm.counters().requests;
}

describe('a doorbell of a card', () => {
  test('is no request, and the card is rung before the next one', async () => {
    const card = new Bells();
    const requests = await play(
      [...place(MEMORY), store(BELL), load(), store(OTHER_BELL), load(), store(BELL + 4)],
      (vm) => void vm.attachCard(card, CARD),
    );
    assert.deepEqual(card.seen, ['rung 0', 'read', 'rung 1', 'read', 'write 14']);
    assert.equal(requests, 4 + 3);
  });

  test('moves with its BAR, and is gone with it', async () => {
    const card = new Bells();
    const moved = MEMORY + 0x1000;
    await play(
      [
        ...place(MEMORY),
        ...place(moved),
        store(BELL),
        access('write', 'mmio', moved + BELL, 1),
        access('read', 'mmio', moved),
        ...place(0xffff_f000),
        access('write', 'mmio', moved + BELL, 1),
      ],
      (vm) => void vm.attachCard(card, CARD),
    );
    assert.deepEqual(card.seen, ['rung 0', 'read']);
  });

  test('is not rung any more when the card is removed', async () => {
    const card = new Bells();
    await play([...place(MEMORY), store(BELL), load(), load(0x2000), store(BELL), load()], (vm) => {
      const attached = vm.attachCard(card, CARD);
      vm.attach(mmio(MEMORY + 0x2000, 4), {
        name: 'remover',
        read: () => {
          attached.detach();
          return 0;
        },
        write: () => undefined,
      });
    });
    assert.deepEqual(card.seen, ['rung 0', 'read']);
  });

  test('is a request like any other in a VM with a fault plan', async () => {
    const card = new Bells();
    const faults = { rules: ['client=bells write: ones'] };
    await play([...place(MEMORY), store(BELL), load()], (vm) => void vm.attachCard(card, CARD), { faults });
    assert.ok(card.seen.includes('read') && !card.seen.includes('rung 0'), card.seen.join());
  });

  test('beyond the limit is a request like any other', async () => {
    const cards = Array.from({ length: MAX_ASYNC_EVENTS / 2 + 1 }, (_, index) => new Bells(`bells ${index}`));
    const last = cards.at(-1) as Bells;
    await play(
      [
        ...cards.flatMap((_, index) =>
          [0, 1, 2, 3]
            .map((step) => place(MEMORY + index * 0x1000, index >> 3)[step] as ScriptStep)
            .map((one, step) =>
              step % 2 === 0 ? { ...one, value: ((one as { value: number }).value + ((index & 7) << 8)) >>> 0 } : one,
            ),
        ),
        store((cards.length - 1) * 0x1000 + BELL),
        store(BELL),
        load(),
      ],
      (vm) =>
        cards.forEach((card, index) => {
          vm.attachCard(card, { bus: 0, device: index >> 3, function: index & 7 });
        }),
    );
    assert.deepEqual(last.seen, ['write 10']);
    assert.deepEqual(cards[0]?.seen, ['rung 0', 'read']);
  });
});
