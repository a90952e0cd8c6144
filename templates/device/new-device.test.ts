import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRegisters, findFailingProgram, play, RegisterCoverage } from 'upcall/testing';
import { makeBench } from './new-device.bench.ts';

test('expires after its period and raises the line until the guest clears it', async () => {
  const bench = await makeBench();
  await play(bench, 'write(PERIOD,10) write(CONTROL,1) wait(9ms) read(STATUS)=0 line(5)=0');
  await play(bench, 'wait(1ms) read(STATUS)=1 line(5)=1');
  await play(bench, 'write(STATUS,1) read(STATUS)=0 line(5)=0 raised(5)=1');
  bench.close();
});

test('does what its register map says, and stands a hostile guest', async () => {
  const { findings, unchecked } = await checkRegisters(makeBench, {
    prepare: 'write(PERIOD,5) write(CONTROL,1) wait(5ms)',
  });
  assert.deepEqual(findings, []);
  assert.deepEqual(unchecked, []);
});

test('no random program breaks it', async () => {
  const failing = await findFailingProgram(makeBench, {
    seed: 1,
    saveTo: { file: 'found.test.ts', module: './new-device.bench.ts', create: 'makeBench' },
  });
  assert.equal(failing, undefined);
});

test('each register and field is read and written here', async () => {
  const bench = await makeBench();
  const coverage = new RegisterCoverage(bench.registers!);
  const observed = coverage.observe(bench);
  await play(observed, 'read(ID)=0x55500001 write(PERIOD,0) read(PERIOD)=1 write(PERIOD,70000) read(PERIOD)=60000');
  await play(observed, 'write(CONTROL,0xffffffff) read(CONTROL)=1 write(STATUS,1) read(STATUS)=0');
  assert.deepEqual(coverage.missing, []);
  bench.close();
});
