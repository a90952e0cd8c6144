import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { IoRequestType } from '../io-request/layout.js';
import { AddressMap, MAX_RANGES } from './address-map.js';
import { addressRange, describeRange, mmio, ports, sameRange, type AddressRange } from './address-range.js';

const { PORT, MMIO, PCI, WRITE_PROTECT } = IoRequestType;
const U64 = 1n << 64n;

function find(map: AddressMap<string>, type: number, address: bigint, size: bigint): string | undefined {
  const half = (value: bigint, shift: bigint): number => Number(BigInt.asIntN(32, value >> shift));
  return map.find(type, half(address, 0n), half(address, 32n), half(size, 0n), half(size, 32n));
}

function mapOf(...clients: (readonly [string, ...AddressRange[]])[]): AddressMap<string> {
  const map = new AddressMap<string>();
  for (const [name, ...ranges] of clients) {
    map.addClient(name);
    for (const range of ranges) map.addRange(name, range);
  }
  return map;
}

/** Reference model of the driver's rules: lists, newest first, and u64 arithmetic. */
class PlainMap {
  readonly clients: { readonly name: string; readonly ranges: AddressRange[] }[] = [];

  find(type: number, address: bigint, size: bigint): string | undefined {
    if (type !== PORT && type !== MMIO) return undefined;
    const last = BigInt.asUintN(64, address + size - 1n);
    const hit = (range: AddressRange): boolean => range.type === type && address >= range.start && last <= range.end;
    return this.clients.find(({ ranges }) => ranges.some(hit))?.name;
  }
}

describe('which client owns an access', () => {
  test('an access inside of a range hits, one that straddles its end misses, and so does another type (vector 5)', () => {
    const map = mapOf(['A', addressRange(MMIO, 0x1000n, 0x1fffn)]);
    assert.equal(find(map, MMIO, 0x1ffcn, 4n), 'A');
    assert.equal(find(map, MMIO, 0x1ffdn, 4n), undefined);
    assert.equal(find(map, MMIO, 0xfffn, 4n), undefined);
    assert.equal(find(map, PORT, 0x1000n, 4n), undefined);
  });

  test('of two clients the newest wins (vector 6), and of one client’s ranges the newest', () => {
    const map = mapOf(['A', mmio(0x1000, 4)], ['B', mmio(0x1000, 4)]);
    assert.equal(find(map, MMIO, 0x1000n, 4n), 'B');
    assert.deepEqual(map.clients(), ['B', 'A']);
    map.addRange('A', mmio(0x1000, 8));
    assert.equal(find(map, MMIO, 0x1000n, 4n), 'B', 'the newest client, not the newest range');
    assert.deepEqual(map.ranges('A').map(describeRange), ['MMIO 0x1000…0x1007', 'MMIO 0x1000…0x1003']);
  });

  test('an access that straddles the newest client’s range goes to an older client that contains it', () => {
    const map = mapOf(['wide', ports(0x3f0, 0x10)], ['narrow', ports(0x3f8, 2)]);
    assert.equal(find(map, PORT, 0x3f9n, 1n), 'narrow');
    assert.equal(find(map, PORT, 0x3f9n, 2n), 'wide');
    assert.equal(find(map, PORT, 0x3f6n, 4n), 'wide');
  });

  test('PCI, write-protect and unknown types match no range', () => {
    const map = mapOf(['all', addressRange(PORT, 0n, U64 - 1n), addressRange(MMIO, 0n, U64 - 1n)]);
    for (const type of [PCI, WRITE_PROTECT, 4, 77, -1]) assert.equal(find(map, type, 0x1000n, 4n), undefined);
    assert.equal(find(map, PORT, U64 - 1n, 1n), 'all');
  });

  test('size 0 makes the last byte the one before the address, and address 0 wraps (X-K32)', () => {
    const map = mapOf(['A', ports(0x10, 1)]);
    assert.equal(find(map, PORT, 0x10n, 0n), 'A');
    assert.equal(find(map, PORT, 0x11n, 0n), 'A', '0x11 + 0 − 1 is inside');
    assert.equal(find(map, PORT, 0x12n, 0n), undefined);
    const top = mapOf(['A', addressRange(MMIO, U64 - 4n, U64 - 1n)]);
    assert.equal(find(top, MMIO, U64 - 4n, 4n), 'A');
    assert.equal(find(top, MMIO, U64 - 4n, 5n), 'A', 'the end wraps to 0, which is not past the range’s end');
    assert.equal(find(top, MMIO, 0n, 0n), undefined);
    assert.equal(find(mapOf(['all', addressRange(MMIO, 0n, U64 - 1n)]), MMIO, 0n, 0n), 'all');
  });

  test('an address above 4 GiB is not the port of its low bits', () => {
    const map = mapOf(['A', ports(0x500, 1)]);
    assert.equal(find(map, PORT, 0x1_0000_0500n, 1n), undefined);
    assert.equal(find(map, PORT, 0x500n, 0x1_0000_0001n), undefined);
  });

  test('a removed client and a removed range match no longer', () => {
    const map = mapOf(['A', ports(0x60, 1), ports(0x64, 1)], ['B', ports(0x60, 8)]);
    map.removeClient('B');
    assert.equal(find(map, PORT, 0x60n, 1n), 'A');
    assert.equal(map.removeRange('A', ports(0x60, 1)), true);
    assert.equal(map.removeRange('A', ports(0x60, 1)), false);
    assert.equal(map.removeRange('A', ports(0x60, 2)), false);
    assert.equal(map.removeRange('B', ports(0x60, 8)), false);
    assert.equal(find(map, PORT, 0x60n, 1n), undefined);
    assert.equal(find(map, PORT, 0x64n, 1n), 'A');
  });

  test('the same range may be added twice, and is removed once at a time', () => {
    const map = mapOf(['A', ports(0x60, 1), ports(0x60, 1)]);
    map.removeRange('A', ports(0x60, 1));
    assert.equal(find(map, PORT, 0x60n, 1n), 'A');
    map.removeRange('A', ports(0x60, 1));
    assert.equal(find(map, PORT, 0x60n, 1n), undefined);
  });

  test('a range of an unknown client is refused', () => {
    const map = new AddressMap<string>();
    assert.equal(map.addRange('unknown', ports(0, 1)), false);
    assert.deepEqual(map.ranges('unknown'), []);
    map.removeClient('unknown');
  });

  test('agrees with the plain rules on whatever ranges, accesses and removals', () => {
    const edges = [0n, 1n, 0xcf8n, 0xfffen, 0xffffn, 0x1_0000n, 0xffff_ffffn, 0x1_0000_0000n, U64 - 2n, U64 - 1n];
    const address = fc.oneof(
      fc.constantFrom(...edges),
      { weight: 6, arbitrary: fc.bigInt({ min: 0n, max: 24n }) },
      fc.bigInt({ min: 0xfff0n, max: 0x1_0010n }),
      fc.bigInt({ min: 0xffff_fff0n, max: 0x1_0000_0010n }),
      fc.bigInt({ min: 0n, max: U64 - 1n }),
    );
    const size = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(1n, 2n, 4n, 8n) },
      { weight: 2, arbitrary: fc.constantFrom(0n, 3n, 0xffff_ffffn, 0x1_0000_0000n, U64 - 1n) },
      fc.bigInt({ min: 0n, max: U64 - 1n }),
    );
    const type = fc.constantFrom(PORT, MMIO);
    const range = fc
      .tuple(type, address, fc.oneof(fc.bigInt({ min: 0n, max: 16n }), address))
      .map(([kind, start, length]) => ({ type: kind, start, end: start + length < U64 ? start + length : U64 - 1n }));
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('range' as const), client: fc.nat(3), range }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('remove range' as const), client: fc.nat(3), nth: fc.nat(5) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('renew client' as const), client: fc.nat(3) }) },
      {
        weight: 8,
        arbitrary: fc.record({
          kind: fc.constant('access' as const),
          type: fc.oneof({ weight: 8, arbitrary: type }, { weight: 1, arbitrary: fc.integer() }),
          address,
          size,
        }),
      },
    );
    let hits = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (steps) => {
        const map = new AddressMap<string>();
        const plain = new PlainMap();
        const nameOf = (client: number): string => `client ${client}`;
        const plainOf = (name: string) => plain.clients.find((candidate) => candidate.name === name);
        for (const one of steps) {
          if (one.kind === 'access') {
            const expected = plain.find(one.type, one.address, one.size);
            assert.equal(find(map, one.type, one.address, one.size), expected);
            if (expected !== undefined) hits++;
            continue;
          }
          const name = nameOf(one.client);
          const known = plainOf(name);
          if (one.kind === 'renew client' || known === undefined) {
            if (known !== undefined) plain.clients.splice(plain.clients.indexOf(known), 1);
            plain.clients.unshift({ name, ranges: [] });
            map.removeClient(name);
            map.addClient(name);
          } else if (one.kind === 'range') {
            known.ranges.unshift(one.range);
            assert.equal(map.addRange(name, one.range), true);
          } else {
            const removed = known.ranges[one.nth];
            if (removed === undefined) continue;
            known.ranges.splice(
              known.ranges.findIndex((candidate) => sameRange(candidate, removed)),
              1,
            );
            assert.equal(map.removeRange(name, removed), true);
          }
        }
      }),
      { seed: 20240611, numRuns: 200 },
    );
    assert.ok(hits > 300, `only ${hits} accesses hit a range`);
  });

  test('the room for ranges follows each addition and removal', () => {
    const map = mapOf(['A', ports(0x60, 1), ports(0x64, 1)], ['B', ports(0x60, 8), mmio(0, 4)]);
    assert.equal(map.room, MAX_RANGES - 4);
    map.removeRange('A', ports(0x60, 1));
    assert.equal(map.room, MAX_RANGES - 3);
    map.removeRange('A', ports(0x60, 1));
    assert.equal(map.room, MAX_RANGES - 3);
    map.removeClient('B');
    assert.equal(map.room, MAX_RANGES - 1);
  });

  test('a VM’s ranges are limited', () => {
    const map = mapOf(['A']);
    const range = mmio(0x1000, 4);
    for (let i = 0; i < MAX_RANGES; i++) assert.ok(map.addRange('A', range));
    assert.equal(map.addRange('A', range), false);
    assert.equal(find(map, MMIO, 0x1000n, 4n), 'A');
    assert.equal(map.removeRange('A', range), true);
    assert.equal(map.addRange('A', range), true);
    map.removeClient('A');
    map.addClient('B');
    assert.equal(map.addRange('B', range), true);
  });
});
