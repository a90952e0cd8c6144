import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { DEVICE_PATH } from '../../../acrn-programs/path-calls.js';
import { startProgram } from '../../../acrn-programs/started-program.js';
import { selfTest } from '../../../acrn-programs/support.js';
import { injectCalls, type Call } from './injected-calls.js';
import { Notifications, type Notification } from './notifications.js';
import { ProcessMemory } from './process-memory.js';
import { SystemCall } from './seccomp-filter.js';
import type { ProgramEnd } from './spawned-program.js';

const GETPID = 39;
const DUP = 32;
/** −EACCES */
const FAILURE = -13;
const support = await selfTest();

/** Serves one call of a program that opens the device: it executes `work` before that returns. */
async function injectInto(
  work: (execute: (...call: Call) => bigint, call: Notification) => number,
  isInterruptible: boolean,
): Promise<{ end: ProgramEnd; attempts: number; pid: number; error: unknown }> {
  let attempts = 0;
  let error: unknown;
  let listener: Notifications | undefined;
  const serve = (call: Notification): void => {
    const notifications = listener as Notifications;
    const isDevice =
      call.call === SystemCall.openat && new ProcessMemory().readText(call.thread, call.args[1] ?? 0n) === DEVICE_PATH;
    if (!isDevice) {
      notifications.continue(call);
      return;
    }
    attempts++;
    try {
      assert.ok(injectCalls(call, { notifications, failure: FAILURE }, (execute) => work(execute, call)));
    } catch (thrown) {
      error = thrown;
    }
    // It has its result.
    assert.equal(notifications.answer(call, 0), false);
  };
  const program = await startProgram(
    ['sh', '-c', `exec 3<>${DEVICE_PATH} || exit 9; exit 7`],
    ({ fd }) => (listener = new Notifications(fd, serve)),
    isInterruptible,
  );
  const end = await program.ended;
  listener?.close();
  return { end, attempts, pid: program.pid, error };
}

for (const [isInterruptible, kernel] of [
  [false, 'this kernel'],
  [true, 'a kernel without killable waits'],
] as const)
  describe(`a thread that waits in a call, on ${kernel},`, { skip: support.available ? false : support.reason }, () => {
    test('executes other calls, whose results arrive here, before its call returns', async () => {
      const results: bigint[] = [];
      const { end, attempts, pid, error } = await injectInto((execute) => {
        results.push(execute(GETPID, 1n, 2n, 3n, 4n, 5n, 6n), execute(DUP, 1n));
        // A descriptor that is open: the redirection goes on with it.
        return Number(results[1]);
      }, isInterruptible);
      assert.deepEqual(error, undefined);
      assert.equal(attempts, 1);
      assert.deepEqual(results, [BigInt(pid), 3n]);
      assert.deepEqual(end, { status: 7 });
    });

    test('has its call fail once after a failure in between', async () => {
      const { end, attempts, error } = await injectInto((execute) => {
        execute(GETPID, 1n, 2n, 3n, 4n, 5n, 6n);
        throw new Error('in between');
      }, isInterruptible);
      assert.equal(String(error), 'Error: in between');
      assert.equal(attempts, 1);
      // A shell ends when it cannot open the file of exec, with a status of its own.
      assert.ok('status' in end && end.status !== 7);
    });

    test('is stopped by SIGSTOP afterwards only', async () => {
      let stopped = false;
      const { end, attempts, error } = await injectInto((execute, { thread }) => {
        process.kill(thread, 'SIGSTOP');
        const pid = Number(execute(GETPID));
        const continueWhenStopped = (): void => {
          const state = /\) (\S)/.exec(readFileSync(`/proc/${thread}/stat`, 'latin1'))?.[1];
          stopped = state === 'T';
          if (stopped) process.kill(pid, 'SIGCONT');
          else setTimeout(continueWhenStopped, 1);
        };
        setTimeout(continueWhenStopped, 1);
        return Number(execute(DUP, 1n));
      }, isInterruptible);
      assert.deepEqual(error, undefined);
      assert.equal(attempts, 1);
      assert.ok(stopped);
      assert.deepEqual(end, { status: 7 });
    });
  });
