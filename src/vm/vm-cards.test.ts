/** PCI cards in a VM, driven by vCPUs through the whole request path. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { AccessSize, Device } from '../device-model/device.js';
import { TestCard } from '../device-model/pci/fixtures/test-card.js';
import type { PciAddress } from '../device-model/pci-function.js';
import { mmio } from '../hsm/address-range.js';
import { ScriptedHypervisor, type Script, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { Deferred } from '../sync/deferred.js';
import { ServiceVm } from './service-vm.js';
import { describeEvent, type UserVmEvent } from './user-vm-events.js';
import type { UserVm } from './user-vm.js';
import type { UserVmOptions } from './user-vm-options.js';
import type { PeekedRegisters } from './vm-inspection.js';

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const ALL_ONES = 0xffff_ffffn;
const CARD: PciAddress = { bus: 0, device: 5, function: 0 };
const BAR0 = 0x10;
const COMMAND = 0x04;
const MEMORY = 0xd000_0000;

const port = (direction: 'read' | 'write', address: number, value = 0, size: AccessSize = 4): ScriptStep =>
  direction === 'read' ? { type: 'port', direction, address, size } : { type: 'port', direction, address, size, value };
const select = ({ bus, device, function: fn }: PciAddress, register: number): ScriptStep =>
  port('write', CONFIG_ADDRESS, 0x8000_0000 + ((bus << 16) | (device << 11) | (fn << 8) | (register & 0xfc)));
const configRead = (register: number, at = CARD): ScriptStep[] => [select(at, register), port('read', CONFIG_DATA)];
const configWrite = (register: number, value: number, at = CARD): ScriptStep[] => [
  select(at, register),
  port('write', CONFIG_DATA, value),
];
const load = (address: number, size: AccessSize = 4): ScriptStep => ({
  type: 'mmio',
  direction: 'read',
  address,
  size,
});
const store = (address: number, value: number): ScriptStep => ({
  type: 'mmio',
  direction: 'write',
  address,
  size: 4,
  value,
});
const enableAt = (address: number, at = CARD): ScriptStep[] => [
  ...configWrite(BAR0, address, at),
  ...configWrite(COMMAND, 6, at),
];

interface Run {
  readonly vm: UserVm;
  readonly events: readonly UserVmEvent[];
  readonly values: readonly (readonly bigint[])[];
}

async function play(
  scripts: readonly (readonly ScriptStep[])[],
  prepare: (vm: UserVm) => void,
  options: UserVmOptions = {},
): Promise<Run> {
  const hypervisor = new ScriptedHypervisor(scripts.map((steps): Script => ({ steps: [...steps] })));
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({
    memoryMiB: 1,
    vcpus: scripts.length,
    // A slow machine is no late client.
    clientTimeoutMs: 60_000,
    ...options,
  });
  const events: UserVmEvent[] = [];
  vm.onEvent((event) => events.push(event));
  prepare(vm);
  await vm.start();
  const values = (await results).map((result) => [...result.values]);
  await vm.ended;
  await serviceVm.close();
  return { vm, events, values };
}

const oneBar = { bars: [{ type: 'memory', size: 0x1000 }] } as const;

test('a guest sizes a BAR, places it and reaches the card there, and nowhere else', async () => {
  const card = new TestCard(oneBar);
  const { values } = await play(
    [
      [
        ...configWrite(BAR0, 0xffff_ffff),
        ...configRead(BAR0),
        load(MEMORY),
        ...enableAt(MEMORY),
        store(MEMORY + 0x10, 0x1234),
        load(MEMORY + 0x10),
        ...configWrite(BAR0, MEMORY + 0x1000),
        load(MEMORY + 0x10),
        load(MEMORY + 0x1010),
        load(MEMORY + 0x1ffe),
        ...configWrite(COMMAND, 0),
        load(MEMORY + 0x1010),
      ],
    ],
    (vm) => void vm.attachCard(card, CARD),
  );
  assert.deepEqual(values[0], [0xffff_f000n, ALL_ONES, 0x1234n, ALL_ONES, 0x1234n, ALL_ONES, ALL_ONES]);
  assert.deepEqual(card.calls, ['connect', 'reset', 'close']);
});

test('each BAR of a card has its own offsets', async () => {
  class Echo extends TestCard {
    override read(bar: number, offset: number): number {
      return bar * 0x100 + offset;
    }
  }
  const card = new Echo({
    bars: [
      { type: 'ports', size: 8 },
      { type: 'memory', size: 0x1000 },
      { type: 'memory', size: 0x1000 },
    ],
  });
  const { values } = await play(
    [
      [
        ...configWrite(BAR0, 0x2000),
        ...configWrite(BAR0 + 4, 0x0010_2000),
        ...configWrite(BAR0 + 8, 0x0010_3000),
        ...configWrite(COMMAND, 3),
        port('read', 0x2004),
        load(0x0010_2004),
        load(0x0010_3004),
        ...configWrite(BAR0 + 4, 0x0020_0000),
        load(0x0020_0008),
        load(0x0010_2004),
      ],
    ],
    (vm) => void vm.attachCard(card, CARD),
  );
  assert.deepEqual(values[0], [0x004n, 0x104n, 0x204n, 0x108n, ALL_ONES]);
});

test('an 8-byte access of a 64-bit BAR comes as two of 4 bytes, and a promise is awaited', async () => {
  const seen: number[] = [];
  class Slow extends TestCard {
    override read(_bar: number, offset: number): Promise<number> {
      seen.push(offset);
      return Promise.resolve(offset);
    }
  }
  const card = new Slow({ bars: [{ type: 'memory64', size: 0x1000 }] });
  const { values } = await play(
    [
      [
        ...configWrite(BAR0 + 4, 1),
        ...enableAt(0x2000),
        { type: 'mmio', direction: 'read', address: 0x1_0000_2008, size: 8 },
      ],
    ],
    (vm) => void vm.attachCard(card, CARD),
  );
  assert.deepEqual(seen, [8, 12]);
  assert.deepEqual(values[0], [0x0000_000c_0000_0008n]);
});

test('an access in flight while its BAR moves is finished by the card, and new ones go to the new place', async () => {
  const isRead = new Deferred<number>();
  class Held extends TestCard {
    override read(_bar: number, offset: number): number | Promise<number> {
      return offset === 0 ? isRead.promise : 0x77;
    }
    override write(): void {
      isRead.resolve(0x55);
    }
  }
  const { values } = await play(
    [
      [...enableAt(MEMORY), store(0xfff0_0000, 1), load(MEMORY)],
      [
        load(0xfff1_0000),
        ...configWrite(BAR0, MEMORY + 0x8000),
        load(MEMORY),
        load(MEMORY + 0x8004),
        store(MEMORY + 0x8000, 0),
      ],
    ],
    (vm) => {
      vm.attachCard(new Held(oneBar), CARD);
      // vCPU 1 begins when the access of vCPU 0 is in the card.
      const isPlaced = new Deferred<undefined>();
      vm.attach(mmio(0xfff0_0000, 4), { name: 'go', read: () => 0, write: () => isPlaced.resolve(undefined) });
      const later = async (): Promise<number> => {
        await isPlaced.promise;
        while (
          vm.inspection.clients.every(
            (client) => client.name !== 'test-card' || vm.inspection.assignedSlots(client) === 0,
          )
        )
          await new Promise((resolve) => void setTimeout(resolve, 1));
        return 0;
      };
      vm.attach(mmio(0xfff1_0000, 4), { name: 'wait', read: later, write: () => undefined });
    },
  );
  assert.deepEqual(values[0], [0x55n], 'finished at the old place');
  assert.deepEqual(values[1], [0n, ALL_ONES, 0x77n]);
});

const still: Device = { name: 'still', read: () => 0x5a, write: () => undefined };

test('a BAR over RAM, the configuration ports, a device or another BAR is not decoded and reported', async () => {
  const other: PciAddress = { bus: 0, device: 6, function: 0 };
  const two = {
    bars: [
      { type: 'memory', size: 0x1000 },
      { type: 'ports', size: 8 },
    ],
  } as const;
  let refused: { readonly conflicts: number } | undefined;
  const { values, events, vm } = await play(
    [
      [
        ...enableAt(MEMORY),
        load(MEMORY),
        ...enableAt(0xf_f000),
        ...enableAt(0xe000_0000),
        load(0xe000_0004),
        ...configWrite(COMMAND, 7),
        ...configWrite(BAR0 + 4, CONFIG_ADDRESS),
        ...configRead(0),
        ...enableAt(0xe100_0000, other),
        load(0xe100_0000),
        ...enableAt(0xe100_0000),
        load(0xe100_0000),
        ...configWrite(COMMAND, 0, other),
        load(0xe100_0000),
      ],
    ],
    (made) => {
      made.attach(mmio(0xe000_0000, 0x100), still);
      const attached = made.attachCard(new TestCard(two, 'first'), CARD);
      made.attachCard(new TestCard(two, 'second'), other);
      made.onEvent(() => (refused = attached.counters));
    },
  );
  // Without an error, a scripted guest reads 0 from the cards.
  assert.deepEqual(values[0], [0n, 0x5an, 0x5678_1234n, 0n, ALL_ONES, 0n]);
  assert.deepEqual(events.filter(({ kind }) => kind === 'bar-conflict').map(describeEvent), [
    "card first (00:05.0) does not answer at MMIO 0xff000…0xfffff: the guest placed BAR 0 over the guest's RAM",
    'card first (00:05.0) does not answer at MMIO 0xe0000000…0xe0000fff: the guest placed BAR 0 over still',
    'card first (00:05.0) does not answer at ports 0xcf8…0xcff: the guest placed BAR 1 over PCI configuration',
    'card first (00:05.0) does not answer at MMIO 0xe1000000…0xe1000fff: the guest placed BAR 0 over BAR 0 of second',
    'card second (00:06.0) does not answer at MMIO 0xe1000000…0xe1000fff: the guest placed BAR 0 over BAR 0 of first',
  ]);
  assert.equal(refused?.conflicts, 4);
  assert.equal(vm.pci.read(0, 5, 0, 0, 4), 0xffff_ffff, 'the end of the VM removes its cards');
  assert.throws(() => vm.attachCard(new TestCard(), CARD), { code: 'VM_STATE' });
  assert.equal(vm.pci.read(0, 5, 0, 0, 4), 0xffff_ffff, 'and takes no other');
});

test('a device that is attached over a decoded BAR wins, and the BAR returns when it goes', async () => {
  let detach = (): void => undefined;
  const { values, events } = await play(
    [[...enableAt(MEMORY), load(MEMORY), store(0xfff0_0000, 1), load(MEMORY), store(0xfff0_0000, 0), load(MEMORY)]],
    (vm) => {
      const card = new TestCard(oneBar);
      card.cells.set('0:0/4', 0x11);
      vm.attachCard(card, CARD);
      vm.attach(mmio(0xfff0_0000, 4), {
        name: 'switch',
        read: () => 0,
        write: (_offset, _size, value) => (value === 0 ? detach() : void (detach = vm.attach(mmio(MEMORY, 4), still))),
      });
    },
  );
  assert.deepEqual(values[0], [0x11n, 0x5an, 0x11n]);
  assert.deepEqual(
    events.flatMap((event) => (event.kind === 'bar-conflict' ? [event.other] : [])),
    ['still'],
  );
});

test('a removed card vanishes: its requests in flight and later ones read as all ones', async () => {
  class Silent extends TestCard {
    override read(): Promise<number> {
      return new Promise(() => undefined);
    }
  }
  const card = new Silent({ ...oneBar, interruptPin: 'A' });
  const { values, vm } = await play([[...enableAt(MEMORY), load(MEMORY), load(MEMORY), ...configRead(0)]], (made) => {
    const attached = made.attachCard(card, CARD);
    const remove = setInterval(() => {
      const client = made.inspection.clients.find(({ name }) => name === 'test-card');
      if (client === undefined || made.inspection.assignedSlots(client) === 0) return;
      clearInterval(remove);
      card.handle?.raise();
      attached.detach();
      attached.detach();
    }, 1);
  });
  assert.deepEqual(values[0], [ALL_ONES, ALL_ONES, ALL_ONES]);
  assert.deepEqual(card.calls, ['connect', 'reset', 'close']);
  assert.equal(vm.hypercalls.shared.lines.level(11), false);
});

test('a card that exceeds the time limit is removed, with its function', async () => {
  class Silent extends TestCard {
    override read(): Promise<number> {
      return new Promise(() => undefined);
    }
  }
  const card = new Silent(oneBar);
  const { values, events } = await play(
    [[...enableAt(MEMORY), load(MEMORY), ...configRead(0)]],
    (vm) => void vm.attachCard(card, CARD),
    { clientTimeoutMs: 50 },
  );
  assert.deepEqual(values[0], [ALL_ONES, ALL_ONES]);
  assert.deepEqual(card.calls, ['connect', 'reset', 'close']);
  assert.ok(events.some(({ kind }) => kind === 'client-late'));
});

test('pins of several cards on one interrupt are wired-OR', async () => {
  const levels: boolean[] = [];
  const [first, second] = ['first', 'second'].map((name) => new TestCard({ interruptPin: 'A' }, name));
  await play([[load(MEMORY)]], (vm) => {
    // Pin A of odd devices: interrupt 11.
    vm.attachCard(first as TestCard, CARD);
    vm.attachCard(second as TestCard, { bus: 0, device: 7, function: 0 });
    const level = (): void => void levels.push(vm.hypercalls.shared.lines.level(11));
    for (const act of ['raise', 'lower'] as const)
      for (const card of [first, second]) {
        card?.handle?.[act]();
        level();
      }
  });
  assert.deepEqual(levels, [true, true, true, false]);
});

test('a card gets the first free device number, and errors name what is wrong', async () => {
  await play([[load(MEMORY)]], (vm) => {
    assert.equal(vm.attachCard(new TestCard()).address.device, 1);
    const card = new TestCard({}, 'named');
    assert.equal(vm.attachCard(card).address.device, 2);
    assert.throws(() => vm.attachCard(card), { code: 'DEVICE_INVALID', message: /attached already/ });
    const again = new TestCard({}, 'again');
    vm.attachCard(again, { bus: 1, device: 0, function: 0 }).detach();
    vm.attachCard(again, { bus: 1, device: 0, function: 0 }).detach();
    vm.attachCard(again, { bus: 1, device: 0, function: 1 }).detach();
    vm.attachCard(again, { bus: 1, device: 0, function: 0 });
    assert.equal(vm.pci.read(1, 0, 0, 0x0e, 1) & 0xff, 0, 'one function is left');
    assert.throws(() => vm.attachCard(new TestCard({ vendor: -1 })), {
      code: 'DEVICE_INVALID',
      message: /pci\.vendor/,
    });
    const unplaced = new TestCard();
    assert.throws(() => vm.attachCard(unplaced, { bus: 0, device: 2, function: 0 }), {
      code: 'RANGE_OVERLAP',
      message: /named is there/,
    });
    assert.throws(() => vm.attachCard(unplaced, { bus: 0, device: 32, function: 0 }), { code: 'RANGE_INVALID' });
    assert.deepEqual(unplaced.calls, ['close', 'close'], 'a card that is not attached is closed');
    assert.ok(!card.calls.includes('close'), 'but not one that is attached already');
    assert.throws(() => vm.attach(mmio(MEMORY, 16), card as unknown as Device), {
      code: 'DEVICE_INVALID',
      message: /is a PCI card/,
    });
    class Broken extends TestCard {
      override connect(): void {
        throw new Error('not today');
      }
    }
    const broken = new Broken();
    assert.throws(() => vm.attachCard(broken), /not today/);
    assert.deepEqual(broken.calls, ['reset', 'close']);
    for (let device = 3; device < 32; device++) vm.attachCard(new TestCard());
    assert.throws(() => vm.attachCard(unplaced), { code: 'VM_LIMIT' });
    assert.equal(unplaced.calls.length, 3);
    const stubborn = new TestCard({}, 'stubborn');
    stubborn.close = () => {
      throw new Error('no');
    };
    assert.throws(() => vm.attachCard(stubborn), { code: 'VM_LIMIT' });
    vm.attachCard(new TestCard(), { bus: 0, device: 31, function: 1 });
    assert.equal(vm.pci.read(0, 31, 0, 0x0e, 1) & 0x80, 0x80, 'several functions');
  });
});

test('the registers of a card and of its configuration space are displayed', async () => {
  let peeked: Promise<PeekedRegisters> | undefined;
  await play([[load(MEMORY)]], (vm) => {
    const card = new TestCard(oneBar);
    const map = {
      source: 'none',
      registers: [{ bar: 2, offset: 4, size: 4, name: 'X', access: 'r', meaning: 'x' }],
    } as const;
    vm.attachCard(
      Object.assign(card, { registers: map, peek: (bar: number, offset: number) => bar * 16 + offset }),
      CARD,
    );
    const client = vm.inspection.clients.find(({ name }) => name === 'test-card');
    assert.ok(client !== undefined && vm.inspection.hasRegisters(client));
    peeked = vm.inspection.peek(client);
  });
  assert.equal((await peeked)?.registers[0]?.value, 0x24);
});
