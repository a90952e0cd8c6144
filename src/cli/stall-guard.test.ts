import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reporter } from './reporter.js';
import { StallGuard } from './stall-guard.js';

async function guarded(use: (guard: StallGuard, seen: string[], reporter: Reporter) => void): Promise<void> {
  const seen: string[] = [];
  const reporter = new Reporter({ write: (text) => seen.push(text) });
  const guard = new StallGuard({
    reporter,
    namesOf: (stack) => (stack.includes('disk.mjs') ? ['disk'] : []),
    addSignalListeners: () => seen.push('add'),
    removeSignalListeners: () => seen.push('remove'),
    timedOut: () => undefined,
    onExiting: () => assert.fail('exiting'),
  });
  try {
    use(guard, seen, reporter);
  } finally {
    await guard.close();
  }
}

const frames = (place: string): string => `Error\n    at read (${place})`;

test('a stall in a device is reported once, and the signals have their default until the loop turns', () =>
  guarded((guard, seen, reporter) => {
    reporter.state.isRaw = true;
    guard.onTurn();
    for (let second = 0; second < 3; second++) guard.onStall(frames('/home/me/disk.mjs:1:2'));
    assert.equal(reporter.state.isRaw, false);
    guard.onTurn();
    guard.onTurn();
    assert.equal(reporter.state.isRaw, true);
    assert.equal(seen[0], 'remove');
    assert.match(seen[1] ?? '', /^upcall: device disk keeps the Service VM's thread \(at \/home\/me\/disk\.mjs:1:2\)/);
    assert.deepEqual(seen.slice(2), ['add', "upcall: the Service VM's thread runs again\r\n"]);
  }));

test('a stall in a file that belongs to no known device is a device’s, one in upcall itself is not', () =>
  guarded((guard, seen) => {
    guard.onStall(frames(`${import.meta.url}:1:2`));
    assert.equal(seen.length, 0);
    guard.onStall(frames('/home/me/part.mjs:1:2'));
    assert.match(seen[1] ?? '', /^upcall: a device keeps the Service VM's thread \(at \/home\/me\/part\.mjs:1:2\)/);
  }));
