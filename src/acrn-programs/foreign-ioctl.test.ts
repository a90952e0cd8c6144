import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { Errno } from '../io-request/errno.js';
import { FakePlacement } from '../sync/fixtures/fake-placement.js';
import { PlacingWaker } from '../sync/waker.js';
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

test('a program’s NOTIFY wakes the vCPU here, and nothing else does, also after a call that throws', () => {
  const waker = new PlacingWaker(new FakePlacement());
  const seen: boolean[] = [];
  const failure = new Error('no memory');
  let fails = false;
  const file = {
    memory: { pid: 0, collectWritten: () => undefined },
    hsm: {
      ioctl: () => {
        seen.push(waker.parksNext);
        if (fails) throw failure;
        return 0;
      },
    },
    waker,
  } as unknown as OpenFile;
  const make = (code: number): void => void foreignIoctl(file, { thread: 1, code, argument: 0n });
  make(Ioctl.NOTIFY_REQUEST_FINISH);
  make(Ioctl.SET_IRQLINE);
  fails = true;
  assert.throws(() => make(Ioctl.NOTIFY_REQUEST_FINISH), failure);
  assert.deepEqual([seen, waker.parksNext], [[true, false, true], false]);
});
