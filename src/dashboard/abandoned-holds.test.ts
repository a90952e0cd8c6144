import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoppedRequest } from '../debugging/held-request.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { JUDGE_MS } from '../sync/timer-lateness.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import { AbandonedHolds } from './abandoned-holds.js';
import { DEFAULT_RELEASE_MS, RETURN_MS } from './limits.js';

const STOP: StoppedRequest = {
  vcpu: 2,
  at: 'complete',
  client: 'uart16550',
  request: { type: 'port', direction: 'read', address: 0x3f8, size: 1, value: 0x41 },
  canChange: true,
  breakpoint: 7,
  interrupt: undefined,
  sinceMs: 0,
};
const REPORT_MS = RETURN_MS + JUDGE_MS;
const RELEASE_MS = DEFAULT_RELEASE_MS + JUDGE_MS;
const ABANDONED: UserVmEvent = {
  kind: 'hold-abandoned',
  vcpu: 2,
  at: 'complete',
  client: 'uart16550',
  request: 'read port 0x3f8/1 = 0x41',
  breakpoint: 7,
  more: 0,
  releaseMs: DEFAULT_RELEASE_MS,
};

class Bench {
  readonly timing = new FakeTiming();
  readonly events: UserVmEvent[] = [];
  readonly kinds = (): string[] => this.events.map(({ kind }) => kind);
  readonly holds = {
    stops: [STOP] as readonly StoppedRequest[],
    keepsHeld: false,
    release: (): number => {
      this.holds.stops = [];
      return 1;
    },
  };
  readonly abandoned = new AbandonedHolds({
    holds: this.holds,
    releaseMs: DEFAULT_RELEASE_MS,
    emit: (event) => this.events.push(event),
    timing: this.timing,
  });
}

test('a request that is held without a page is reported after the time to return, and released after the named time', () => {
  const { abandoned, timing, events, holds } = new Bench();
  abandoned.update(true);
  assert.equal(timing.running, 0);
  abandoned.update(false);
  timing.pass(RETURN_MS);
  assert.deepEqual(events, []);
  timing.pass(JUDGE_MS);
  assert.deepEqual(events, [ABANDONED]);
  // Further changes neither report it again nor begin the time again.
  abandoned.update(false);
  timing.pass(DEFAULT_RELEASE_MS);
  assert.equal(holds.stops.length, 1);
  timing.pass(JUDGE_MS);
  assert.deepEqual(holds.stops, []);
  assert.deepEqual(events.slice(1), [{ kind: 'hold-released', afterMs: DEFAULT_RELEASE_MS, breakpoints: 1 }]);
  abandoned.update(false);
  abandoned.update(true);
  timing.pass(1_000_000);
  assert.deepEqual([events.length, timing.running], [2, 0]);
});

test('a page that reloads causes no event, and one that returns later cancels the release', () => {
  const { abandoned, timing, events, kinds, holds } = new Bench();
  abandoned.update(false);
  timing.pass(RETURN_MS);
  abandoned.update(true);
  timing.pass(1_000_000);
  assert.deepEqual(kinds(), []);

  abandoned.update(false);
  timing.pass(REPORT_MS + DEFAULT_RELEASE_MS);
  abandoned.update(true);
  timing.pass(1_000_000);
  assert.deepEqual(kinds(), ['hold-abandoned', 'hold-resumed']);
  assert.equal(holds.stops.length, 1);

  abandoned.update(false);
  timing.pass(REPORT_MS + RELEASE_MS);
  assert.equal(events.length, 4, 'the next time it is counted anew');
  assert.equal(kinds().at(-1), 'hold-released');
});

test('a request that the operator wants to keep is reported, and stays held', () => {
  const { abandoned, timing, events, holds } = new Bench();
  holds.keepsHeld = true;
  abandoned.update(false);
  timing.pass(1_000_000);
  const { releaseMs, ...kept } = ABANDONED as UserVmEvent & { releaseMs: number };
  assert.equal(releaseMs, DEFAULT_RELEASE_MS);
  assert.deepEqual(events, [kept]);
  assert.equal(holds.stops.length, 1);
});

test('a request that ends while no page is open ends the time, without an event', () => {
  const { abandoned, timing, events, holds } = new Bench();
  abandoned.update(false);
  timing.pass(REPORT_MS);
  holds.stops = [];
  abandoned.update(false);
  timing.pass(1_000_000);
  abandoned.update(true);
  assert.deepEqual(events, [ABANDONED]);
});

test('a release time that is not above 0 is refused', () => {
  const { holds } = new Bench();
  for (const releaseMs of [0, -1, NaN])
    assert.throws(
      () => new AbandonedHolds({ holds, releaseMs, emit: () => undefined }),
      (error) => error instanceof UpcallError && error.code === 'OPTION_INVALID',
    );
});

test('time in which the thread was held does not count, and after stop() nothing follows', () => {
  const { abandoned, timing, events } = new Bench();
  abandoned.update(false);
  timing.pass(REPORT_MS);
  timing.hold(10 * DEFAULT_RELEASE_MS);
  timing.pass(DEFAULT_RELEASE_MS - 1);
  assert.equal(events.length, 1, 'the page may have returned, but its connection was not read');
  abandoned.stop();
  timing.pass(1_000_000);
  assert.equal(events.length, 1);
});
