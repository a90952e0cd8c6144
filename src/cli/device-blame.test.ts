import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ScriptedHypervisor } from '../hypervisor/scripted/scripted-hypervisor.js';
import type { UserVmEvent } from '../vm/user-vm-events.js';
import { ServiceVm } from '../vm/service-vm.js';
import { DeviceBlame, type LocalDevice } from './device-blame.js';

function device(name: string, detach: () => void = () => undefined): LocalDevice {
  return { name, module: new URL(`file:///home/me/my%20${name}.mjs`), detach };
}

function thrown(...places: string[]): Error {
  const error = new Error('boom');
  error.stack = ['Error: boom', ...places.map((place) => `    at tick (${place})`)].join('\n');
  return error;
}

const TIMERS = 'node:internal/timers:581:17';

test('an error belongs to the device with the innermost frame in its module', () => {
  const blame = new DeviceBlame();
  for (const name of ['disk', 'disk2']) blame.add(device(name));
  const nameOf = (...places: string[]): string | undefined => blame.devicesOf(thrown(...places).stack ?? '')[0]?.name;
  assert.equal(nameOf('file:///home/me/my%20disk2.mjs:1:1', 'file:///home/me/my%20disk.mjs:1:1', TIMERS), 'disk2');
  assert.equal(nameOf('file:///home/me/part.mjs:9:9', 'file:///home/me/my%20disk.mjs:1:1'), 'disk');
  assert.equal(nameOf('file:///home/me/part.mjs:9:9', TIMERS), undefined, 'a file that either may import');
});

test('two devices of one module are both blamed', () => {
  const blame = new DeviceBlame();
  for (const name of ['disk', 'other', 'disk']) blame.add(device(name));
  const { stack = '' } = thrown('file:///home/me/my%20disk.mjs:1:1');
  assert.deepEqual(
    blame.devicesOf(stack).map(({ name }) => name),
    ['disk', 'disk'],
  );
});

test('of a file that is no device’s the only device is blamed, and of no file none', () => {
  const blame = new DeviceBlame();
  blame.add(device('disk'));
  assert.equal(blame.devicesOf(thrown('file:///home/me/part.mjs:9:9', TIMERS).stack ?? '')[0]?.name, 'disk');
  assert.deepEqual(blame.devicesOf(thrown(TIMERS).stack ?? ''), []);
  assert.deepEqual(blame.devicesOf(thrown(`${import.meta.url}:1:1`).stack ?? ''), []);
});

test('an error without a file is the only device’s, or a reason to give several a thread each', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  const messages: string[] = [];
  vm.onEvent((event) => event.kind === 'device-error' && messages.push(event.message));
  const blame = new DeviceBlame();
  for (const name of ['disk', 'net']) blame.add(device(name));
  for (const error of [thrown(TIMERS), thrown()]) assert.deepEqual(blame.take(error, vm), ['disk', 'net']);
  assert.equal(blame.take(thrown(`${import.meta.url}:1:1`), vm), false, 'upcall’s own');
  assert.deepEqual(messages, []);
  const alone = new DeviceBlame();
  alone.add(device('disk'));
  assert.equal(alone.take(thrown(`${import.meta.url}:1:1`), vm), false, 'upcall’s own');
  assert.equal(alone.take(thrown(), vm), true);
  assert.match(messages.join(), /^boom \(an error without a place in any file; no other device is in its thread\)$/);
  await serviceVm.close();
});

test('the blamed device is removed once and reported, even if its close throws', async () => {
  const serviceVm = new ServiceVm(new ScriptedHypervisor([{ steps: [] }]));
  const vm = await serviceVm.createUserVm({ memoryMiB: 1 });
  const events: UserVmEvent[] = [];
  vm.onEvent((event) => events.push(event));
  const blame = new DeviceBlame();
  let detached = 0;
  blame.add(
    device('disk', () => {
      detached++;
      throw new Error('stuck');
    }),
  );
  const error = thrown('file:///home/me/my%20disk.mjs:1:1');
  assert.equal(blame.take(error, vm), true);
  assert.equal(blame.take(error, vm), false);
  assert.deepEqual(blame.take('no stack', vm), []);
  blame.add(device('disk2'));
  assert.deepEqual(blame.take({}, vm), ['disk2']);
  assert.equal(detached, 1);
  const calls = events.map(
    (event) => event.kind === 'device-error' && `${event.device} ${event.during} ${event.message}`,
  );
  assert.deepEqual(calls, ['disk outside boom', 'disk close stuck']);
  await serviceVm.close();
});
