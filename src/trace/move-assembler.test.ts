import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { IoRequestState } from '../io-request/state.js';
import type { RingEntry } from './ring-reader.js';
import { MoveAssembler } from './move-assembler.js';
import type { Move } from './move.js';
import { ENTRY_WORDS, EntryWord, MoveBits } from './trace-ring.js';

const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { HAS_REQUEST, HAS_VALUE, IS_WRITE, FORCED, REFUSED } = MoveBits;

interface Fields {
  readonly from: number;
  readonly to: number;
  readonly flags?: number;
  readonly type?: number;
  readonly size?: number;
  readonly words?: Partial<Record<keyof typeof EntryWord, number>>;
  readonly vcpu?: number;
  readonly number?: number;
  readonly timeMs?: number;
  readonly isTimed?: boolean;
}

function entry({ from, to, flags = 0, type = 0, size = 1, words = {}, ...rest }: Fields): RingEntry {
  const all = new Int32Array(ENTRY_WORDS);
  for (const [name, value] of Object.entries(words)) all[EntryWord[name as keyof typeof EntryWord]] = value;
  all[EntryWord.move] =
    from | (to << MoveBits.TO_SHIFT) | flags | (type << MoveBits.TYPE_SHIFT) | (size << MoveBits.SIZE_SHIFT);
  return { vcpu: 0, number: 0, timeMs: 0, isTimed: true, ...rest, words: all };
}

function assembler(): MoveAssembler {
  return new MoveAssembler((client) => `client ${client}`, 1000);
}

/** The moves of a whole request, whose entry of PENDING has `fields`. */
function whole(fields: Partial<Fields>, answer: Fields['words'] = {}): Move[] {
  const one = assembler();
  return [
    one.assemble(entry({ from: FREE, to: PENDING, flags: HAS_REQUEST, ...fields }), 0),
    one.assemble(entry({ from: PENDING, to: PROCESSING, words: { client: 7 } }), 0),
    one.assemble(entry({ from: PROCESSING, to: COMPLETE, flags: HAS_VALUE, words: answer }), 0),
    one.assemble(entry({ from: COMPLETE, to: FREE }), 0),
  ];
}

describe('the moves of a request', () => {
  test('have its states, movers, client and time', () => {
    const one = assembler();
    const move = one.assemble(entry({ from: FREE, to: PENDING, vcpu: 15, number: 9, timeMs: 1002.5 }), 3);
    assert.deepEqual(move, {
      timeNs: 2_500_000,
      isTimed: true,
      vcpu: 15,
      from: 'FREE',
      to: 'PENDING',
      by: 'vcpu',
      client: undefined,
      request: undefined,
      requestNumber: 9,
      isRefused: false,
      lost: 3,
    });
    assert.deepEqual(
      whole({}).map(({ from, to, by, client }) => [from, to, by, client]),
      [
        ['FREE', 'PENDING', 'vcpu', undefined],
        ['PENDING', 'PROCESSING', 'hsm', 'client 7'],
        ['PROCESSING', 'COMPLETE', 'client', 'client 7'],
        ['COMPLETE', 'FREE', 'vcpu', 'client 7'],
      ],
    );
  });

  test('are the HSM’s if it answers itself or in place of the client', () => {
    const by = (fields: Fields): string => assembler().assemble(entry(fields), 0).by;
    assert.equal(by({ from: PENDING, to: COMPLETE }), 'hsm');
    assert.equal(by({ from: PROCESSING, to: COMPLETE, flags: FORCED }), 'hsm');
    assert.equal(by({ from: PROCESSING, to: COMPLETE }), 'client');
    assert.equal(by({ from: PROCESSING, to: FREE }), 'vcpu');
  });

  test('may be refused, and from or to a number that is no state', () => {
    const one = assembler();
    const move = one.assemble(entry({ from: 0xf, to: FREE, flags: REFUSED, isTimed: false }), 0);
    assert.deepEqual([move.from, move.to, move.isRefused, move.isTimed], ['UNKNOWN', 'FREE', true, false]);
    assert.equal(one.assemble(entry({ from: FREE, to: 9 }), 0).to, 'UNKNOWN');
  });

  test('forget the request and client before at PENDING, and after a loss', () => {
    const one = assembler();
    const complete = entry({ from: PROCESSING, to: COMPLETE, flags: HAS_VALUE, words: { valueLow: 5 } });
    one.assemble(entry({ from: FREE, to: PENDING, flags: HAS_REQUEST, number: 4 }), 0);
    one.assemble(entry({ from: PENDING, to: PROCESSING, words: { client: 7 } }), 0);
    assert.equal(one.assemble(complete, 0).requestNumber, 4);
    const after = one.assemble({ ...complete, number: 12 }, 1);
    assert.deepEqual([after.request, after.client, after.requestNumber], [undefined, undefined, 12]);
    one.assemble(entry({ from: PENDING, to: PROCESSING, words: { client: 7 } }), 0);
    const next = one.assemble(entry({ from: FREE, to: PENDING, number: 20 }), 0);
    assert.deepEqual([next.request, next.client, next.requestNumber], [undefined, undefined, 20]);
  });

  test('are those of their slot', () => {
    const one = assembler();
    one.assemble(entry({ from: FREE, to: PENDING, flags: HAS_REQUEST, vcpu: 0 }), 0);
    assert.equal(one.assemble(entry({ from: PENDING, to: PROCESSING, vcpu: 1 }), 0).request, undefined);
    assert.equal(one.assemble(entry({ from: PENDING, to: PROCESSING, vcpu: 0 }), 0).request?.type, 'port');
  });
});

describe('the request of a move', () => {
  const words = { addressLow: -2, addressHigh: 0xf, valueLow: -1, valueHigh: 0x12 };

  test('to a port has its address, and a value of 32 bits, which the answer replaces', () => {
    const moves = whole({ type: 0, size: 4, words: { ...words, addressHigh: 0 } }, { valueLow: -3, valueHigh: 9 });
    const request = { type: 'port', direction: 'read', address: 0xffff_fffe, size: 4, value: 0xffff_ffff };
    assert.deepEqual(moves[0]?.request, request);
    assert.deepEqual(moves[1]?.request, request);
    assert.deepEqual(moves[2]?.request, { ...request, value: 0xffff_fffd });
    assert.deepEqual(moves[3]?.request, { ...request, value: 0xffff_fffd });
  });

  test('to a port has no bigint even if a corrupted page gives it 8 bytes', () => {
    const moves = whole({ type: 0, size: 8, words }, { valueLow: 5, valueHigh: 1 });
    assert.deepEqual([moves[0]?.request?.value, moves[2]?.request?.value], [0xffff_ffff, 5]);
  });

  test('to memory has an address of two words, and a bigint for 8 bytes', () => {
    const moves = whole({ type: 1, size: 8, words, flags: HAS_REQUEST | IS_WRITE }, { valueLow: -3, valueHigh: -4 });
    const request = { type: 'mmio', direction: 'write', address: 0xf_ffff_fffe, size: 8, value: 0x12_ffff_ffffn };
    assert.deepEqual(moves[0]?.request, request);
    assert.deepEqual(moves[2]?.request, { ...request, value: 0xffff_fffc_ffff_fffdn });
  });

  test('to a write-protected page, or of an unknown type, is like one to memory', () => {
    const protectedPage = whole({ type: 3, size: 4, words }, { valueLow: -3, valueHigh: -4 });
    const request = { type: 'write-protect', direction: 'read', address: 0xf_ffff_fffe, size: 4, value: 0xffff_ffff };
    assert.deepEqual(protectedPage[0]?.request, request);
    assert.deepEqual(protectedPage[2]?.request, { ...request, value: 0xffff_fffd });
    assert.equal(whole({ type: 0xff, words })[0]?.request?.type, 'mmio');
  });

  test('to PCI configuration space has bus, device, function and register', () => {
    const moves = whole({ type: 2, size: 2, words: { addressLow: 0x12_1f_03, addressHigh: 0x3a6, valueLow: -1 } });
    assert.deepEqual(moves[0]?.request, {
      type: 'pci',
      direction: 'read',
      bus: 0x12,
      device: 0x1f,
      function: 3,
      register: 0x3a6,
      size: 2,
      value: 0xffff_ffff,
    });
    assert.equal(moves[2]?.request?.value, 0);
  });

  test('is unknown if only its value is left', () => {
    const move = assembler().assemble(
      entry({ from: PROCESSING, to: COMPLETE, flags: HAS_VALUE, words: { valueLow: 1 } }),
      0,
    );
    assert.deepEqual([move.request, move.requestNumber], [undefined, 0]);
  });
});
