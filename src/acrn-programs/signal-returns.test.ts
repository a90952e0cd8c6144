import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import type { Notification, Notifications } from '../host/node/linux/notifications.js';
import { SystemCall } from '../host/node/linux/seccomp-filter.js';
import type { InterruptedCall, SignalFrames } from '../host/node/linux/signal-frames.js';
import type { OpenFiles } from './open-files.js';
import { SignalReturns } from './signal-returns.js';

const FD = 5n;
const THREAD = 7;

/** What is done to the call to which the thread returns. */
function serve(call: Pick<InterruptedCall, 'args' | 'hasFailed' | 'isSigreturn'>): unknown[] {
  const done: unknown[] = [];
  const files = { count: 1, find: (_: number, fd: number) => (BigInt(fd) === FD ? {} : undefined) };
  const frames = {
    find: () => ({ thread: THREAD, address: 0n, instruction: 0n, ...call }),
    finish: (_: unknown, result: bigint) => done.push(['finish', result]),
    restart: (_: unknown, number: number) => done.push(['restart', number]),
  };
  const notifications = { continue: () => done.push('continue') };
  const returns = new SignalReturns(
    files as unknown as OpenFiles,
    notifications as unknown as Notifications,
    frames as unknown as SignalFrames,
  );
  returns.serve({ thread: THREAD } as Notification);
  return done;
}

test('an interrupted ioctl of a VM is made again, and an ATTACH ends with 0', () => {
  const call = { hasFailed: true, isSigreturn: false };
  assert.deepEqual(serve({ ...call, args: [FD, BigInt(Ioctl.START_VM)] }), [['restart', SystemCall.ioctl], 'continue']);
  assert.deepEqual(serve({ ...call, args: [FD, BigInt(Ioctl.ATTACH_IOREQ_CLIENT)] }), [['finish', 0n], 'continue']);
  assert.deepEqual(serve({ ...call, args: [FD + 1n, BigInt(Ioctl.START_VM)] }), ['continue']);
});

test('an interrupted return is made again, whatever ioctl the handler has made last', () => {
  const call = { hasFailed: true, isSigreturn: true };
  for (const code of [Ioctl.START_VM, Ioctl.ATTACH_IOREQ_CLIENT])
    assert.deepEqual(serve({ ...call, args: [FD, BigInt(code)] }), [['restart', SystemCall.rtSigreturn], 'continue']);
});
