import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../device-model/clock.js';
import { PROMISE_OPEN } from '../device-model/device-client.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import { EventLog } from './event-log.js';
import { LINES_PER_SECOND } from './line-limit.js';
import { Reporter } from './reporter.js';

function made(withStacks = false, address?: string): { log: EventLog; lines: string[]; clock: ManualClock } {
  const lines: string[] = [];
  const clock = new ManualClock();
  const reporter = new Reporter({ write: (text) => lines.push(text.trimEnd()) });
  return { log: new EventLog(reporter, clock, withStacks, () => address), lines, clock };
}

const failure: UserVmEvent = {
  kind: 'device-error',
  device: 'broken',
  during: 'read',
  message: 'bug',
  stack: 'at read',
};

const FAILURE = 'upcall: device broken failed in a read, the guest read all ones: bug';

test('an event is printed as one line', () => {
  const { log, lines } = made();
  log.report(failure);
  log.report({ kind: 'reset', reason: 'port 0xcf9' });
  log.report({ kind: 'rtc-changed', lastTime: 1_700_000_000, delta: 3600 });
  assert.deepEqual(lines, [
    'upcall: device broken failed in a read, the guest read all ones: bug',
    'upcall: the guest reset the machine: port 0xcf9',
    'upcall: the guest set its clock by +3600 s',
  ]);
});

test('what became of a saved file is printed at once, however much else there is', () => {
  const { log, lines } = made();
  for (let reset = 0; reset <= LINES_PER_SECOND; reset++) log.report({ kind: 'reset', reason: `${reset}` });
  lines.length = 0;
  const device = 'disk';
  log.report({ kind: 'device-reloaded', device, ms: 41.7, isStateCarried: true });
  log.report({ kind: 'device-reloaded', device, ms: 40, isStateCarried: false, note: 'it had no save' });
  log.report({ kind: 'reload-failed', device, message: 'no', stack: 'Error: no\n    at read (/x/disk.ts:3:9)' });
  assert.deepEqual(lines, [
    'upcall: device disk was reloaded in 42 ms, with its state',
    'upcall: device disk was reloaded in 40 ms, from its power-on state: it had no save',
    'upcall: device disk was not reloaded, the old one stays: no (at /x/disk.ts:3:9)',
  ]);
});

test('of a late device in this thread the option that says more is named, unless it was given', () => {
  const { log, lines } = made();
  const late = {
    kind: 'client-late',
    vmId: 0,
    client: 'disk',
    vcpu: 0,
    request: 'read',
    limitMs: 5,
    elapsedMs: 5,
  } as const;
  const here = { ...late, policy: 'all-ones', detail: PROMISE_OPEN } as const;
  log.report(here);
  log.report({ ...here, vcpu: 1, client: 'net', stack: 'Waiting in:' });
  log.report({ ...here, client: 'own', detail: `its thread has begun the access: ${PROMISE_OPEN}` });
  const removed = 'took more than 5 ms for "read" and was removed';
  assert.deepEqual(lines, [
    `upcall: I/O client disk ${removed}; the device’s promise is open. Add --late-stacks to see where it waits`,
    `upcall: I/O client net ${removed}; the device’s promise is open`,
    `upcall: I/O client own ${removed}; its thread has begun the access: the device’s promise is open`,
  ]);
});

test('the removal of a device is printed at once, however many other lines the second has', () => {
  const { log, lines } = made();
  for (let i = 0; i < 2 * LINES_PER_SECOND; i++) log.report({ ...failure, message: `bug ${i}` });
  const failed = { kind: 'client-failed', vmId: 0, message: 'bug' } as const;
  const late = { kind: 'client-late', vmId: 0, vcpu: 0, request: 'read', limitMs: 5, elapsedMs: 5 } as const;
  log.report({ ...failed, client: 'acrndm', isDefault: true });
  log.report({ ...late, client: 'acrndm', isDefault: true, policy: 'all-ones' });
  log.report({ ...late, client: 'disk', policy: 'wait' });
  const before = lines.length;
  log.report({ ...failed, client: 'disk' });
  log.report({ ...late, client: 'net', policy: 'all-ones' });
  log.report({ ...failure, during: 'outside', message: 'later' });
  const [counted, ...printed] = lines.slice(before);
  assert.match(counted ?? '', /more events of kind/);
  for (const what of [/disk/, /net/, /later/])
    assert.ok(
      printed.some((line) => what.test(line)),
      String(what),
    );
});

test('a device error is followed by its stack if stacks are on', () => {
  const { log, lines } = made(true);
  log.report(failure);
  assert.equal(lines[1], 'at read');
});

test('a line that repeats within a second is printed once, and once more with its count', () => {
  const { log, lines, clock } = made();
  for (let i = 0; i < 60; i++) log.report(failure);
  assert.equal(lines.length, 1);
  clock.advance(1000);
  assert.deepEqual(lines, [FAILURE, 'upcall: 59 more events of kind device-error in the same second']);
  log.report(failure);
  clock.advance(5000);
  assert.deepEqual(lines.slice(2), [FAILURE], 'a line that does not repeat has no count');
  assert.equal(clock.pending, 0);
});

test('events of held requests are printed even in a flood, with the page’s address where it is needed', () => {
  const { log, lines } = made(false, 'http://127.0.0.1:1/#t');
  const hold = { vcpu: 0, at: 'pending', client: 'uart', request: 'write port 0x3f8/1 = 0x41', more: 1 } as const;
  for (let i = 0; i < LINES_PER_SECOND; i++) log.report({ ...failure, message: `bug ${i}` });
  lines.length = 0;
  log.report({ kind: 'hold-abandoned', ...hold, releaseMs: 1500 });
  log.report({ kind: 'hold-resumed' });
  log.report({ kind: 'hold-released', afterMs: 1500, breakpoints: 0 });
  log.report(failure);
  assert.deepEqual(lines, [
    'upcall: no page is open while "write port 0x3f8/1 = 0x41" of vCPU 0 is held at PENDING, and 1 more; ' +
      'the guest continues in 1.5 s. Open http://127.0.0.1:1/#t',
    'upcall: a page is open again: the request stays held',
    'upcall: no page was opened for 1.5 s: the guest continues',
  ]);
});

test('a flood of different lines is printed up to the limit per second, the rest as a count', () => {
  const { log, lines, clock } = made();
  for (let i = 0; i < LINES_PER_SECOND + 7; i++) log.report({ ...failure, message: `bug ${i}` });
  assert.equal(lines.length, LINES_PER_SECOND);
  clock.advance(1000);
  assert.deepEqual(lines.slice(LINES_PER_SECOND), ['upcall: 7 more events of kind device-error in the same second']);
});

test('flush() reports the counts at once', () => {
  const { log, lines, clock } = made();
  for (let i = 0; i < 2; i++) log.report(failure);
  log.flush();
  assert.deepEqual(lines, [FAILURE, 'upcall: 1 more event of kind device-error in the same second']);
  assert.equal(clock.pending, 0);
});

const ends: readonly (readonly [UserVmEvent, string])[] = [
  [{ kind: 'triple-fault', vcpu: 0, message: 'triple fault' }, 'triple fault'],
  [{ kind: 'halted', vcpu: 0, message: 'vCPU 0 halted' }, 'vCPU 0 halted'],
  [{ kind: 'crashed', vcpu: 0, message: 'the core trapped' }, 'the core trapped'],
  [{ kind: 'ended', end: { reason: 'reset-loop', message: '6 resets' } }, 'ended: 6 resets'],
  [{ kind: 'device-lost', device: 'disk', reason: 'gone' }, 'device disk was removed because its thread ended: gone'],
];
for (const [event, line] of ends)
  test(`after a flood, an event ${event.kind} is printed at once, behind the counts of the flood`, () => {
    const { log, lines } = made();
    for (let i = 0; i < LINES_PER_SECOND + 7; i++) log.report({ ...failure, message: `bug ${i}` });
    log.report(event);
    assert.deepEqual(lines.slice(LINES_PER_SECOND), [
      'upcall: 7 more events of kind device-error in the same second',
      `upcall: ${line}`,
    ]);
  });

test('a failed VM is reported in one line, and a destroyed one is not reported', () => {
  const { log, lines } = made();
  log.report({ kind: 'triple-fault', vcpu: 0, message: 'triple fault at 0x7c00' });
  log.report({ kind: 'ended', end: { reason: 'triple-fault', message: 'triple fault at 0x7c00' } });
  log.report({ kind: 'ended', end: { reason: 'destroyed', message: 'destroyed by its operator' } });
  assert.deepEqual(lines, ['upcall: triple fault at 0x7c00']);
  log.report({ kind: 'ended', end: { reason: 'power-off', message: 'state S5' } });
  assert.equal(lines.at(-1), 'upcall: ended: state S5');
});

test('a VM that ends for a reason without an event of its own is reported', () => {
  const { log, lines } = made();
  log.report({ kind: 'ended', end: { reason: 'crashed', message: 'the reset failed: no room' } });
  assert.deepEqual(lines, ['upcall: ended: the reset failed: no room']);
});

test('only the first fault of a rule is printed', () => {
  const { log, lines } = made();
  const fault = { kind: 'fault-injected', rule: 'port=0x60: ones', target: 'i8042', timeMs: 1, vcpu: 0 } as const;
  for (let nth = 1; nth <= 3; nth++) log.report({ ...fault, nth, request: `read port 0x60/1 = ${nth}` });
  assert.deepEqual(lines, ['upcall: fault injected in i8042, read port 0x60/1 = 1 (port=0x60: ones)']);
});
