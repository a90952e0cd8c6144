import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acrnModel,
  acrnProgram,
  drop,
  explore,
  loadCompiler,
  replace,
  replay,
  scheduleTable,
  select,
  SMALLEST,
} from './index.js';

test('a user’s own world and change are explored with the public names', async () => {
  const compiler = loadCompiler();
  const model = acrnModel({ ...SMALLEST, requests: 2, clients: ['later'] });
  const healthy = await explore(acrnProgram(compiler), model);
  assert.equal(healthy.schedule, undefined);
  const change = { module: 'hypervisor/upcall', in: 'Upcall.raise', edit: replace(select.returned('ring'), 'false') };
  const program = acrnProgram(compiler, [change]);
  const broken = await explore(program, model, { shortestWithin: 10_000 });
  assert.ok(broken.schedule);
  assert.match(broken.schedule.violation, /PENDING: a lost upcall/);
  assert.match(scheduleTable(replay(program, model, broken.schedule)), /FREE → PENDING/);
});

test('a change whose place does not exist is refused', () => {
  const compiler = loadCompiler();
  const edit = drop(select.statement('ring'));
  const lower = { module: 'hypervisor/upcall', in: 'Upcall.lower', edit };
  assert.throws(() => acrnProgram(compiler, [lower]), /GONE/);
  assert.throws(() => acrnProgram(compiler, [{ module: 'cli/main', edit }]), /GONE: cli\/main/);
});
