import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadLibc } from '../host/node/linux/libc.js';
import { WrittenMemory } from './written-memory.js';

const skip = process.platform !== 'linux' || loadLibc() === undefined;

describe('written memory that cannot be watched', { skip }, () => {
  test('closes its descriptor if the process has ended', () => {
    const { pid } = spawnSync('true');
    const notUserfault = openSync('/dev/null', 'r');
    assert.throws(() => new WrittenMemory(pid, notUserfault), /ENOENT|ESRCH/);
    assert.throws(() => closeSync(notUserfault), /EBADF/);
  });

  test('closes all that it has opened if the system has no such descriptor', () => {
    const notUserfault = openSync('/dev/null', 'r');
    const before = readdirSync('/proc/self/fd').length;
    assert.throws(() => new WrittenMemory(process.pid, notUserfault), /ioctl 0x\w+ failed/);
    assert.equal(readdirSync('/proc/self/fd').length, before - 1);
  });
});
