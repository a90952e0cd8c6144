import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../io-request/upcall-error.js';
import { ExitStatus } from './exit-status.js';
import { Reporter } from './reporter.js';
import { SessionEnding, withEnding } from './session-ending.js';

const never = (): Promise<never> => new Promise(() => undefined);

function noted(): { reporter: Reporter; lines: string[] } {
  const lines: string[] = [];
  return { lines, reporter: new Reporter({ write: (text) => lines.push(text.trimEnd()) }) };
}

test('the time limit and a signal end a preparation that never settles', async () => {
  const before = process.listenerCount('SIGQUIT');
  const { reporter, lines } = noted();
  const timedOut = await withEnding({ timeout: 10, expect: 'login:' }, reporter, never, never);
  const signalled = withEnding({}, reporter, never, never);
  process.emit('SIGQUIT');
  assert.deepEqual([timedOut, await signalled], [ExitStatus.TIMED_OUT, ExitStatus.QUIT]);
  assert.deepEqual(lines, [
    'upcall: "login:" did not appear on the console; ended after 0.01 s, before the guest was started',
    'upcall: ended by SIGQUIT, before the guest was started',
  ]);
  assert.equal(process.listenerCount('SIGQUIT'), before);
});

test('work that cleans up is aborted and awaited, and may say why nothing came of it', async () => {
  const { reporter, lines } = noted();
  const steps: string[] = [];
  const prepare = (ending: SessionEnding): Promise<never> =>
    ending.cleansUp(
      (async () => {
        await new Promise((resolve) => ending.signal.addEventListener('abort', resolve));
        await new Promise((resolve) => setTimeout(resolve, 20));
        steps.push('cleaned up');
        throw ending.isTimedOut ? new UpcallError('TIMED_OUT', 'nothing was fetched') : new Error('aborted');
      })(),
    );
  await assert.rejects(withEnding({ timeout: 10 }, reporter, prepare, never), { message: 'nothing was fetched' });
  const signalled = withEnding({}, reporter, prepare, never);
  process.emit('SIGTERM');
  assert.equal(await signalled, ExitStatus.TERMINATED);
  assert.deepEqual(steps, ['cleaned up', 'cleaned up']);
  assert.deepEqual(lines, ['upcall: ended by SIGTERM, before the guest was started']);
});

test('the time of the preparation counts for the session', async () => {
  const { reporter } = noted();
  const slow = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));
  const status = await withEnding({ timeout: 60 }, reporter, slow, async (_, ending) => {
    const leftMs = ending.endMs - performance.now();
    assert.ok(leftMs < 40, `${leftMs} ms`);
    assert.equal((await ending.ended).kind, 'timed-out');
    return ExitStatus.OK;
  });
  assert.equal(status, ExitStatus.OK);
});

test('an error of the preparation is that of the whole', async () => {
  const fails = (): Promise<never> => Promise.reject(new Error('no such image'));
  await assert.rejects(withEnding({ timeout: 1000 }, noted().reporter, fails, never), { message: 'no such image' });
});
