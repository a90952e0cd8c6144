import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { describeRange, mmio, overlaps, ports, type AddressRange } from '../../hsm/address-range.js';
import { PciRegister } from '../devices/pci/pci-config-space.js';
import { BarDecoder } from './bar-decoder.js';
import { CardClient } from './card-client.js';
import { makeFunction, TestCard } from './fixtures/test-card.js';
import type { PciDescription } from './pci-card.js';

const { BAR0, COMMAND } = PciRegister;

/** A decoder over a space with `fixed` ranges, and cards of two memory BARs and one of ports. */
function decoderWith(cards: number, fixed: readonly AddressRange[] = []) {
  const ranges: { readonly client: CardClient; readonly range: AddressRange }[] = [];
  const conflicts: string[] = [];
  let changes = 0;
  const decoder = new BarDecoder({
    occupant: (place) => (fixed.some((range) => overlaps(range, place)) ? 'fixed' : undefined),
    addRange: (client, range) => {
      changes++;
      ranges.push({ client, range });
      return true;
    },
    removeRange: (client, range) => {
      changes++;
      const index = ranges.findIndex((one) => one.client === client && one.range === range);
      assert.ok(index >= 0, 'it removes what it added');
      ranges.splice(index, 1);
      return true;
    },
    onConflict: ({ client, layout, other }) => conflicts.push(`${client.name}.${layout.bar} over ${other}`),
  });
  const pci: Partial<PciDescription> = {
    bars: [
      { type: 'memory', size: 0x1000 },
      { type: 'memory64', size: 0x2000 },
      { type: 'ports', size: 8 },
    ],
  };
  const clients = Array.from({ length: cards }, (_, number) => {
    const { fn } = makeFunction(pci, new TestCard(pci, `card${number}`));
    const client = new CardClient({
      fn,
      reportError: () => undefined,
      onDecoded: () => undefined,
      onRemoved: () => undefined,
    });
    decoder.add(client);
    fn.onPlaced = () => decoder.update();
    return client;
  });
  const text = (): string[] => ranges.map(({ client, range }) => `${client.name} ${describeRange(range)}`).sort();
  return { decoder, clients, ranges, conflicts, text, changes: () => changes };
}

test('of two BARs over each other neither is decoded, until one moves away', () => {
  const { clients, conflicts, text } = decoderWith(2);
  for (const { fn } of clients) fn.writeConfig(COMMAND, 2, 2);
  clients[0]?.fn.writeConfig(BAR0, 4, 0xc000_0000);
  assert.deepEqual(text(), ['card0 MMIO 0xc0000000…0xc0000fff']);
  clients[1]?.fn.writeConfig(BAR0 + 4, 4, 0xc000_0000);
  assert.deepEqual(text(), []);
  assert.deepEqual(conflicts, ['card0.0 over BAR 1 of card1', 'card1.1 over BAR 0 of card0']);
  clients[0]?.fn.writeConfig(BAR0, 4, 0xd000_0000);
  assert.deepEqual(text(), ['card0 MMIO 0xd0000000…0xd0000fff', 'card1 MMIO 0xc0000000…0xc0001fff']);
  assert.equal(conflicts.length, 2);
});

test('a BAR over something else is not decoded, and reported once while it lasts', () => {
  const { decoder, clients, conflicts, text } = decoderWith(1, [mmio(0, 0x10_0000), ports(0x3f8, 8)]);
  const [client] = clients;
  assert.ok(client !== undefined);
  client.fn.writeConfig(COMMAND, 2, 3);
  client.fn.writeConfig(BAR0, 4, 0xf_f000);
  client.fn.writeConfig(BAR0 + 12, 4, 0x3f8);
  decoder.update();
  assert.deepEqual(text(), []);
  assert.deepEqual(conflicts, ['card0.0 over fixed', 'card0.3 over fixed']);
  client.fn.writeConfig(BAR0, 4, 0x10_0000);
  client.fn.writeConfig(BAR0 + 12, 4, 0x400);
  assert.deepEqual(text(), ['card0 MMIO 0x100000…0x100fff', 'card0 ports 0x400…0x407']);
});

test('ports and memory of the same number do not overlap', () => {
  const { clients, text } = decoderWith(1);
  clients[0]?.fn.writeConfig(COMMAND, 2, 3);
  clients[0]?.fn.writeConfig(BAR0, 4, 0x1000);
  clients[0]?.fn.writeConfig(BAR0 + 12, 4, 0x1000);
  assert.equal(text().length, 2);
});

test('a long BAR is in conflict with each of several short ones, whatever is between', () => {
  const { clients, text } = decoderWith(3);
  const [long, first, second] = clients;
  for (const { fn } of clients) fn.writeConfig(COMMAND, 2, 3);
  long?.fn.writeConfig(BAR0 + 4, 4, 0x2000);
  first?.fn.writeConfig(BAR0, 4, 0x2000);
  second?.fn.writeConfig(BAR0, 4, 0x3000);
  assert.deepEqual(text(), []);
  first?.fn.writeConfig(BAR0, 4, 0x5000);
  // Ports of a higher number are not in the way of finding that.
  first?.fn.writeConfig(BAR0 + 12, 4, 0xe000);
  assert.deepEqual(text(), ['card1 MMIO 0x5000…0x5fff', 'card1 ports 0xe000…0xe007']);
});

test('a removed card frees what was over its BARs', () => {
  const { decoder, clients, text } = decoderWith(2);
  for (const { fn } of clients) {
    fn.writeConfig(COMMAND, 2, 2);
    fn.writeConfig(BAR0, 4, 0xc000_0000);
  }
  const [first] = clients;
  assert.ok(first !== undefined);
  decoder.remove(first);
  assert.deepEqual(text(), ['card1 MMIO 0xc0000000…0xc0000fff']);
  assert.equal(decoder.has(first), false);
});

test('a range that the HSM does not take is not decoded, and nothing is removed later', () => {
  const { fn } = makeFunction({ bars: [{ type: 'memory', size: 0x1000 }] });
  const client = new CardClient({
    fn,
    reportError: () => undefined,
    onDecoded: () => undefined,
    onRemoved: () => undefined,
  });
  const decoder = new BarDecoder({
    occupant: () => undefined,
    addRange: () => false,
    removeRange: () => assert.fail('it was not added'),
    onConflict: () => undefined,
  });
  decoder.add(client);
  fn.onPlaced = () => decoder.update();
  fn.writeConfig(COMMAND, 2, 2);
  fn.writeConfig(BAR0, 4, 0xc000_0000);
  assert.equal(client.decoded(0), undefined);
  fn.writeConfig(BAR0, 4, 0xd000_0000);
});

test('after any configuration writes, exactly the BARs that nothing overlaps are decoded', () => {
  const fixed = [mmio(0, 0x4000), mmio(0x9000, 0x1000), ports(0x20, 4)];
  // Few addresses, so that most placements collide.
  const write = fc.record({
    card: fc.integer({ min: 0, max: 3 }),
    register: fc.constantFrom(COMMAND, BAR0, BAR0 + 4, BAR0 + 8, BAR0 + 12, BAR0 + 16),
    size: fc.constantFrom(1, 2, 4),
    value: fc.oneof(
      fc.constantFrom(0, 1, 2, 3, 7, 0xffff_ffff),
      fc.integer({ min: 0, max: 15 }).map((page) => page * 0x1000),
      fc.integer({ min: 0, max: 63 }),
    ),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 60 }), (writes) => {
      const { clients, ranges } = decoderWith(4, fixed);
      for (const { card, register, size, value } of writes) {
        const { fn } = clients[card] as CardClient;
        fn.writeConfig(register, size, size === 4 ? value : value & (2 ** (8 * size) - 1));
        const placed = clients.flatMap((client) =>
          client.fn.bars.map(({ place, layout }) => ({ client, place, layout })),
        );
        for (const one of placed) {
          const { place } = one;
          const isFree =
            place !== undefined &&
            !fixed.some((range) => overlaps(range, place)) &&
            !placed.some((other) => other !== one && other.place !== undefined && overlaps(other.place, place));
          assert.deepEqual(one.client.decoded(one.layout.bar), isFree ? place : undefined);
        }
        const decoded = placed.filter(({ client, layout }) => client.decoded(layout.bar) !== undefined);
        assert.equal(ranges.length, decoded.length);
        for (const { client, place } of decoded)
          assert.ok(ranges.some((one) => one.client === client && one.range.start === place?.start));
      }
    }),
    { numRuns: 300 },
  );
});
