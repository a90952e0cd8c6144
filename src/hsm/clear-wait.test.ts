import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ports } from './address-range.js';
import { waitForClients } from './clear-wait.js';
import { Keeper, OneVm } from './fixtures/one-vm.js';
import type { HsmEvent } from './hsm-observer.js';

/** A VM with one busy client. `meanwhile` runs in each sleep. */
async function clear(
  meanwhile: (sleep: number, client: Keeper) => void,
): Promise<{ slept: number[]; events: HsmEvent[] }> {
  const vm = new OneVm();
  const client = new Keeper('busy', ports(0x500, 1));
  vm.requests.clients.add(client, client.ranges);
  vm.fill(0);
  vm.requests.dispatch();
  const slept: number[] = [];
  await waitForClients({
    vmId: 1,
    clients: () => vm.requests.clients.all,
    assignments: vm.requests.assignments,
    observer: { event: (event) => void vm.events.push(event) },
    sleep: (ms) => {
      slept.push(ms);
      meanwhile(slept.length, client);
      return Promise.resolve();
    },
  });
  return { slept, events: vm.events };
}

const TEN_TIMES_10_MS = Array.from({ length: 10 }, () => 10);

describe('the wait of CLEAR', () => {
  test('lasts ten times 10 ms for a client that keeps its request, and reports it', async () => {
    const { slept, events } = await clear(() => undefined);
    assert.deepEqual(slept, TEN_TIMES_10_MS);
    assert.deepEqual(events, [{ kind: 'flush-timeout', vmId: 1, client: 'busy' }]);
  });

  test('reports, as the driver does, also a client that answers in the last sleep', async () => {
    const { slept, events } = await clear((sleep, client) => {
      if (sleep === 10) client.answer();
    });
    assert.equal(slept.length, 10);
    assert.equal(events.length, 1);
  });

  test('ends with the answer before, without a report', async () => {
    const { slept, events } = await clear((sleep, client) => {
      if (sleep === 9) client.answer();
    });
    assert.equal(slept.length, 9);
    assert.deepEqual(events, []);
  });
});
