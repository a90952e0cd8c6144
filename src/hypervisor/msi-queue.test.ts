import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SharedWords } from '../sync/shared-words.js';
import { isMsiAddress, MSI_WORDS, MsiDelivery, MsiQueue, msiTargets } from './msi-queue.js';

function queue(): MsiQueue {
  return new MsiQueue(new SharedWords(MSI_WORDS).buffer);
}

function taken(msis: MsiQueue, vcpu: number): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  msis.take(vcpu, (kind, vector) => found.push([kind, vector]));
  return found;
}

describe('addresses', () => {
  test('only 0xFEE in bits 31…20 is one', () => {
    for (const address of [0xfee0_0000, 0xfeef_ffff, 0xfee1_2004]) assert.equal(isMsiAddress(address), true);
    for (const address of [0, 0xfed0_0000, 0xfef0_0000, 0x7ee0_0000]) assert.equal(isMsiAddress(address), false);
  });

  for (const [what, address, data, vcpus, targets] of [
    ['a physical destination is one vCPU', 0xfee0_2000, 0x41, 4, 0b100],
    ['a vCPU that the VM does not have is no target', 0xfee0_4000, 0x41, 4, 0],
    ['destination 255 is all', 0xfeef_f000, 0x41, 3, 0b111],
    ['a logical destination is a set', 0xfee0_5004, 0x41, 4, 0b101],
    ['lowest priority takes one of a set', 0xfee0_6004, 0x141, 4, 0b10],
    ['logical 255 is all', 0xfeef_f004, 0x41, 2, 0b11],
    ['sixteen vCPUs', 0xfeef_f000, 0x41, 16, 0xffff],
  ] as const) {
    test(what, () => assert.equal(msiTargets(address, data, vcpus), targets));
  }
});

describe('a queue', () => {
  test('no distinct vector is lost, however many arrive before the vCPU polls', () => {
    const message = fc.record({ kind: fc.constantFrom(0, 1), vector: fc.integer({ min: 16, max: 255 }) });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 600 }), (messages) => {
        const msis = queue();
        for (const { kind, vector } of messages) assert.equal(msis.post(5, (kind << 8) | vector), true);
        const distinct = new Set(messages.map(({ kind, vector }) => kind * 256 + vector));
        const got = taken(msis, 5).map(([kind, vector]) => kind * 256 + vector);
        assert.deepEqual(new Set(got), distinct);
        assert.equal(got.length, distinct.size);
        assert.equal(msis.any(5), false);
      }),
    );
  });

  test('higher vectors come first', () => {
    const msis = queue();
    for (const vector of [0x30, 0xff, 0x5f, 0x60]) msis.post(0, vector);
    assert.deepEqual(taken(msis, 0), [
      [0, 0xff],
      [0, 0x60],
      [0, 0x5f],
      [0, 0x30],
    ]);
  });

  test('kinds without a vector are one bit each', () => {
    const msis = queue();
    for (const kind of [MsiDelivery.NMI, MsiDelivery.SMI, MsiDelivery.NMI, MsiDelivery.INIT, MsiDelivery.EXT_INT])
      assert.equal(msis.post(0, kind << 8), true);
    assert.deepEqual(taken(msis, 0), [
      [MsiDelivery.SMI, 0],
      [MsiDelivery.NMI, 0],
      [MsiDelivery.INIT, 0],
      [MsiDelivery.EXT_INT, 0],
    ]);
  });

  test('reserved kinds and vectors of the processor are dropped', () => {
    const msis = queue();
    for (const data of [0x341, 0x641, 0x00, 0x0f, 0x10f]) assert.equal(msis.post(0, data), false);
    assert.equal(msis.any(0), false);
  });

  test('each vCPU has its own, and a reset empties all', () => {
    const msis = queue();
    msis.post(0, 0x41);
    msis.post(15, 0x42);
    assert.deepEqual(taken(msis, 15), [[0, 0x42]]);
    assert.equal(msis.any(0), true);
    msis.clear();
    assert.deepEqual(taken(msis, 0), []);
  });
});
