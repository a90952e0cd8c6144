import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_TYPED_CHARACTERS } from '../limits.js';
import { parsePageMessage } from '../page-messages.js';
import { ADDRESS_BITS, typedBreakpoint, typedNumber, typedPieces, typedRange, VALUE_BITS } from './typed-fields.js';

test('a typed number is hexadecimal, with or without 0x, of at most the given bits', () => {
  assert.equal(typedNumber('3F8', ADDRESS_BITS), '0x3f8');
  assert.equal(typedNumber(' 0x41 ', VALUE_BITS), '0x41');
  assert.equal(typedNumber('0x000000000000000000005', ADDRESS_BITS), '0x5');
  assert.equal(typedNumber('ffffffffffffffff', VALUE_BITS), '0xffffffffffffffff');
  assert.equal(typedNumber('0xfffffffffffff', ADDRESS_BITS), '0xfffffffffffff');
  for (const text of ['', '0x', 'x', '-1', '1 2', '10000000000000000'])
    assert.equal(typedNumber(text, VALUE_BITS), undefined);
  assert.equal(typedNumber('0x10000000000000', ADDRESS_BITS), undefined);
});

test('a typed range is one address, or two in their order', () => {
  assert.deepEqual(typedRange(' '), { first: undefined, last: undefined });
  assert.deepEqual(typedRange('3f8'), { first: '0x3f8', last: '0x3f8' });
  for (const text of ['3f8-3ff', '0x3f8 - 0x3ff', '3f8…3ff', '3f8..3ff'])
    assert.deepEqual(typedRange(text), { first: '0x3f8', last: '0x3ff' });
  for (const text of ['3ff-3f8', '-3ff', '3f8-', '1-2-3', 'port', '0x10000000000000'])
    assert.equal(typedRange(text), undefined, text);
});

test('the fields of a breakpoint are refused if an address or a value is wrong', () => {
  assert.deepEqual(
    typedBreakpoint([
      ['at', 'pending'],
      ['first', '3f8'],
      ['last', ''],
      ['value', '41'],
    ]),
    {
      at: 'pending',
      first: '0x3f8',
      value: '0x41',
    },
  );
  for (const wrong of [
    [['first', 'port 3f8']],
    [['value', '-1']],
    [['last', '3f8']],
    [
      ['first', '3ff'],
      ['last', '3f8'],
    ],
  ] as const)
    assert.equal(typedBreakpoint([['at', 'pending'], ...wrong]), undefined);
});

test('a breakpoint on an interrupt has a decimal line and a hexadecimal vector', () => {
  assert.deepEqual(
    typedBreakpoint([
      ['at', 'interrupt'],
      ['interrupt', 'sent'],
      ['line', '10'],
      ['vector', '31'],
      ['by', ''],
    ]),
    { at: 'interrupt', interrupt: 'sent', line: 10, vector: 0x31 },
  );
  for (const wrong of [
    ['line', '48'],
    ['line', '0x4'],
    ['line', '-1'],
    ['vector', '100'],
    ['vector', 'x'],
  ] as const)
    assert.equal(typedBreakpoint([['at', 'interrupt'], wrong]), undefined, wrong.join());
});

test('the server accepts whatever is typed, once it is not refused here', () => {
  const typed = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.bigInt(0n, 1n << 66n).map((number) => number.toString(16)),
  );
  fc.assert(
    fc.property(typed, typed, typed, (first, last, value) => {
      const breakpoint = typedBreakpoint([
        ['at', 'complete'],
        ['first', first],
        ['last', last],
        ['value', value],
      ]);
      if (breakpoint !== undefined)
        assert.ok(parsePageMessage(JSON.stringify({ kind: 'break', id: 1, breakpoint })) !== undefined);
      const moves = typedRange(`${first}-${last}`);
      if (moves !== undefined)
        assert.ok(
          parsePageMessage(JSON.stringify({ kind: 'watch', slots: false, tables: false, moves })) !== undefined,
        );
      const changed = typedNumber(value, VALUE_BITS);
      if (changed !== undefined)
        assert.ok(parsePageMessage(JSON.stringify({ kind: 'change', id: 1, vcpu: 0, value: changed })) !== undefined);
    }),
  );
});

test('a long paste is several messages, none of which ends within a character', () => {
  const most = MAX_TYPED_CHARACTERS;
  assert.deepEqual(typedPieces(''), []);
  for (const text of ['a'.repeat(most), 'a'.repeat(most + 1), `${'a'.repeat(most - 1)}🙂b`, '🙂'.repeat(most)]) {
    const pieces = typedPieces(text);
    assert.equal(pieces.join(''), text);
    assert.ok(pieces.every((piece) => piece.length <= most && piece.isWellFormed()));
    assert.ok(pieces.length <= Math.ceil(text.length / most) + 1);
  }
});
