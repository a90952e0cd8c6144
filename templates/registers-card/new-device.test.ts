import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRegisters, findFailingProgram, play, RegisterCoverage } from 'upcall/testing';
import { makeBench } from './new-device.bench.ts';

// `prepare` is a program after which all flags are set that a guest can clear: write(START,1) wait(5ms)
const prepare = '';

test('does what its register map says, and stands a hostile guest', async (t) => {
  const { findings, unchecked } = await checkRegisters(makeBench, { prepare });
  for (const flag of unchecked) t.diagnostic(`not checked: ${flag}`);
  assert.deepEqual(findings, []);
});

test('no random program breaks it', async () => {
  const failing = await findFailingProgram(makeBench, {
    seed: 1,
    saveTo: { file: 'found.test.ts', module: './new-device.bench.ts', create: 'makeBench' },
  });
  assert.equal(failing, undefined);
});

test('each register is read and written', async () => {
  const bench = await makeBench();
  const coverage = new RegisterCoverage(bench.registers!);
  const observed = coverage.observe(bench);
  for (const { name, access } of bench.registers!.registers) {
    if (access !== 'r') await play(observed, `write(${name},0)`);
    if (access !== 'w') await play(observed, `read(${name})`);
  }
  assert.deepEqual(coverage.missing, []);
  bench.close();
});
