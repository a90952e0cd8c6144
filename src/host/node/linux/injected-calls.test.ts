import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEVICE_PATH } from '../../../acrn-programs/path-calls.js';
import { startProgram } from '../../../acrn-programs/started-program.js';
import { selfTest } from '../../../acrn-programs/support.js';
import { closeDescriptor, socketPair } from './descriptors.js';
import { InjectedCalls } from './injected-calls.js';
import { Notifications, type Notification } from './notifications.js';
import { ProcessMemory } from './process-memory.js';
import { SystemCall } from './seccomp-filter.js';

const GETPID = 39;
const support = await selfTest();

test(
  'a thread makes its call anew after a failure between injected calls',
  {
    skip: support.available ? false : support.reason,
  },
  async () => {
    const injected = new InjectedCalls();
    const [own, given] = socketPair();
    const attempts: Notification[] = [];
    const results: bigint[] = [];
    const errors: unknown[] = [];
    let isLateAnswered: boolean | undefined;
    let notifications: Notifications | undefined;
    const serve = (call: Notification): void => {
      const isDevice =
        call.call === SystemCall.openat &&
        new ProcessMemory().readText(call.thread, call.args[1] ?? 0n) === DEVICE_PATH;
      if (!isDevice) {
        notifications?.continue(call);
        return;
      }
      attempts.push(call);
      if (attempts.length > 1) {
        notifications?.answerWithDescriptor(call, given.fd, false);
        return;
      }
      try {
        injected.run(call, (execute) => {
          results.push(execute(GETPID, 1n, 2n, 3n, 4n, 5n, 6n));
          throw new Error('in between');
        });
      } catch (error) {
        errors.push(error);
      }
      isLateAnswered = notifications?.answer(call, 0);
    };
    const program = await startProgram(['sh', '-c', `exec 3<>${DEVICE_PATH}; exit 7`], (listener) => {
      notifications = new Notifications(listener, serve);
    });
    const end = await program.ended;
    notifications?.close();
    closeDescriptor(own.fd);
    closeDescriptor(given.fd);
    assert.deepEqual(errors.map(String), ['Error: in between']);
    assert.deepEqual(results, [BigInt(program.pid)]);
    assert.equal(isLateAnswered, false);
    assert.equal(attempts.length, 2);
    assert.deepEqual(attempts[1]?.args, attempts[0]?.args);
    assert.deepEqual(end, { status: 7 });
  },
);
