/** Register coverage. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegisterMap } from '../device-model/register-map.js';
import { benchOf, Sound } from './fixtures/sound-device.js';
import { play, RegisterCoverage } from './index.js';

test('coverage counts accesses of each field, and names what was left out', async () => {
  const bench = await benchOf(Sound)();
  const coverage = new RegisterCoverage(bench.registers as RegisterMap);
  await play(coverage.observe(bench), 'write(CONTROL,1) write(CONTROL,0) read(CONTROL) read(STATUS) read(0x1,1)');
  assert.deepEqual(coverage.missing, [
    'STATUS.DONE is never written',
    'STATUS.LOST is never written',
    'ID is never read',
  ]);
  assert.equal(coverage.otherAccesses, 1);
  assert.deepEqual(coverage.fields[0], {
    register: 'CONTROL',
    field: 'ENABLE',
    reads: 1,
    writes: 2,
    read: [0],
    written: [1, 0],
    names: { 1: 'ON' },
    isReadable: true,
    isWritable: true,
  });
  assert.match(coverage.toString(), /^CONTROL\.ENABLE {2}read 1× \(0x0\) {2,}written 2× \(0x1 ON, 0x0\)$/m);
});

test('of many values the first eight are kept, and the text says that there are more', async () => {
  const bench = await benchOf(Sound)();
  const registers: RegisterMap = {
    source: 'this test',
    registers: [{ offset: 0, size: 4, name: 'CONTROL', access: 'rw', meaning: 'control' }],
  };
  const coverage = new RegisterCoverage(registers);
  const observed = coverage.observe(bench);
  for (let value = 1; value <= 9; value++) await play(observed, `write(CONTROL,${value})`);
  assert.deepEqual(coverage.fields[0]?.written, [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.match(coverage.toString(), /written 9× \(0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8 …\)/);
});
