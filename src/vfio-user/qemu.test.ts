/** The judge: a QEMU without a guest, whose accesses the test makes (qtest). */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { loadCard } from '../device-model/placement/device-module.js';
import type { PciCard } from '../device-model/pci/pci-card.js';
import { ScriptedHypervisor, type ScriptStep } from '../hypervisor/scripted/scripted-hypervisor.js';
import { ServiceVm } from '../vm/service-vm.js';
import { TestCard } from './fixtures/test-card.js';
import { qemuMissing, QtestQemu, sharedFolder } from './fixtures/qemu.js';
import { serveVfioUser, type ServedCard } from './serve.js';

const COMMAND = 4;
const BAR = 0xe000_0000;
const TABLE = 0xe010_0000;
const MSIX = 0x60;
const ENABLE = 0x7;

interface Machine {
  readonly qemu: QtestQemu;
  readonly served: ServedCard;
  readonly start: (isShared?: boolean) => QtestQemu;
}

async function machine(t: TestContext, card: PciCard, isShared = true): Promise<Machine> {
  const folder = sharedFolder();
  const served = await serveVfioUser(card, join(folder.path, 'card'), { statistics: true });
  const all: QtestQemu[] = [];
  const start = (shared = isShared): QtestQemu => {
    const qemu = new QtestQemu(folder.inQemu('card'), shared);
    all.push(qemu);
    return qemu;
  };
  t.after(async () => {
    await Promise.all(all.map((qemu) => qemu.kill()));
    await served.close();
    folder.remove();
  });
  return { qemu: start(), served, start };
}

const copier = (): Promise<PciCard> =>
  loadCard(new URL('../../examples/devices/copier.js', import.meta.url).href, {} as never, undefined);

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition()));
}

interface Access {
  readonly isWrite: boolean;
  readonly offset: number;
  readonly size: 1 | 2 | 4;
  readonly value: number;
}

/** Aligned accesses: a machine may split others. */
function randomProgram(seed: number, length: number): readonly Access[] {
  let state = seed;
  const below = (count: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % count;
  };
  return Array.from({ length }, () => {
    const size = ([1, 2, 4] as const)[below(3)] ?? 4;
    return { isWrite: below(2) === 1, offset: size * below(0x1000 / size), size, value: below(2 ** (8 * size - 1)) };
  });
}

/** Returns the values that were read. */
async function playUnderUpcall(card: PciCard, program: readonly Access[]): Promise<readonly number[]> {
  const config = (register: number, size: 2 | 4, value: number): ScriptStep[] => [
    { type: 'port', direction: 'write', address: 0xcf8, size: 4, value: 0x8000_0800 + register },
    { type: 'port', direction: 'write', address: 0xcfc, size, value },
  ];
  const steps = program.map(({ isWrite, offset, size, value }): ScriptStep => {
    const address = BAR + offset;
    return { type: 'mmio', direction: isWrite ? 'write' : 'read', address, size, ...(isWrite ? { value } : {}) };
  });
  const hypervisor = new ScriptedHypervisor([
    { steps: [...config(0x10, 4, BAR), ...config(COMMAND, 2, ENABLE), ...steps] },
  ]);
  const serviceVm = new ServiceVm(hypervisor);
  try {
    const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
    vm.attachCard(card, { bus: 0, device: 1, function: 0 });
    const results = hypervisor.results();
    await vm.start();
    const [result] = await results;
    return (result?.values ?? []).map(Number);
  } finally {
    await serviceVm.close();
  }
}

describe('in QEMU', { skip: qemuMissing, timeout: 60_000 }, () => {
  test('a card has its identity, its capabilities, and BARs of its sizes', async (t) => {
    const { qemu } = await machine(t, new TestCard());
    assert.equal(await qemu.config(0, 4), 0x5678_1234);
    assert.equal(await qemu.config(8, 4), 0xff00_0000);
    await qemu.setConfig(0x10, 4, 0xffff_ffff);
    assert.equal(await qemu.config(0x10, 4), 0xffff_f004);
    await qemu.setConfig(0x18, 4, 0xffff_ffff);
    assert.equal(await qemu.config(0x18, 4), 0xffff_fff1);
    const ids: number[] = [];
    for (let at = await qemu.config(0x34, 1); at !== 0; at = await qemu.config(at + 1, 1))
      ids.push(await qemu.config(at, 1));
    assert.deepEqual(ids.sort(), [0x05, 0x11, 0x13].sort());
  });

  test('accesses of 1, 2, 4 and 8 bytes and to ports reach the card as they are', async (t) => {
    const card = new TestCard();
    const { qemu } = await machine(t, card);
    await qemu.setConfig(0x10, 4, BAR);
    await qemu.setConfig(0x14, 4, 0);
    await qemu.setConfig(0x18, 4, 0xc000);
    await qemu.setConfig(COMMAND, 2, ENABLE);
    for (const size of [1, 2, 4, 8] as const) await qemu.read(BAR + 8, size);
    await qemu.write(BAR, 4, 0x1122_3344);
    assert.equal(await qemu.read(BAR, 4), 0x1122_3344);
    assert.equal(await qemu.command('inw 0xc004'), 0x3348);
    const wide = ['r 0+8/4', 'r 0+12/4'];
    const expected = ['r 0+8/1', 'r 0+8/2', 'r 0+8/4', ...wide, 'w 0+0/4=287454020', 'r 0+0/4', 'r 2+4/2'];
    assert.deepEqual(card.accesses, expected);
  });

  test('a reset of the machine resets the card', async (t) => {
    const card = new TestCard();
    const { qemu } = await machine(t, card);
    await qemu.setConfig(0x10, 4, BAR);
    await qemu.setConfig(COMMAND, 2, ENABLE);
    await qemu.write(BAR, 4, 9);
    const { resets } = card;
    // The reset control register of the PC.
    await qemu.command('outb 0xcf9 0x6');
    await waitFor(async () => {
      await qemu.command('inb 0xcf9');
      return card.resets > resets;
    });
    await qemu.setConfig(0x10, 4, BAR);
    await qemu.setConfig(COMMAND, 2, ENABLE);
    assert.equal(await qemu.read(BAR, 4), 0x0403_0201);
    assert.doesNotMatch(qemu.errors, /error/i);
  });

  test('the example copies memory, and its MSI-X messages reach their addresses', async (t) => {
    const { qemu, served } = await machine(t, await copier());
    await qemu.setConfig(0x10, 4, BAR);
    await qemu.setConfig(0x14, 4, TABLE);
    await qemu.setConfig(COMMAND, 2, ENABLE);
    // In this machine a message may be a write to RAM.
    for (let vector = 0; vector < 2; vector++) {
      await qemu.write(TABLE + 16 * vector, 4, 0x3000 + 4 * vector);
      await qemu.write(TABLE + 16 * vector + 4, 4, 0);
      await qemu.write(TABLE + 16 * vector + 8, 4, 0xcafe + vector);
      await qemu.write(TABLE + 16 * vector + 12, 4, 0);
    }
    await qemu.setConfig(MSIX + 2, 2, 0x8000);
    await qemu.writeMemory(0x2000, Uint8Array.of(1, 2, 3, 4));
    for (const [offset, value] of [
      [0, 0x2000],
      [4, 0x2010],
      [8, 4],
      [12, 1],
    ] as const)
      await qemu.write(BAR + offset, 4, value);
    assert.equal(await qemu.read(BAR + 16, 4), 1);
    assert.deepEqual([...(await qemu.readMemory(0x2010, 4))], [1, 2, 3, 4]);
    await waitFor(async () => (await qemu.read(0x3000, 4)) === 0xcafe);
    assert.equal(await qemu.read(0x3004, 4), 0);
    // An address without RAM.
    await qemu.write(BAR, 4, 0xf000_0000);
    await qemu.write(BAR + 12, 4, 1);
    await waitFor(async () => (await qemu.read(0x3004, 4)) === 0xcaff);
    assert.ok(served.guestMemory.mapped > 60 * 2 ** 20, JSON.stringify(served.guestMemory));
    assert.equal(served.client?.interrupts, 2);
  });

  test('a QEMU that is killed leaves the card to the next one', async (t) => {
    const card = new TestCard();
    const { qemu, start } = await machine(t, card);
    await qemu.setConfig(0x10, 4, BAR);
    await qemu.setConfig(COMMAND, 2, ENABLE);
    await qemu.write(BAR, 4, 9);
    await qemu.kill();
    const next = start();
    assert.equal(await next.config(0, 4), 0x5678_1234);
    await next.setConfig(0x10, 4, BAR);
    await next.setConfig(COMMAND, 2, ENABLE);
    assert.equal(await next.read(BAR, 4), 0x0403_0201);
  });

  test('the same program gives the card the same accesses, and the guest the same values, as under upcall', async (t) => {
    const program = randomProgram(1, 60);
    const here = new TestCard();
    const expected = await playUnderUpcall(here, program);
    const there = new TestCard();
    const { qemu } = await machine(t, there);
    await qemu.setConfig(0x10, 4, BAR);
    await qemu.setConfig(COMMAND, 2, ENABLE);
    const values: number[] = [];
    for (const { isWrite, offset, size, value } of program)
      if (isWrite) await qemu.write(BAR + offset, size, value);
      else values.push(await qemu.read(BAR + offset, size));
    assert.deepEqual(there.accesses, here.accesses);
    assert.deepEqual(values, expected);
  });

  test('with RAM of its own, DMA goes by messages', async (t) => {
    const card = new TestCard();
    const { qemu, served } = await machine(t, card, false);
    await qemu.setConfig(COMMAND, 2, ENABLE);
    await qemu.writeMemory(0x2000, Uint8Array.of(1, 2, 3, 4));
    assert.deepEqual([...(card.handle.dma.read(0x2000, 4) ?? [])], [1, 2, 3, 4]);
    assert.equal(card.handle.dma.write(0x2002, Uint8Array.of(8, 9)), true);
    assert.deepEqual([...(await qemu.readMemory(0x2000, 4))], [1, 2, 8, 9]);
    assert.equal(served.guestMemory.mapped, 0);
  });
});
