import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRegisters, findFailingProgram, play, RegisterCoverage } from 'upcall/testing';
import { makeBench } from './new-device.bench.ts';

test('sums bytes of guest memory and sends a message', async () => {
  const bench = await makeBench();
  await play(bench, 'store(0x1000,4,0x01020304) write(ADDRESS,0x1000) write(LENGTH,4) write(COMMAND,1)');
  await play(bench, 'read(SUM)=10 read(STATUS)=1 raised(0)=1');
  await play(bench, 'write(STATUS,1) read(STATUS)=0');
  bench.close();
});

test('reports an address that is not RAM', async () => {
  const bench = await makeBench();
  await play(bench, 'write(ADDRESS,0xfffff000) write(LENGTH,4) write(COMMAND,1) read(STATUS)=3 read(SUM)=0');
  bench.close();
});

test('does what its register map says, and stands a hostile guest', async () => {
  const { findings, unchecked } = await checkRegisters(makeBench, {
    prepare: 'write(ADDRESS,0xfffff000) write(LENGTH,4) write(COMMAND,1)',
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
  await play(observed, 'read(ID)=0x55500002 write(ADDRESS,8) read(ADDRESS)=8 write(LENGTH,4) read(LENGTH)=4');
  await play(observed, 'write(COMMAND,1) read(STATUS)=1 read(SUM)=0 write(STATUS,1)');
  assert.deepEqual(coverage.missing, []);
  bench.close();
});
