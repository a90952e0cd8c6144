import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../io-request/upcall-error.js';
import { pagePlan, parsePort, parseRelease } from './page-option.js';

test('--page-release takes seconds or never', () => {
  assert.deepEqual(['60', '0.5', ' 300 ', 'never'].map(parseRelease), [60_000, 500, 300_000, Infinity]);
  for (const bad of ['', '0', '-1', 'x', '1e3', '1000000', '0.0001'])
    assert.throws(
      () => parseRelease(bad),
      (error) => error instanceof UpcallError && error.code === 'OPTION_INVALID' && error.message.includes(bad),
    );
});

test('what follows --page may have been meant as the guest, unless it is a number', () => {
  assert.throws(() => parsePort('monitor'), { remedy: /name the guest before the option/ });
  assert.throws(() => parsePort('99999'), { remedy: 'Leave out the port: any free one is taken' });
});

test('options of the page need the page', () => {
  assert.equal(pagePlan({}), undefined);
  assert.deepEqual(pagePlan({ page: true, pageRelease: Infinity }), { port: 0, releaseMs: Infinity });
  assert.throws(() => pagePlan({ pageRelease: 1 }), /--page-release has no effect without --page/);
  assert.deepEqual(pagePlan({ page: 80, pageWait: true }), { port: 80, waits: true });
  assert.throws(() => pagePlan({ pageWait: true }), /--page-wait has no effect without --page/);
  assert.throws(() => pagePlan({ pageHost: '::1' }), /--page-host has no effect without --page/);
});
