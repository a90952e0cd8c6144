import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_EXPRESSION_CHARACTERS } from '../debugging/breakpoint-limits.js';
import { MAX_NAME_CHARACTERS, MAX_TYPED_CHARACTERS } from './limits.js';
import { parsePageMessage, type PageMessage } from './page-messages.js';

const GOOD: readonly PageMessage[] = [
  { kind: 'hello', token: 'abc' },
  { kind: 'watch', slots: true, tables: false, moves: null },
  { kind: 'watch', slots: true, tables: false, moves: {} },
  {
    kind: 'watch',
    slots: true,
    tables: true,
    moves: { client: 'a', type: 'pci', first: '0x0', last: '0xF', vcpu: 15 },
  },
  { kind: 'peek', id: 1, client: 2 },
  { kind: 'type', text: 'ls\r' },
  { kind: 'hold-all', id: 1, pending: true, complete: false },
  { kind: 'break', id: 1, breakpoint: { at: 'pending' } },
  {
    kind: 'break',
    id: 1,
    breakpoint: { at: 'complete', direction: 'read', value: '0xffffffffffffffff', expression: 'size == 1' },
  },
  { kind: 'break', id: 1, breakpoint: { at: 'interrupt' } },
  { kind: 'break', id: 1, breakpoint: { at: 'interrupt', interrupt: 'raised', line: 47, by: 'uart16550' } },
  { kind: 'break', id: 1, breakpoint: { at: 'interrupt', interrupt: 'sent', vector: 255 } },
  { kind: 'unbreak', id: 1, number: 2 },
  { kind: 'change', id: 1, vcpu: 0, value: '0x41' },
  { kind: 'go', id: 1, vcpu: null },
  { kind: 'step', id: 1, vcpu: 0 },
  { kind: 'keep-held', id: 1, keep: true },
  { kind: 'detach', id: 1 },
];

test('a message of the page is accepted unchanged', () => {
  for (const message of GOOD) assert.deepEqual(parsePageMessage(JSON.stringify(message)), message);
});

test('text that is not a message of the page is refused', () => {
  for (const bad of [
    '',
    '{',
    'null',
    '[]',
    '"hello"',
    '{}',
    '{"kind":"constructor"}',
    '{"kind":"__proto__"}',
    '{"kind":"hello"}',
    '{"kind":"hello","token":1}',
    '{"kind":"hello","token":"a","more":1}',
    '{"kind":"watch","slots":1,"tables":true,"moves":null}',
    '{"kind":"watch","slots":true,"tables":true,"moves":[]}',
    '{"kind":"watch","slots":true,"tables":true,"moves":{"last":"0x5"}}',
    '{"kind":"watch","slots":true,"tables":true,"moves":{"first":"0x6","last":"0x5"}}',
    '{"kind":"watch","slots":true,"tables":true,"moves":{"toString":1}}',
    '{"kind":"inspect","vcpu":0}',
    '{"kind":"step","id":1,"vcpu":16}',
    '{"kind":"step","id":1,"vcpu":-1}',
    '{"kind":"step","id":1,"vcpu":0.5}',
    '{"kind":"step","id":1,"vcpu":null}',
    '{"kind":"go","id":1}',
    '{"kind":"go","id":1,"vcpu":1e999}',
    '{"kind":"peek","id":9007199254740992,"client":0}',
    '{"kind":"detach","id":1,"__proto__":{"id":2}}',
    '{"kind":"detach","id":1,"toString":2}',
    `{"kind":"hello","token":"${'a'.repeat(MAX_NAME_CHARACTERS + 1)}"}`,
    `{"kind":"watch","slots":true,"tables":true,"moves":{"client":"${'a'.repeat(MAX_NAME_CHARACTERS + 1)}"}}`,
    '{"kind":"change","id":1,"vcpu":0,"value":"41"}',
    '{"kind":"change","id":1,"vcpu":0,"value":"0x10000000000000000"}',
    '{"kind":"break","id":1,"breakpoint":{"at":"free"}}',
    '{"kind":"break","id":1,"breakpoint":{}}',
    '{"kind":"break","id":1,"breakpoint":{"at":"interrupt","line":48}}',
    '{"kind":"break","id":1,"breakpoint":{"at":"interrupt","vector":256}}',
    '{"kind":"break","id":1,"breakpoint":{"at":"interrupt","interrupt":"rises"}}',
    '{"kind":"break","id":1,"breakpoint":{"at":"interrupt","client":"uart16550"}}',
    '{"kind":"break","id":1,"breakpoint":{"at":"pending","line":4}}',
    '{"kind":"break","id":1,"breakpoint":{"at":"pending","first":"0x10000000000000"}}'.replace('0x1', '0x11'),
    `{"kind":"break","id":1,"breakpoint":{"at":"pending","expression":"${'1'.repeat(MAX_EXPRESSION_CHARACTERS + 1)}"}}`,
    `{"kind":"type","text":"${'x'.repeat(MAX_TYPED_CHARACTERS + 1)}"}`,
    '{"kind":"detach","id":"1"}',
  ])
    assert.equal(parsePageMessage(bad), undefined, bad.slice(0, 90));
});

test('a message with any field replaced is accepted or refused, and never throws', () => {
  const part = fc.oneof(fc.jsonValue(), fc.constantFrom('0x5', 3, true, null, 'read'));
  fc.assert(
    fc.property(fc.constantFrom(...GOOD), fc.string(), part, fc.nat(5), (message, name, value, which) => {
      const key = Object.keys(message)[which] ?? name;
      const parsed = parsePageMessage(JSON.stringify({ ...message, [key]: value }));
      if (parsed !== undefined) assert.ok(GOOD.some(({ kind }) => kind === parsed.kind));
    }),
    { seed: 5, numRuns: 2000 },
  );
});
