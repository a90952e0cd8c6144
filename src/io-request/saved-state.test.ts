import assert from 'node:assert/strict';
import { test } from 'node:test';
import { finiteOrNull, SavedState, savedStateError } from './saved-state.js';

const VALUES: Readonly<Record<string, unknown>> = {
  zero: 0,
  byte: 0xff,
  low: -0x8000_0000,
  high: 0xffff_ffff,
  half: 0.5,
  nothing: null,
  yes: true,
  text: 'abc',
  list: [1, 2, 3],
  mixed: [1, 'x'],
  part: { deep: 7 },
  parts: [{ deep: 8 }, 9],
};
const state = new SavedState('a timer', VALUES);
const refused = (fact: string): object => ({
  code: 'SNAPSHOT_INVALID',
  message: `the saved state of ${fact}`,
  remedy: 'Save the VM again, with this version of upcall',
});

test('fields within their bounds are read', () => {
  assert.deepEqual([state.integer('zero', 0, 0), state.integer('byte', 255, 255)], [0, 255]);
  assert.deepEqual(
    [state.word('low'), state.word('high'), state.byte('zero'), state.byte('byte')],
    [-0x8000_0000, -1, 0, 255],
  );
  assert.deepEqual([state.number('half'), state.numberOr('half', 1), state.numberOr('nothing', 1)], [0.5, 0.5, 1]);
  assert.deepEqual([state.boolean('yes'), state.text('text', 3), state.oneOf('zero', [1, 0])], [true, 'abc', 0]);
  assert.deepEqual([state.list('list', 3), state.integers('list', 3, 1, 3)], [VALUES.list, VALUES.list]);
  assert.deepEqual(state.integersUpTo('list', 4, 1, 3), [1, 2, 3]);
  const byte = (from: SavedState, name: string): number => from.byte(name);
  assert.deepEqual([state.optional('nothing', byte), state.optional('byte', byte)], [undefined, 255]);
  assert.equal(state.part('part').byte('deep'), 7);
});

test('a field that is missing, of another type or out of its bounds is refused with its name', () => {
  const cases: readonly [() => unknown, string][] = [
    [() => state.integer('none', 0, 9), 'none missing: expected a whole number from 0 to 9'],
    [() => state.integer('byte', 0, 254), 'byte 255: expected a whole number from 0 to 254'],
    [() => state.integer('zero', 1, 9), 'zero 0: expected a whole number from 1 to 9'],
    [() => state.integer('half', 0, 9), 'half 0.5: expected a whole number from 0 to 9'],
    [() => new SavedState('x', { a: -0x8000_0001 }).word('a'), ''],
    [() => new SavedState('x', { a: 2 ** 32 }).word('a'), ''],
    [() => new SavedState('x', { a: 256 }).byte('a'), ''],
    [() => new SavedState('x', { a: -1 }).byte('a'), ''],
    [() => new SavedState('x', { a: Infinity }).number('a'), ''],
    [() => state.number('text'), 'text "abc": expected a finite number'],
    [() => state.boolean('zero'), 'zero 0: expected true or false'],
    [() => state.text('text', 2), 'text "abc": expected a text of at most 2 characters'],
    [() => state.text('list', 9), 'list [1,2,3]: expected a text of at most 9 characters'],
    [() => state.oneOf('zero', [1, 2]), 'zero 0: expected one of 1, 2'],
    [() => state.list('list', 2), 'list [1,2,3]: expected a list of at most 2'],
    [() => state.list('text', 9), 'text "abc": expected a list of at most 9'],
    [() => state.integers('list', 4, 1, 3), 'list [1,2,3]: expected 4 numbers'],
    [() => state.integersUpTo('mixed', 4, 0, 3), 'mixed "x": expected whole numbers from 0 to 3'],
    [
      () => state.value('toString') ?? state.byte('toString'),
      'toString missing: expected a whole number from 0 to 255',
    ],
  ];
  for (const [read, fact] of cases)
    assert.throws(read, fact === '' ? { code: 'SNAPSHOT_INVALID' } : refused(`a timer has ${fact}`));
  assert.deepEqual(
    { ...refused('a timer has byte 255: expected a multiple of 4') },
    (({ code, message, remedy }) => ({ code, message, remedy }))(state.unexpected('byte', 'a multiple of 4')),
  );
});

test('a state that is not an object is refused, also within another one', () => {
  for (const [value, text] of [
    [null, 'null'],
    [undefined, 'missing'],
    [5, '5'],
    [[], '[]'],
    [() => 5, 'a function'],
  ])
    assert.throws(() => new SavedState('a timer', value), refused(`a timer is ${text as string}, not an object`));
  assert.throws(() => state.part('text'), refused('a timer: text is "abc", not an object'));
  assert.throws(() => state.parts('parts', 2), refused('a timer: parts 1 is 9, not an object'));
  assert.throws(() => state.parts('parts', 1), { code: 'SNAPSHOT_INVALID' });
  const [first] = new SavedState('a timer', { parts: [{ deep: 300 }] }).parts('parts', 1);
  assert.throws(() => first?.byte('deep'), /a timer: parts 0 has deep 300/);
});

test('a long value is shown by its first 40 characters', () => {
  const fits = 'x'.repeat(38);
  assert.throws(() => new SavedState('a timer', fits), refused(`a timer is "${fits}", not an object`));
  assert.throws(() => new SavedState('a timer', `${fits}yz`), refused(`a timer is "${fits}y…, not an object`));
  assert.equal(savedStateError('a timer', 'is old').message, 'the saved state of a timer is old');
  assert.deepEqual([finiteOrNull(5), finiteOrNull(Infinity), finiteOrNull(NaN)], [5, null, null]);
});
