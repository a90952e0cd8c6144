import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore, ExploredProgram, loadCompiler, replay, scheduleTable, SMALLEST } from './index.js';

test('somebody else’s world and change are explored by the public names', async () => {
  const compiler = loadCompiler();
  const plan = { ...SMALLEST, requests: 2, clients: ['later'] as const };
  const healthy = await explore(new ExploredProgram(compiler), plan);
  assert.equal(healthy.schedule, undefined);
  const change = { module: 'hypervisor/upcall', from: 'return this.#doorbell.ring();', to: 'return false;' };
  const program = new ExploredProgram(compiler, [change]);
  const broken = await explore(program, plan, { shortestWithin: 10_000 });
  assert.ok(broken.schedule);
  assert.match(broken.schedule.violation, /PENDING: a lost upcall/);
  assert.match(scheduleTable(replay(program, broken.schedule)), /FREE → PENDING/);
});

test('a change whose text is gone is refused', () => {
  const compiler = loadCompiler();
  assert.throws(
    () => new ExploredProgram(compiler, [{ module: 'hypervisor/upcall', from: 'nonsense', to: '' }]),
    /GONE/,
  );
  assert.throws(() => new ExploredProgram(compiler, [{ module: 'cli/main', from: 'a', to: '' }]), /GONE: cli\/main/);
});
