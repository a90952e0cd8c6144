import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { BROADCAST, isGroup, macAt, macBytes, macText, parseMac, randomMac } from './ethernet.js';

test('an address comes back from its text and from its bytes', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (number) => {
      const mac = number % 2 ** 48;
      assert.equal(macAt(macBytes(mac), 0), mac);
      if (mac !== 0 && !isGroup(mac)) assert.equal(parseMac(macText(mac)), mac);
    }),
  );
  assert.equal(macText(parseMac('52:54:00:aB:cD:eF')), '52:54:00:ab:cd:ef');
  assert.deepEqual([...macBytes(0x0102_0304_0506)], [1, 2, 3, 4, 5, 6]);
});

test('a group has the lowest bit of the first byte', () => {
  assert.ok(isGroup(BROADCAST));
  assert.ok(isGroup(0x3333_0000_0001));
  assert.ok(!isGroup(0x5254_0000_0001));
});

test('what is not the address of a card is refused with an example', () => {
  for (const [text, reason] of [
    ['', /is not a MAC/],
    ['52:54:00:12:34', /is not a MAC/],
    ['52:54:00:12:34:56:78', /is not a MAC/],
    ['52-54-00-12-34-56', /is not a MAC/],
    ['52:54:00:12:34:5g', /is not a MAC/],
    ['00:00:00:00:00:00', /no address of a card/],
    ['ff:ff:ff:ff:ff:ff', /of a group/],
    ['01:00:5e:00:00:01', /of a group/],
  ] as const)
    assert.throws(() => parseMac(text), { code: 'OPTION_INVALID', message: reason, remedy: /52:54:00:12:34:56/ });
});

test('random addresses are those of cards, locally administered, and differ', () => {
  const seen = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const mac = randomMac();
    assert.equal(macText(mac).slice(0, 3), '52:');
    assert.ok(!isGroup(mac));
    seen.add(mac);
  }
  assert.ok(seen.size > 98, `${seen.size} of 100 differ`);
});
