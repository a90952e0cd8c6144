import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK_DEVICE_ID, BlockFeature } from './block/block-layout.js';
import { CONSOLE_DEVICE_TYPE, ConsoleFeature } from './console/console-layout.js';
import { NETWORK_DEVICE_TYPE, NetFeature } from './net/net-layout.js';
import { featureViews } from './virtio-view.js';

const NONE = new Uint32Array(4);

test('every feature that a device of ours offers has its name', () => {
  for (const [type, features] of [
    [NETWORK_DEVICE_TYPE, NetFeature],
    [BLOCK_DEVICE_ID, BlockFeature],
    [CONSOLE_DEVICE_TYPE, ConsoleFeature],
  ] as const) {
    const views = featureViews(type, new Set(Object.values(features)), NONE);
    assert.deepEqual(
      views.map(({ bit, name }) => [name, bit]),
      Object.entries(features),
    );
  }
});

test('a bit without a name that the driver has set is shown by its number', () => {
  const accepted = Uint32Array.of(1 << 4, 0, 0, 1 << 31);
  assert.deepEqual(featureViews(4, new Set(), accepted), [
    { bit: 4, name: 'bit 4', isAccepted: true },
    { bit: 127, name: 'bit 127', isAccepted: true },
  ]);
});
