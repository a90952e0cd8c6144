import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { addFault, faultPlan, MAX_FAULT_FILE_BYTES, parseSeed } from './fault-option.js';

const folder = mkdtempSync(join(tmpdir(), 'upcall-faults-'));
after(() => rmSync(folder, { recursive: true }));

test('rules of the command line and of files form one plan, the files last', async () => {
  const file = join(folder, 'plan.txt');
  writeFileSync(file, '# two rules\nline=4: lose\nread: stale\n');
  const fault = addFault('port=0x60: ones', []);
  const plan = await faultPlan({ fault, faultFile: [file], faultSeed: 7 });
  assert.equal(plan?.seed, 7);
  assert.deepEqual(
    plan.rules.map((rule) => (typeof rule === 'string' ? rule : rule.effect.kind)),
    ['port=0x60: ones', 'lose', 'stale'],
  );
});

test('without a rule there is no plan', async () => {
  assert.equal(await faultPlan({ fault: [], faultFile: [] }), undefined);
  await assert.rejects(faultPlan({ fault: [], faultFile: [], faultSeed: 1 }), { code: 'OPTION_INVALID' });
});

test('an invalid rule is reported with its file, line and column', async () => {
  assert.throws(() => addFault('port=0x60: onse', []), { code: 'OPTION_INVALID', message: /character 12: "onse"/ });
  const file = join(folder, 'wrong.txt');
  writeFileSync(file, 'line=4: lose\nline=99: lose\n');
  await assert.rejects(faultPlan({ fault: [], faultFile: [file] }), {
    message: new RegExp(`^${file}:2:1: line 99 does not exist`),
  });
  await assert.rejects(faultPlan({ fault: [], faultFile: [join(folder, 'none')] }), {
    code: 'OPTION_INVALID',
    message: /cannot read .*none \(ENOENT\)/,
  });
});

test('a file of rules has at most 1 MiB', async () => {
  const file = join(folder, 'long.txt');
  const rule = 'line=4: lose\n';
  writeFileSync(file, rule + '#'.repeat(MAX_FAULT_FILE_BYTES - rule.length));
  assert.equal((await faultPlan({ fault: [], faultFile: [file] }))?.rules.length, 1);
  writeFileSync(file, rule + '#'.repeat(MAX_FAULT_FILE_BYTES - rule.length + 1));
  await assert.rejects(faultPlan({ fault: [], faultFile: [file] }), {
    code: 'OPTION_INVALID',
    message: `cannot read ${file} (more than 1 MiB)`,
  });
});

test('a seed is a whole number below 2^32', () => {
  assert.equal(parseSeed('4294967295'), 4294967295);
  for (const text of ['', '-1', '4294967296', '0x1', '1.5'])
    assert.throws(() => parseSeed(text), { code: 'OPTION_INVALID' });
});
