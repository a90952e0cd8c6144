import type { AccessSize } from '../device.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeRange } from '../../hsm/address-range.js';
import { PciRegister } from '../devices/pci/pci-config-space.js';
import type { CardFunction } from './card-function.js';
import { makeFunction, RAM_BYTES, TestCard } from './fixtures/test-card.js';

const ALL_ONES = 0xffff_ffff;
const { BAR0, COMMAND, STATUS } = PciRegister;
const AF_CONTROL = 0x44;

/** `bar: range` of those that are placed. */
function places(fn: CardFunction): string[] {
  return fn.bars.flatMap(({ layout, place }) =>
    place === undefined ? [] : [`${layout.bar}: ${describeRange(place)}`],
  );
}

test('the header has the identity of the card, which the guest cannot change', () => {
  const { fn } = makeFunction({ class: 0x028000, revision: 7, subsystem: { vendor: 0xabcd, device: 0xef01 } });
  for (const register of [0x00, 0x08, 0x0c, 0x2c, 0x34]) fn.writeConfig(register, 4, ALL_ONES);
  assert.equal(fn.readConfig(0x00, 4), 0x5678_1234);
  assert.equal(fn.readConfig(0x08, 4), 0x0280_0007);
  assert.equal(fn.readConfig(0x0e, 1), 0, 'header type 0');
  assert.equal(fn.readConfig(0x2c, 4), 0xef01_abcd);
  assert.equal(fn.readConfig(0x34, 4), 0x40);
  assert.equal(makeFunction({}).fn.readConfig(0x2c, 4), 0x5678_1234, 'the subsystem is the card by default');
});

test('a BAR written with all ones reads as its size and kind', () => {
  const { fn } = makeFunction({
    bars: [
      { type: 'memory', size: 0x1000 },
      { type: 'ports', size: 32 },
      { type: 'memory64', size: 0x10_0000, prefetchable: true },
    ],
  });
  for (let register: number = BAR0; register < 0x28; register += 4) fn.writeConfig(register, 4, ALL_ONES);
  const read = [0, 1, 2, 3, 4, 5].map((bar) => fn.readConfig(BAR0 + 4 * bar, 4));
  assert.deepEqual(read, [0xffff_f000, 0x0000_ffe1, 0xfff0_000c, ALL_ONES, 0, 0]);
});

test('a memory BAR above 4 GiB has a size in its upper register', () => {
  const { fn } = makeFunction({ bars: [{ type: 'memory64', size: 2 ** 34 }] });
  fn.writeConfig(BAR0, 4, ALL_ONES);
  fn.writeConfig(BAR0 + 4, 4, ALL_ONES);
  assert.equal(fn.readConfig(BAR0, 4), 0x4);
  assert.equal(fn.readConfig(BAR0 + 4, 4), 0xffff_fffc);
  fn.writeConfig(COMMAND, 2, 2);
  fn.writeConfig(BAR0 + 4, 4, 0x14);
  assert.deepEqual(places(fn), ['0: MMIO 0x1400000000…0x17ffffffff']);
});

test('a BAR has a place while its kind is enabled, and moves with each write', () => {
  const { fn, placed } = makeFunction({
    bars: [
      { type: 'memory', size: 0x1000 },
      { type: 'ports', size: 8 },
    ],
  });
  fn.writeConfig(BAR0, 4, 0xc000_0000);
  fn.writeConfig(BAR0 + 4, 4, 0xc100);
  assert.deepEqual(places(fn), []);
  assert.equal(placed(), 0);
  fn.writeConfig(COMMAND, 2, 2);
  assert.deepEqual(places(fn), ['0: MMIO 0xc0000000…0xc0000fff']);
  fn.writeConfig(COMMAND, 2, 3);
  assert.deepEqual(places(fn), ['0: MMIO 0xc0000000…0xc0000fff', '1: ports 0xc100…0xc107']);
  fn.writeConfig(BAR0 + 1, 1, 0x20);
  assert.deepEqual(places(fn)[0], '0: MMIO 0xc0002000…0xc0002fff', 'a byte of the register');
  fn.writeConfig(COMMAND, 2, 1);
  assert.deepEqual(places(fn), ['1: ports 0xc100…0xc107']);
  assert.equal(placed(), 4);
  fn.writeConfig(COMMAND, 2, 1);
  assert.equal(placed(), 4, 'no change');
});

test('a BAR at 0, of all ones or beyond 52 bits has no place', () => {
  const { fn } = makeFunction({
    bars: [
      { type: 'memory', size: 0x1000 },
      { type: 'ports', size: 8 },
      { type: 'memory64', size: 0x1000 },
    ],
  });
  fn.writeConfig(COMMAND, 2, 3);
  assert.deepEqual(places(fn), []);
  for (let register: number = BAR0; register < 0x20; register += 4) fn.writeConfig(register, 4, ALL_ONES);
  assert.deepEqual(places(fn), []);
  fn.writeConfig(BAR0 + 8, 4, 0x1000);
  assert.deepEqual(places(fn), [], 'bits 63 to 52 of the address');
  fn.writeConfig(BAR0 + 12, 4, 0x000f_ffff);
  assert.deepEqual(places(fn), ['2: MMIO 0xfffff00001000…0xfffff00001fff']);
});

test('a 64-bit BAR at the end of 4 GiB has a place, unless these are the first 4 GiB', () => {
  const { fn } = makeFunction({ bars: [{ type: 'memory64', size: 0x1_0000 }] });
  fn.writeConfig(COMMAND, 2, 2);
  fn.writeConfig(BAR0, 4, 0xffff_0000);
  assert.deepEqual(places(fn), [], 'all ones in the lower register: a guest that learns the size');
  fn.writeConfig(BAR0 + 4, 4, 1);
  assert.deepEqual(places(fn), ['0: MMIO 0x1ffff0000…0x1ffffffff']);
  fn.writeConfig(BAR0 + 4, 4, ALL_ONES);
  assert.deepEqual(places(fn), []);
});

test('only the bits of the command that the card has can be written', () => {
  const { fn } = makeFunction({});
  fn.writeConfig(COMMAND, 2, 0xffff);
  assert.equal(fn.readConfig(COMMAND, 2), 0x0544, 'no BARs');
  const full = makeFunction({
    bars: [
      { type: 'ports', size: 4 },
      { type: 'memory', size: 16 },
    ],
  }).fn;
  full.writeConfig(COMMAND, 2, 0xffff);
  assert.equal(full.readConfig(COMMAND, 2), 0x0547);
});

test('DMA needs bus mastering, and outside of RAM it ends with a master abort', () => {
  const { fn, handle, memory } = makeFunction({});
  memory.writeU32(0x100, 0x1122_3344);
  assert.equal(handle.dma.read(0x100, 4), undefined);
  assert.equal(handle.dma.write(0x200, Uint8Array.of(1)), false);
  assert.equal(fn.readConfig(STATUS, 2), 0x0010, 'no abort: the card did not try');
  fn.writeConfig(COMMAND, 2, 4);
  assert.deepEqual(handle.dma.read(0x100, 4), Uint8Array.of(0x44, 0x33, 0x22, 0x11));
  assert.equal(handle.dma.write(0x200, Uint8Array.of(1, 2)), true);
  assert.equal(memory.readU16(0x200), 0x0201);
  const target = new Uint8Array(2);
  assert.equal(handle.dma.readInto(0x200, target), true);
  assert.deepEqual([...target], [1, 2]);
  assert.equal(handle.dma.refused, 2);
  for (const address of [RAM_BYTES - 1, -1, NaN, 1.5, 2 ** 53]) {
    assert.equal(handle.dma.read(address, 2), undefined, String(address));
    assert.equal(handle.dma.readInto(address, target), false);
    assert.equal(handle.dma.write(address, target), false);
  }
  for (const length of [-1, 1.5, NaN, RAM_BYTES + 1]) assert.equal(handle.dma.read(0, length), undefined);
  assert.equal(handle.dma.refused, 21);
  assert.equal(fn.counters.refusedDma, 21);
  assert.equal(fn.readConfig(STATUS, 2), 0x2010);
  fn.writeConfig(STATUS, 2, 0x2000);
  assert.equal(fn.readConfig(STATUS, 2), 0x0010, 'cleared by a write of 1');
});

test('the pin follows the card while the guest has not disabled it, and the status bit always', () => {
  const { fn, handle, levels } = makeFunction({ interruptPin: 'B' });
  assert.equal(fn.readConfig(0x3c, 2), 0x020b, 'pin B, interrupt 11');
  handle.interrupt();
  assert.deepEqual(levels, [true]);
  assert.equal(fn.readConfig(STATUS, 2), 0x0018);
  fn.writeConfig(COMMAND, 2, 0x400);
  assert.deepEqual(levels, [true, false]);
  assert.equal(fn.readConfig(STATUS, 2), 0x0018);
  fn.writeConfig(STATUS, 2, 0xffff);
  assert.equal(fn.readConfig(STATUS, 2), 0x0018, 'no error to clear');
  fn.writeConfig(COMMAND, 2, 0);
  assert.deepEqual(levels, [true, false, true]);
  handle.lower();
  assert.deepEqual(levels, [true, false, true, false]);
  assert.equal(fn.readConfig(STATUS, 2), 0x0010);
  handle.raise();
  assert.equal(levels.at(-1), true);
});

test('an interrupt that the card does not have is its bug', () => {
  const { handle } = makeFunction({ msix: 2 });
  for (const vector of [-1, 2, 0.5, NaN]) assert.throws(() => handle.interrupt(vector), RangeError);
});

const MSI = { CONTROL: 0x4a, ADDRESS: 0x4c, DATA: 0x54, MASK: 0x58, PENDING: 0x5c };

/** MSI with `granted` vectors, as a power of two, at the first vCPU and vector 0x40. */
function enableMsi(fn: CardFunction, granted: number): void {
  fn.writeConfig(COMMAND, 2, 4);
  fn.writeConfig(MSI.ADDRESS, 4, 0xfee0_0003);
  fn.writeConfig(MSI.DATA, 2, 0x0041);
  fn.writeConfig(MSI.CONTROL, 2, (granted << 4) | 1);
}

test('MSI: the message number is in the low bits of the data, within what the guest granted', () => {
  const { fn, handle, messages, levels } = makeFunction({ msi: 4, interruptPin: 'A' });
  assert.equal(fn.readConfig(0x48, 2), 0x0005, 'the last capability');
  assert.equal(fn.readConfig(MSI.CONTROL, 2), 0x0184, '4 vectors, 64 bits, masks');
  enableMsi(fn, 1);
  handle.interrupt(0);
  handle.interrupt(1);
  handle.interrupt(2);
  handle.interrupt(3);
  assert.deepEqual(messages, ['fee00000/40', 'fee00000/41', 'fee00000/40', 'fee00000/41']);
  fn.writeConfig(MSI.CONTROL, 2, 0x71);
  handle.interrupt(3);
  assert.equal(messages.at(-1), 'fee00000/43', 'more than the card has: all');
  assert.deepEqual(levels, [], 'the pin is unused');
});

test('MSI: a masked message is pending until the guest unmasks it', () => {
  const { fn, handle, messages } = makeFunction({ msi: 32 });
  enableMsi(fn, 5);
  fn.writeConfig(MSI.MASK, 4, 0x8000_0001);
  handle.interrupt(0);
  handle.interrupt(31);
  handle.interrupt(31);
  assert.equal(fn.readConfig(MSI.PENDING, 4), 0x8000_0001);
  fn.writeConfig(MSI.PENDING, 4, 0);
  assert.equal(fn.readConfig(MSI.PENDING, 4), 0x8000_0001, 'read-only');
  assert.deepEqual(messages, []);
  fn.writeConfig(MSI.MASK, 4, 1);
  assert.deepEqual(messages, ['fee00000/5f']);
  fn.writeConfig(MSI.MASK, 4, 0);
  assert.deepEqual(messages, ['fee00000/5f', 'fee00000/40']);
  assert.equal(fn.readConfig(MSI.PENDING, 4), 0);
});

test('a level that the card drives leaves the pin while messages are enabled', () => {
  const { fn, handle, levels } = makeFunction({ msi: 1, interruptPin: 'A' });
  handle.raise();
  enableMsi(fn, 0);
  assert.deepEqual(levels, [true, false]);
  fn.writeConfig(MSI.CONTROL, 2, 0);
  assert.deepEqual(levels, [true, false, true]);
});

test('a message without bus mastering, or to no APIC, goes nowhere and is counted', () => {
  const { fn, handle, messages } = makeFunction({ msi: 1 });
  enableMsi(fn, 0);
  fn.writeConfig(COMMAND, 2, 0);
  handle.interrupt();
  fn.writeConfig(COMMAND, 2, 4);
  fn.writeConfig(MSI.ADDRESS, 4, 0x1000);
  handle.interrupt();
  fn.writeConfig(MSI.ADDRESS, 4, 0xfee0_0000);
  fn.writeConfig(MSI.ADDRESS + 4, 4, 1);
  handle.interrupt();
  assert.deepEqual(messages, []);
  assert.equal(fn.counters.refusedMessages, 3);
  assert.deepEqual(fn.messages, [{ vector: 0, sent: 0, isPending: false, refused: 3 }]);
});

test('messages are counted by their number, for both kinds', () => {
  const one = makeFunction({ msi: 4 });
  enableMsi(one.fn, 2);
  one.fn.writeConfig(MSI.MASK, 4, 0b1000);
  for (const vector of [1, 3, 3, 1]) one.handle.interrupt(vector);
  assert.deepEqual(one.fn.messages, [
    { vector: 1, sent: 2, isPending: false, refused: 0 },
    { vector: 3, sent: 0, isPending: true, refused: 0 },
  ]);
  one.fn.writeConfig(MSI.MASK, 4, 0);
  assert.deepEqual([one.fn.messages[1], one.fn.sent(3)], [{ vector: 3, sent: 1, isPending: false, refused: 0 }, 1]);

  const two = makeFunction({ msix: 40 });
  const [layout] = two.fn.bars.map((bar) => bar.layout);
  assert.ok(layout);
  const table = two.fn.barDevice(layout);
  two.fn.writeConfig(COMMAND, 2, 4);
  two.fn.writeConfig(MSIX_CONTROL, 2, 0x8000);
  void table.write(33 * 16, 4, 0xfee0_0000);
  void table.write(33 * 16 + 8, 4, 0x31);
  for (const vector of [33, 34, 33]) two.handle.interrupt(vector);
  assert.deepEqual(two.fn.messages, [
    { vector: 33, sent: 0, isPending: true, refused: 0 },
    { vector: 34, sent: 0, isPending: true, refused: 0 },
  ]);
  void table.write(33 * 16 + 12, 4, 0);
  two.handle.interrupt(33);
  assert.deepEqual(two.fn.messages[0], { vector: 33, sent: 2, isPending: false, refused: 0 });
});

const MSIX_CONTROL = 0x62;

test('MSI-X: table, masks and pending bits', () => {
  const { fn, handle, messages } = makeFunction({ bars: [{ type: 'memory', size: 16 }], msix: 33, interruptPin: 'A' });
  assert.equal(fn.readConfig(MSIX_CONTROL, 2), 32, 'vectors, less one');
  assert.equal(fn.readConfig(0x64, 4), 1, 'the table begins BAR 1');
  assert.equal(fn.readConfig(0x68, 4), 0x801, 'the pending bits at 0x800');
  const [, tableBar] = fn.bars;
  assert.ok(tableBar !== undefined);
  const table = fn.barDevice(tableBar.layout);
  assert.equal(table.read(12, 4), 1, 'masked at first');
  fn.writeConfig(COMMAND, 2, 4);
  fn.writeConfig(MSIX_CONTROL, 2, 0x8000);
  for (const [offset, value] of [
    [0x200, 0xfee0_1003],
    [0x204, 0],
    [0x208, 0x31],
  ] as const)
    void table.write(offset, 4, value);
  handle.interrupt(32);
  assert.equal(table.read(0x804, 4), 1);
  void table.write(0x804, 4, 0);
  assert.equal(table.read(0x804, 4), 1, 'read-only');
  assert.deepEqual(messages, []);
  fn.writeConfig(MSIX_CONTROL, 2, 0xc000);
  void table.write(0x20c, 4, 0xffff_fffe);
  assert.equal(table.read(0x20c, 4), 0, 'one bit exists');
  assert.deepEqual(messages, [], 'the function is masked');
  fn.writeConfig(MSIX_CONTROL, 2, 0x8000);
  assert.deepEqual(messages, ['fee01000/31']);
  assert.equal(table.read(0x804, 4), 0);
  handle.interrupt(32);
  assert.equal(messages.length, 2);
  fn.writeConfig(MSIX_CONTROL, 2, 0xc000);
  handle.interrupt(32);
  assert.equal(messages.length, 2);
  fn.writeConfig(MSIX_CONTROL, 2, 0xbfff);
  assert.equal(messages.length, 3);
  assert.equal(fn.readConfig(MSIX_CONTROL, 2), 0x8020, 'the size is read-only');
});

test('MSI-X: an entry that is unmasked sends its message, the others stay pending, and the pin is unused', () => {
  const { fn, handle, messages, levels } = makeFunction({ msix: 2, interruptPin: 'A' });
  const [bar] = fn.bars;
  assert.ok(bar !== undefined);
  const table = fn.barDevice(bar.layout);
  fn.writeConfig(COMMAND, 2, 4);
  handle.raise();
  fn.writeConfig(MSIX_CONTROL, 2, 0x8000);
  assert.deepEqual(levels, [true, false]);
  handle.interrupt(0);
  handle.interrupt(1);
  assert.equal(table.read(0x800, 4), 3);
  void table.write(0x10, 4, 0xfee0_0000);
  void table.write(0x18, 4, 0x41);
  void table.write(0x1c, 4, 0);
  assert.deepEqual(messages, ['fee00000/41']);
  assert.equal(table.read(0x800, 4), 1);
  fn.writeConfig(AF_CONTROL, 1, 1);
  assert.deepEqual([table.read(0x800, 4), table.read(0x10, 4), table.read(0x1c, 4)], [0, 0, 1], 'reset');
});

test('MSI-X: accesses of the table that are not aligned to 4 bytes do nothing', () => {
  const { fn } = makeFunction({ msix: 1 });
  const [bar] = fn.bars;
  assert.ok(bar !== undefined);
  const table = fn.barDevice(bar.layout);
  void table.write(0, 2, 0x1234);
  void table.write(2, 4, ALL_ONES);
  void table.write(0x10, 4, ALL_ONES);
  assert.equal(table.read(0, 4), 0);
  assert.equal(table.read(0, 1), 0xff);
  assert.equal(table.read(2, 4), ALL_ONES);
  assert.equal(table.read(0x10, 4), 0, 'beyond the table');
  assert.equal(table.read(0xffc, 4), 0, 'beyond the pending bits');
});

test('a function-level reset restores configuration space and the card, and lowers the pin', () => {
  const { fn, card, handle, levels } = makeFunction({
    bars: [{ type: 'memory', size: 16 }],
    interruptPin: 'A',
    msix: 1,
  });
  assert.equal(fn.readConfig(0x40, 4), 0x0306_6013, 'AF, then MSI-X');
  fn.writeConfig(COMMAND, 2, 6);
  fn.writeConfig(BAR0, 4, 0xc000_0000);
  fn.writeConfig(MSIX_CONTROL, 2, 0x8000);
  fn.writeConfig(MSIX_CONTROL, 2, 0);
  handle.raise();
  fn.writeConfig(AF_CONTROL, 1, 0xfe);
  assert.deepEqual(card.calls, [], 'the other bits do nothing');
  fn.writeConfig(AF_CONTROL, 4, 1);
  assert.deepEqual(card.calls, ['reset']);
  assert.deepEqual(levels, [true, false]);
  assert.deepEqual(places(fn), []);
  assert.equal(fn.readConfig(COMMAND, 4), 0x0010_0000);
  assert.equal(fn.readConfig(BAR0, 4), 0);
  assert.equal(fn.readConfig(AF_CONTROL, 2), 0);
});

test('a card that throws in its reset is reported, and the reset goes on', () => {
  class Broken extends TestCard {
    override reset(): void {
      throw new Error('no reset');
    }
  }
  const { fn, errors } = makeFunction({}, new Broken());
  fn.writeConfig(COMMAND, 2, 4);
  fn.writeConfig(AF_CONTROL, 1, 1);
  assert.deepEqual(errors, ['reset: Error: no reset']);
  assert.equal(fn.readConfig(COMMAND, 2), 0);
});

test('a removed card has no DMA and no interrupts', () => {
  const { fn, card, handle, levels } = makeFunction({ interruptPin: 'A' });
  handle.raise();
  fn.remove();
  assert.deepEqual(card.calls, ['reset', 'close']);
  assert.deepEqual(levels, [true, false]);
  handle.raise();
  handle.interrupt();
  assert.deepEqual(levels, [true, false]);
  fn.writeConfig(COMMAND, 2, 4);
  assert.equal(handle.dma.read(0, 1), undefined);
});

test("the author's own capabilities follow, read-only", () => {
  const { fn } = makeFunction({
    capabilities: [
      { id: 9, bytes: [8, 1, 2, 3, 4, 5] },
      { id: 9, bytes: [2] },
    ],
  });
  assert.equal(fn.readConfig(0x41, 1), 0x70);
  fn.writeConfig(0x70, 4, 0);
  assert.equal(fn.readConfig(0x70, 4), 0x0108_7809);
  assert.equal(fn.readConfig(0x74, 4), 0x0504_0302);
  assert.equal(fn.readConfig(0x78, 4), 0x0002_0009);
});

test('a live capability has registers of the card behind its first four bytes', () => {
  const card = new (class extends TestCard {
    readonly accesses: string[] = [];
    readCapability(index: number, offset: number, size: AccessSize): number {
      this.accesses.push(`read ${index} ${offset}/${size}`);
      if (offset === 8) throw new Error('no such register');
      return 0x1234_5678;
    }
    writeCapability(index: number, offset: number, size: AccessSize, value: number): void {
      this.accesses.push(`write ${index} ${offset}/${size} ${value}`);
      if (offset === 8) throw new Error('no such register');
    }
  })({
    capabilities: [
      { id: 9, bytes: [8, 1, 2, 3, 4, 5] },
      { id: 9, bytes: [12, 2, 0, 0, 0, 0, 0, 0, 0, 0], isLive: true },
    ],
  });
  const { fn, errors } = makeFunction(card.pci, card);
  assert.equal(fn.readConfig(0x74, 4), 0x0504_0302);
  assert.equal(fn.readConfig(0x78, 4), 0x020c_0009, 'the head is the description’s');
  assert.equal(fn.readConfig(0x7c, 2), 0x1234_5678);
  fn.writeConfig(0x7e, 1, 7);
  fn.writeConfig(0x78, 4, 7);
  assert.equal(fn.readConfig(0x80, 4), 0xffff_ffff);
  fn.writeConfig(0x80, 4, 1);
  assert.equal(fn.readConfig(0x84, 4), 0, 'what follows is no capability');
  assert.deepEqual(card.accesses, ['read 1 4/2', 'write 1 6/1 7', 'read 1 8/4', 'write 1 8/4 1']);
  assert.equal(fn.peekConfig(0x7c, 4), 0);
  assert.equal(errors.length, 2);
});

test('every register of its map can be peeked', () => {
  const { fn } = makeFunction({
    bars: [{ type: 'memory64', size: 16 }],
    msi: 1,
    msix: 1,
    interruptPin: 'A',
  });
  const names = fn.registers.registers.map(({ name }) => name);
  assert.ok(
    ['CMD', 'BAR0', 'BAR1', 'BAR2', 'LINE', 'MSI', 'MSI-X'].every((name) => names.includes(name)),
    names.join(),
  );
  for (const { offset, size } of fn.registers.registers)
    assert.equal(fn.peekConfig(offset, size), fn.readConfig(offset, size));
});
