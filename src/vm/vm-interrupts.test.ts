/** What a VM counts of its interrupts, driven by a vCPU through the whole request path. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TestCard } from '../device-model/pci/fixtures/test-card.js';
import type { CardDoorbell } from '../device-model/pci/pci-card.js';
import { mmio } from '../hsm/address-range.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from './service-vm.js';
import type { UserVm } from './user-vm.js';
import { MAX_COUNTED_CARDS } from './vm-cards.js';
import { MAX_MESSAGE_ROWS, VmInterrupts } from './vm-interrupts.js';
import { LineOwners } from '../device-model/line-owners.js';
import { describeInterrupt } from '../trace/interrupt-reader.js';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';

const BAR = 0xd000_0000;
const DOORBELL = BAR + 0x20;

const out = (port: number, value: number): ScriptStep => ({
  type: 'port',
  direction: 'write',
  address: port,
  size: 4,
  value,
});
const store = (address: number): ScriptStep => ({ type: 'mmio', direction: 'write', address, size: 4, value: 1 });
const load = (address: number): ScriptStep => ({ type: 'mmio', direction: 'read', address, size: 4 });
/** Of device 5. */
const config = (register: number, value: number): ScriptStep[] => [
  out(0xcf8, 0x8000_2800 | register),
  out(0xcfc, value),
];

class DoorbellCard extends TestCard {
  readonly doorbells: readonly CardDoorbell[] = [{ bar: 0, offset: 0x20 }];
  readonly rings: number[] = [];

  rung(doorbell: number): void {
    this.rings.push(doorbell);
  }
}

async function play(steps: readonly ScriptStep[], statistics: boolean, prepare: (vm: UserVm) => void): Promise<UserVm> {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [...steps] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, clientTimeoutMs: 60_000, statistics });
  prepare(vm);
  await vm.start();
  await vm.ended;
  await serviceVm.close();
  return vm;
}

test('lines, messages and doorbells are counted, and shown after the end as they were before it', async () => {
  const card = new DoorbellCard({ bars: [{ type: 'memory', size: 0x1000 }], msi: 2, interruptPin: 'A' });
  const steps = [
    ...config(0x10, BAR),
    ...config(0x04, 6),
    // MSI with one message, to an APIC. The control register is the upper half.
    ...config(0x4c, 0xfee0_0000),
    ...config(0x54, 0x31),
    ...config(0x48, 0x0001_0000),
    store(DOORBELL),
    store(DOORBELL),
    load(BAR),
    load(0xe000_0000),
  ];
  const vm = await play(steps, true, (created) => {
    created.attachCard(card, { bus: 0, device: 5, function: 0 });
    const line = created.interruptLine(7, 'prober');
    created.attach(mmio(0xe000_0000, 4), {
      name: 'prober',
      read: () => {
        for (const high of [true, false, true]) line.set(high);
        card.handle?.interrupt();
        card.handle?.interrupt();
        return created.injectMsi('INJECT_MSI', 0x1000, 0x40);
      },
      write: () => undefined,
      close: () => line.set(false),
    });
  });
  const { lines, messages, doorbells } = vm.inspection.interrupts();
  assert.deepEqual(lines, [
    { line: 7, owners: ['prober'], holders: ['prober'], isHigh: true, rises: 2, ends: undefined },
    // The pin of the card, which sends messages instead.
    { line: 11, owners: ['test-card'], holders: [], isHigh: false, rises: 0, ends: undefined },
  ]);
  assert.deepEqual(messages, [
    { source: 'test-card 00:05.0', vector: 0, sent: 2, isPending: false, refused: 0 },
    { source: 'INJECT_MSI', vector: 0x40, sent: 0, isPending: false, refused: 1 },
  ]);
  assert.deepEqual(doorbells, [{ card: 'test-card 00:05.0', writes: 2 }]);
  assert.deepEqual(card.rings, [0, 0]);
  const { portAccesses, mmioAccesses, answeredByHypervisor, requests, asyncWrites, failed } = vm.counters();
  assert.deepEqual([asyncWrites, failed], [2, 0]);
  assert.equal(portAccesses + mmioAccesses, answeredByHypervisor + requests + asyncWrites);
});

test('a VM without statistics has levels and owners, and counts no rises', async () => {
  const vm = await play([load(0xe000_0000)], false, (created) => created.interruptLine(3, 'a').set(true));
  assert.deepEqual(vm.inspection.interrupts().lines, [
    { line: 3, owners: ['a'], holders: ['a'], isHigh: true, rises: undefined, ends: undefined },
  ]);
});

test('of more cards than are counted, the oldest that was removed is forgotten', async () => {
  await play([], true, (vm) => {
    /** Its message goes nowhere: it is no bus master. */
    const attach = (name: string, device: number): (() => void) => {
      const card = new TestCard({ msi: 1 }, name);
      const attached = vm.attachCard(card, { bus: 1, device, function: 0 });
      vm.pci.write(1, device, 0, 0x4a, 2, 1);
      card.handle?.interrupt();
      return () => attached.detach();
    };
    attach('stays', 0);
    for (let index = 0; index < MAX_COUNTED_CARDS; index++) attach(`card ${index}`, 1)();
    const sources = vm.inspection.interrupts().messages.map(({ source }) => source);
    assert.equal(sources.length, MAX_COUNTED_CARDS);
    assert.deepEqual(sources.slice(0, 2), ['stays 01:00.0', 'card 1 01:01.0']);
  });
});

test('messages of more sources and vectors than have a row share one', () => {
  const interrupts = new VmInterrupts({
    hypercalls: { shared: new VmSharedState(), injectMsi: () => 0 },
    owners: new LineOwners(),
    cards: () => [],
  });
  for (let vector = 0; vector < MAX_MESSAGE_ROWS + 50; vector++) interrupts.inject(`source ${vector}`, 0, vector);
  const { messages } = interrupts.state;
  assert.deepEqual(messages.at(-1), { source: 'others', vector: 0, sent: 50, isPending: false, refused: 0 });
  assert.equal(messages.length, MAX_MESSAGE_ROWS + 1);
});

test('a trace has interrupts between the moves: lines with their owner, and messages with vector and sender', async () => {
  const card = new DoorbellCard({ bars: [{ type: 'memory', size: 0x1000 }], msi: 1, interruptPin: 'A' });
  const seen: string[] = [];
  let tracing: Promise<void> | undefined;
  await play([load(0xe000_0000)], false, (vm) => {
    vm.attachCard(card, { bus: 0, device: 5, function: 0 });
    vm.pci.write(0, 5, 0, 0x4a, 2, 1);
    const line = vm.interruptLine(7, 'prober');
    vm.attach(mmio(0xe000_0000, 4), {
      name: 'prober',
      read: () => {
        line.set(true);
        line.set(false);
        // It is no bus master.
        card.handle?.interrupt();
        return vm.injectMsi('INJECT_MSI', 0xfee0_0000, 0x40);
      },
      write: () => undefined,
    });
    const events = vm.inspection.traceWithInterrupts();
    tracing = (async () => {
      for await (const event of events)
        seen.push('interrupt' in event ? describeInterrupt(event).replace(/^\S+ ms /, '') : event.to);
    })();
  });
  await tracing;
  assert.deepEqual(
    seen.filter((text) => text !== 'FREE' && text !== 'PENDING'),
    [
      'PROCESSING',
      'line 7 raised by prober',
      'line 7 lowered by prober',
      'message sent by INJECT_MSI: vector 0x40',
      'COMPLETE',
    ],
  );
});
