import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceCall } from '../device-model/device-client.js';
import { describeEvent } from './user-vm-events.js';

const stack = `Error: bug
    at openSync (node:fs:601:3)
    at load (/home/me/node_modules/some-library/index.js:1:1)
    at Disk.read (file:///home/me/my%20disk.mjs:3:9)
    at DeviceClient.notify (${new URL('../device-model/device-client.js', import.meta.url).href}:60:3)`;

test('a device’s error says in which call, that the guest read all ones only where it did, and the place', () => {
  const line = (during: DeviceCall): string =>
    describeEvent({ kind: 'device-error', device: 'disk', during, message: 'bug', stack });
  const place = 'bug (at /home/me/my disk.mjs:3:9)';
  assert.equal(line('read'), `device disk failed in a read, the guest read all ones: ${place}`);
  assert.equal(line('write'), `device disk failed in a write: ${place}`);
  assert.equal(line('late answer'), `device disk failed in an access that had ended before: ${place}`);
  assert.equal(line('reset'), `device disk failed in its reset: ${place}`);
  assert.equal(line('close'), `device disk failed in its close: ${place}`);
  assert.equal(line('outside'), `device disk failed outside of an access and was removed: ${place}`);
});

test('a failed client and a crashed vCPU have the place in the author’s file, upcall’s own errors have none', () => {
  const own = stack.split('\n').filter((line) => !line.includes('/home/me/my'));
  for (const [frames, place] of [
    [stack, ' (at /home/me/my disk.mjs:3:9)'],
    [own.join('\n'), ''],
  ] as const) {
    const failed = describeEvent({ kind: 'client-failed', vmId: 1, client: 'disk', message: 'bug', stack: frames });
    assert.equal(failed, `I/O client disk failed and was removed: bug${place}`);
    assert.equal(describeEvent({ kind: 'crashed', vcpu: 0, message: 'bug', stack: frames }), `bug${place}`);
  }
});
