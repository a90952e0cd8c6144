import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeDriver } from './fixtures/fake-queue.js';
import type { VirtioDevice } from './virtio-device.js';

const example = new URL('../../../examples/devices/virtio-echo.js', import.meta.url).href;

test('the example of docs/virtio.md gives the bytes of a buffer back, and none after a reset', async () => {
  const { VirtioEcho } = (await import(example)) as { VirtioEcho: new () => VirtioDevice };
  const driver = new FakeDriver(new VirtioEcho());
  assert.deepEqual(await driver.send(0, [1, 2, 3], 8), Uint8Array.of(1, 2, 3));
  assert.deepEqual(await driver.send(0, [1, 2, 3], 2), Uint8Array.of(1, 2));
  assert.deepEqual(await driver.send(0, new Uint8Array(10_000).fill(7), 20_000), new Uint8Array(4096).fill(7));
  driver.reset();
  let isAnswered = false;
  void driver.send(0, [1], 1).then(() => (isAnswered = true));
  await Promise.resolve();
  assert.equal(isAnswered, false);
});
