import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  drop,
  explore,
  ExploredProgram,
  loadCompiler,
  replace,
  replay,
  scheduleTable,
  select,
  SMALLEST,
} from './index.js';

test('somebody else’s world and change are explored by the public names', async () => {
  const compiler = loadCompiler();
  const plan = { ...SMALLEST, requests: 2, clients: ['later'] as const };
  const healthy = await explore(new ExploredProgram(compiler), plan);
  assert.equal(healthy.schedule, undefined);
  const change = { module: 'hypervisor/upcall', in: 'Upcall.raise', edit: replace(select.returned('ring'), 'false') };
  const program = new ExploredProgram(compiler, [change]);
  const broken = await explore(program, plan, { shortestWithin: 10_000 });
  assert.ok(broken.schedule);
  assert.match(broken.schedule.violation, /PENDING: a lost upcall/);
  assert.match(scheduleTable(replay(program, broken.schedule)), /FREE → PENDING/);
});

test('a change whose place does not exist is refused', () => {
  const compiler = loadCompiler();
  const edit = drop(select.statement('ring'));
  assert.throws(
    () => new ExploredProgram(compiler, [{ module: 'hypervisor/upcall', in: 'Upcall.lower', edit }]),
    /GONE/,
  );
  assert.throws(() => new ExploredProgram(compiler, [{ module: 'cli/main', edit }]), /GONE: cli\/main/);
});
