import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultTable } from './fault-table.js';

test('the table has each rule with its counts and its first and last fault', () => {
  const rule = 'port=0x3f8 read: ones';
  const record = { rule, target: 'uart16550', vcpu: 0, request: 'read port 0x3f8/1' };
  const text = faultTable(
    [
      {
        rule,
        matches: 12,
        injected: 2,
        first: { ...record, timeMs: 1.5, nth: 1 },
        last: { ...record, timeMs: 2500, nth: 2 },
      },
      { rule: 'line=4: lose', matches: 1, injected: 1, first: { rule: '', target: 'line 4', timeMs: 3000, nth: 1 } },
      { rule: 'pci: crash', matches: 0, injected: 0 },
    ],
    42,
  );
  assert.deepEqual(text.split('\n'), [
    'Faults (seed 42)         matches  injected  first                      last',
    '  port=0x3f8 read: ones       12         2  0.002 s read port 0x3f8/1  2.500 s read port 0x3f8/1',
    '  line=4: lose                 1         1  3.000 s',
    '  pci: crash                   0         0  -',
    '',
  ]);
});
