import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VmEnd } from '../vm/user-vm-events.js';
import { endMessage, statusOf, type SessionEnd } from './session-end.js';

const ended = (reason: VmEnd['reason'], exitCode?: number): SessionEnd => ({
  kind: 'vm-ended',
  end: { reason, message: reason },
  exitCode,
});
const broken = (code: string): SessionEnd => ({
  kind: 'output-broken',
  error: Object.assign(new Error(code), { code }),
});

test('each end of a session has its exit status', () => {
  const cases: readonly (readonly [SessionEnd, boolean, number])[] = [
    [ended('power-off'), false, 0],
    [ended('power-off', 0), false, 0],
    [ended('power-off', 3), false, 1],
    [ended('power-off'), true, 3],
    [ended('triple-fault'), false, 1],
    [ended('halted'), true, 1],
    [ended('crashed'), false, 1],
    [ended('reset-loop'), false, 1],
    [{ kind: 'text-seen' }, false, 0],
    [{ kind: 'timed-out' }, false, 3],
    [{ kind: 'timed-out' }, true, 3],
    [{ kind: 'escape-key' }, false, 0],
    [{ kind: 'escape-key' }, true, 3],
    [{ kind: 'signal', signal: 'SIGINT' }, false, 130],
    [{ kind: 'signal', signal: 'SIGTERM' }, false, 143],
    [{ kind: 'signal', signal: 'SIGHUP' }, false, 129],
    [{ kind: 'signal', signal: 'SIGQUIT' }, false, 131],
    [broken('EPIPE'), false, 141],
    [broken('ENOSPC'), false, 70],
  ];
  for (const [end, isExpecting, status] of cases)
    assert.equal(statusOf(end, isExpecting), status, `${JSON.stringify(end)} ${isExpecting}`);
});

test('an expected text that did not appear is named', () => {
  assert.equal(endMessage(ended('power-off'), 'login:', undefined), '"login:" did not appear on the console');
  assert.equal(
    endMessage({ kind: 'timed-out' }, 'login:', 2500),
    '"login:" did not appear on the console; ended after 2.5 s',
  );
  assert.equal(endMessage({ kind: 'timed-out' }, undefined, 1000), 'ended after 1 s');
});

test('a failure on a hypervisor of the operator names guest, hypervisor and module', () => {
  const foreign = 'monitor on the hypervisor toy of ./toy.js';
  for (const reason of ['triple-fault', 'crashed'] as const) {
    assert.match(
      endMessage(ended(reason), undefined, undefined, foreign) ?? '',
      /^that was monitor on .*toy\.js\. Check/,
    );
    assert.equal(endMessage(ended(reason), undefined, undefined), undefined);
  }
  assert.equal(endMessage(ended('power-off'), undefined, undefined, foreign), undefined);
});

test('a full disk is reported, and a closed pipe is not', () => {
  assert.equal(endMessage(broken('EPIPE'), undefined, undefined), undefined);
  assert.equal(endMessage(broken('ENOSPC'), undefined, undefined), 'cannot write to standard output: ENOSPC');
});

test('a guest’s exit code is reported unless it is 0', () => {
  assert.equal(endMessage(ended('power-off', 7), undefined, undefined), "the guest's exit code is 7");
  assert.equal(endMessage(ended('power-off', 0), undefined, undefined), undefined);
});
