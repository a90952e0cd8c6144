/** The tools of a VM on a card that another monitor has: each access is a request of its VM. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { openLivePage } from '../dashboard/open-live-page.js';
import type { RegisterMap } from '../device-model/register-map.js';
import type { Move } from '../trace/move.js';
import { turn } from './fixtures/turn.js';
import { TestCard } from './fixtures/test-card.js';
import { serverOf, TestClient, transfer } from './fixtures/test-client.js';
import { Command, Region } from './protocol.js';

const COMMAND = 4;
const ENABLE = 0x7;
class PeekedCard extends TestCard {
  readonly registers: RegisterMap = {
    source: 'test',
    registers: [{ name: 'VALUE', offset: 0, size: 4, access: 'rw', bar: 0, meaning: 'the value' }],
  };

  peek(bar: number, offset: number): number | undefined {
    return bar === 0 && offset === 0 ? 0x5a : undefined;
  }
}

async function opened(t: TestContext, rules: readonly string[] = []) {
  const card = new PeekedCard();
  const faults = { seed: 1, rules };
  const { server } = await serverOf(card, { vm: { name: 'card', statistics: true, faults } });
  t.after(() => server.close());
  const client = await TestClient.open(server);
  assert.equal(client.write(Region.CONFIG, COMMAND, 2, ENABLE), 0);
  return { card, server, client, vm: server.vm };
}

test('a breakpoint holds an access of the monitor, shows it, and changes its answer', async (t) => {
  const { card, client, vm } = await opened(t);
  const number = vm.debugger.add({ at: 'complete', client: 'test-card' });
  const id = client.post(Command.REGION_READ, transfer(0, 0, 4));
  const stop = await vm.debugger.stopped();
  assert.deepEqual([stop?.client, stop?.request.value, card.accesses], ['test-card', 0x0403_0201, ['r 0+0/4']]);
  assert.equal(client.replyTo(id), undefined);
  vm.debugger.change(stop?.vcpu ?? -1, 0x77);
  vm.debugger.remove(number);
  vm.debugger.goAll();
  await turn();
  assert.equal(client.replyTo(id)?.payload.getUint32(16, true), 0x77);
  assert.equal(client.read(0, 0, 4), 0x0403_0201);
});

test('a fault rule fails the accesses that it selects', async (t) => {
  const { card, client, vm } = await opened(t, ['client=test-card read every=2: ones']);
  const values = [1, 2, 3, 4].map(() => client.read(0, 0, 4));
  assert.deepEqual(values, [0x0403_0201, 0xffff_ffff, 0x0403_0201, 0xffff_ffff]);
  assert.ok(card.accesses.length >= 2);
  assert.equal(vm.statistics()?.clients.find(({ name }) => name === 'test-card')?.reads, 4);
});

test('the trace has the moves of each access', async (t) => {
  const { client, vm } = await opened(t);
  const moves: Move[] = [];
  let isComplete = false;
  const reading = (async () => {
    for await (const move of vm.trace()) {
      if (move.to === 'PENDING') moves.length = 0;
      moves.push(move);
      if (moves.length === 4) break;
    }
    isComplete = true;
  })();
  // The trace begins some time after it was asked for.
  while (!isComplete) {
    client.read(0, 4, 2);
    await turn();
  }
  await reading;
  assert.deepEqual(
    moves.map(({ to, by, client: name }) => [to, by, name]),
    [
      ['PENDING', 'vcpu', undefined],
      ['PROCESSING', 'hsm', 'test-card'],
      ['COMPLETE', 'client', 'test-card'],
      ['FREE', 'vcpu', 'test-card'],
    ],
  );
  assert.deepEqual(new Set(moves.map(({ requestNumber }) => requestNumber)).size, 1);
});

test('registers are peeked without an access, and the live page has an address', async (t) => {
  const { card, vm } = await opened(t);
  const client = vm.inspection.clients.find(({ name }) => name === 'test-card');
  assert.ok(client !== undefined);
  const { source, registers } = await vm.inspection.peek(client);
  assert.deepEqual([source, registers.map(({ value }) => value), card.accesses], ['test', [0x5a], []]);
  const page = await openLivePage(vm);
  t.after(() => page.close());
  const answer = await fetch(page.address);
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /<script/);
});
