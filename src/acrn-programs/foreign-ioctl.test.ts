import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { Errno } from '../io-request/errno.js';
import { foreignIoctl } from './foreign-ioctl.js';
import type { OpenFile } from './open-files.js';

test('stores are not watched between PAUSE_VM and START_VM', async () => {
  const calls: string[] = [];
  const called = (name: string) => () => void calls.push(name);
  let result = 0;
  const file = {
    memory: {
      pid: 0,
      collectWritten: called('collect'),
      guestPaused: called('paused'),
      guestRuns: called('runs'),
    },
    hsm: {
      ioctl: (code: number) => {
        calls.push('ioctl');
        return code === Ioctl.PAUSE_VM ? Promise.resolve(result) : result;
      },
    },
  } as unknown as OpenFile;
  const make = async (code: number): Promise<readonly string[]> => {
    assert.equal(await foreignIoctl(file, { thread: 1, code, argument: 0n }), result);
    return calls.splice(0);
  };
  assert.deepEqual(await make(Ioctl.PAUSE_VM), ['collect', 'ioctl', 'paused']);
  assert.deepEqual(await make(Ioctl.START_VM), ['runs', 'collect', 'ioctl']);
  assert.deepEqual(await make(Ioctl.NOTIFY_REQUEST_FINISH), ['collect', 'ioctl']);
  assert.deepEqual(await make(Ioctl.ATTACH_IOREQ_CLIENT), ['ioctl']);
  result = Errno.EPERM;
  assert.deepEqual(await make(Ioctl.PAUSE_VM), ['collect', 'ioctl'], 'the guest still runs');
});
