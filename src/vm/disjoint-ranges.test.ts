import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mmio, overlaps, ports, type AddressRange } from '../hsm/address-range.js';
import { DisjointRanges } from './disjoint-ranges.js';

test('a range overlaps exactly what a scan of the list finds, while items come and go', () => {
  const range = fc
    .tuple(fc.boolean(), fc.nat(60), fc.integer({ min: 1, max: 6 }))
    .map(([isPort, start, length]) => (isPort ? ports(start, length) : mmio(start, length)));
  let refused = 0;
  let added = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(range, fc.integer({ min: 0, max: 4 })), { minLength: 30, maxLength: 60 }),
      (steps) => {
        const set = new DisjointRanges<{ readonly range: AddressRange }>();
        const list: { readonly range: AddressRange }[] = [];
        for (const [wanted, action] of steps) {
          const expected = list.filter((item) => overlaps(item.range, wanted));
          const found = set.overlapping(wanted);
          assert.equal(found !== undefined, expected.length > 0);
          if (found !== undefined) {
            assert.ok(expected.includes(found));
            refused++;
            if (action > 0) continue;
            set.delete(found);
            list.splice(list.indexOf(found), 1);
          } else {
            const item = { range: wanted };
            set.add(item);
            list.push(item);
            added++;
          }
        }
        set.clear();
        for (const { range: freed } of list) assert.equal(set.overlapping(freed), undefined);
      },
    ),
    { numRuns: 300 },
  );
  assert.ok(refused > 500 && added > 500, `${refused} refused, ${added} added`);
});

test('the search reads a logarithmic number of ranges', () => {
  let reads = 0;
  const counted = (start: number): { readonly range: AddressRange } => ({
    get range() {
      reads++;
      return mmio(start, 16);
    },
  });
  const set = new DisjointRanges<{ readonly range: AddressRange }>();
  const count = 4096;
  // The worst order for a list: each new item comes before the others.
  for (let i = count - 1; i >= 0; i--) {
    const item = counted(0xd000_0000 + 16 * i);
    assert.equal(set.overlapping(item.range), undefined);
    set.add(item);
  }
  assert.ok(reads < count * 2 * (Math.log2(count) + 4), `${reads} reads`);
});
