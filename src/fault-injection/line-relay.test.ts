import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VmSharedState } from '../hypervisor/vm-shared-state.js';
import { LineRelay } from './line-relay.js';

function relayed(): { relay: LineRelay; seen: string[]; shared: VmSharedState } {
  const seen: string[] = [];
  const relay = new LineRelay((gsi, high) => seen.push(`line ${gsi} ${high}`));
  return { relay, seen, shared: new VmSharedState(relay.handle) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('lines of a device in another thread', { timeout: 120_000 }, () => {
  test('are delivered without a call, and pulses are not lost', async () => {
    const { relay, seen, shared } = relayed();
    shared.lines.set(4, true);
    shared.lines.pulse(9);
    await until(() => seen.length === 3);
    assert.deepEqual(seen, ['line 4 true', 'line 9 true', 'line 9 false']);
    shared.lines.set(4, false);
    await until(() => seen.length === 4);
    assert.equal(seen[3], 'line 4 false');
    relay.close();
  });

  test('are delivered once and at once by deliver()', async () => {
    const { relay, seen, shared } = relayed();
    shared.lines.set(4, true);
    relay.deliver();
    assert.deepEqual(seen, ['line 4 true']);
    shared.lines.set(5, true);
    await until(() => seen.length > 1);
    assert.deepEqual(seen, ['line 4 true', 'line 5 true']);
    relay.close();
  });

  test('are not delivered after close()', async () => {
    const { relay, seen, shared } = relayed();
    relay.close();
    shared.lines.set(4, true);
    relay.deliver();
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(seen, []);
  });
});
