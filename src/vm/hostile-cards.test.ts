/**
 * Guests that do anything to their PCI cards, from several vCPUs at once: random configuration
 * writes, BARs that move while accesses fly. No access is lost or given to two cards, RAM keeps its
 * bytes, and nothing throws. A failure prints its seed.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import type { AccessSize } from '../device-model/device.js';
import type { CardHandle, PciCard, PciDescription } from '../device-model/pci/pci-card.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from './service-vm.js';
import type { UserVmEvent } from './user-vm-events.js';

const RUNS = 12;
const MIN_STEPS = 40;
const MAX_STEPS = 60;
const VCPUS = 3;
const CARDS = 3;
const ALL_ONES = 0xffff_ffff;
/** Where BARs may go: RAM, a hole, and around 4 GiB. Few places, so that most collide. */
const PLACES = [0, 0x1000, 0xf_f000, 0xd000_0000, 0xd000_1000, 0xd000_2000, 0xfffe_0000, 0xffff_f000];
const PORTS = [0, 0xcf8, 0xcf0, 0x1000, 0x1008, 0xfff8];
const RAM_PATTERN = 0xa5;

/** Answers with its number, at once or later, and interrupts at each access. */
class Card implements PciCard {
  readonly name: string;
  readonly pci: PciDescription;
  readonly stored: number[] = [];
  readonly #tag: number;
  #handle: CardHandle | undefined;

  constructor(tag: number) {
    this.name = `card${tag}`;
    this.#tag = tag;
    this.pci = {
      vendor: 0x1234,
      device: tag,
      class: 0xff0000,
      bars: [
        { type: 'memory', size: 0x1000 },
        { type: 'memory64', size: 0x2000 },
        { type: 'ports', size: 8 },
      ],
      msi: 4,
      msix: 5,
      interruptPin: 'A',
    };
  }

  connect(handle: CardHandle): void {
    this.#handle = handle;
  }

  read(bar: number, offset: number, size: AccessSize): number | Promise<number> {
    this.#check(bar, offset, size);
    if (offset % 3 !== 0) return this.#tag;
    return new Promise((resolve) => void setTimeout(() => resolve(this.#tag), offset % 2));
  }

  write(bar: number, offset: number, size: AccessSize, value: number): void {
    this.#check(bar, offset, size);
    if (size === 4) this.stored.push(value);
  }

  #check(bar: number, offset: number, size: number): void {
    const length = { 0: 0x1000, 1: 0x2000, 3: 8 }[bar];
    assert.ok(length !== undefined && offset >= 0 && offset + size <= length, `${bar}:${offset}+${size}`);
    this.#handle?.interrupt(offset % 5);
    // Mostly outside of RAM.
    this.#handle?.dma.read(offset * 0x1000, 8);
  }
}

const value32 = fc.oneof(fc.constantFrom(...PLACES, ...PORTS, 0, 1, ALL_ONES), fc.integer({ min: 0, max: ALL_ONES }));
const config = fc.record({
  kind: fc.constant('config' as const),
  device: fc.integer({ min: 1, max: CARDS + 1 }),
  // The command, the BARs, the capabilities; the rest less often.
  register: fc.oneof(
    fc.constantFrom(0x04, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x44, 0x48, 0x4c, 0x54, 0x58, 0x60),
    fc.integer({ min: 0, max: 63 }).map((word) => word * 4),
  ),
  offset: fc.constantFrom(0, 0, 0, 1, 2, 3),
  size: fc.constantFrom(1, 2, 4, 4, 4),
  value: value32,
  isRead: fc.boolean(),
});
const enable = fc.record({
  kind: fc.constant('enable' as const),
  device: fc.integer({ min: 1, max: CARDS }),
  place: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...PLACES.slice(3)) },
    { weight: 1, arbitrary: fc.constantFrom(...PLACES) },
  ),
});
const memory = fc.record({
  kind: fc.constant('memory' as const),
  // Not RAM: a scripted vCPU makes requests of accesses that would not trap.
  place: fc.constantFrom(...PLACES.slice(3)),
  offset: fc.oneof(fc.integer({ min: 0, max: 0x1fff }), fc.constantFrom(0, 4, 0xffc, 0xffe)),
  size: fc.constantFrom(1, 2, 4, 4, 4, 8),
  isRead: fc.boolean(),
});
const port = fc.record({
  kind: fc.constant('port' as const),
  place: fc.constantFrom(0x1000, 0x1008, 0xfff8, 0xcf0),
  offset: fc.integer({ min: 0, max: 7 }),
  size: fc.constantFrom(1, 2, 4),
  isRead: fc.boolean(),
});
const act = fc.oneof(
  { weight: 2, arbitrary: config },
  { weight: 2, arbitrary: enable },
  { weight: 4, arbitrary: memory },
  { weight: 1, arbitrary: port },
);
const program = fc.array(act, { minLength: MIN_STEPS, maxLength: MAX_STEPS });
const programs = fc.array(program, { minLength: VCPUS, maxLength: VCPUS });
type Act = typeof programs extends fc.Arbitrary<readonly (readonly (infer One)[])[]> ? One : never;

const select = (device: number, register: number): ScriptStep => ({
  type: 'port',
  direction: 'write',
  address: 0xcf8,
  size: 4,
  value: 0x8000_0000 + (device << 11) + register,
});
const configure = (device: number, register: number, value: number): ScriptStep[] => [
  select(device, register),
  { type: 'port', direction: 'write', address: 0xcfc, size: 4, value },
];

/** `stored`: the next number that a store has, each another one. */
function stepsOf(act: Act, stored: () => number): ScriptStep[] {
  if (act.kind === 'enable') return [...configure(act.device, 0x10, act.place), ...configure(act.device, 0x04, 7)];
  if (act.kind === 'config') {
    const { device, register, offset, size, value, isRead } = act;
    const access = { type: 'port', address: 0xcfc + offset, size: size } as const;
    return isRead
      ? [select(device, register), { ...access, direction: 'read' }]
      : [select(device, register), { ...access, direction: 'write', value: value % 2 ** (8 * size) }];
  }
  const { kind, place, offset, size, isRead } = act;
  const address = place + offset;
  if (kind === 'port') {
    const access = { type: 'port', address: address & 0xffff, size: size } as const;
    return [
      isRead ? { ...access, direction: 'read' } : { ...access, direction: 'write', value: stored() % 2 ** (8 * size) },
    ];
  }
  const access = { type: 'mmio', address, size: size as 4 } as const;
  return [isRead ? { ...access, direction: 'read' } : { ...access, direction: 'write', value: stored() }];
}

/** Plays the programs and returns how many stores reached a card. */
async function play(acts: readonly (readonly Act[])[]): Promise<number> {
  let next = 0x0100_0000;
  const scripts = acts.map((list) => ({ steps: list.flatMap((act) => stepsOf(act, () => next++)) }));
  const hypervisor = new ScriptedHypervisor(scripts);
  const serviceVm = new ServiceVm(hypervisor);
  const results = hypervisor.results();
  const vm = await serviceVm.createUserVm({ memoryMiB: 1, vcpus: VCPUS, clientTimeoutMs: 60_000 });
  const events: UserVmEvent[] = [];
  vm.onEvent((event) => events.push(event));
  vm.memory.fill(RAM_PATTERN);
  const cards = Array.from({ length: CARDS }, (_, index) => new Card(index + 1));
  for (const card of cards) vm.attachCard(card);
  await vm.start();
  await results;
  const bad = events.filter(({ kind }) => !['bar-conflict', 'halted', 'ended', 'triple-fault'].includes(kind));
  assert.deepEqual(bad, []);
  const stored = cards.flatMap((card) => card.stored).filter((value) => value >= 0x0100_0000 && value < next);
  assert.equal(new Set(stored).size, stored.length, 'a store went to two cards');
  assert.ok(
    vm.memory.bytes.every((byte) => byte === RAM_PATTERN),
    'RAM has changed',
  );
  await serviceVm.close();
  return stored.length;
}

test('whatever guests do to cards, each access goes to one place and RAM stays as it is', async () => {
  let reached = 0;
  const property = fc.asyncProperty(programs, async (acts) => {
    reached += await play(acts);
  });
  await fc.assert(property, { numRuns: RUNS });
  assert.ok(reached > 0, `${reached} stores reached cards`);
});
