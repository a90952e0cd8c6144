import assert from 'node:assert/strict';
import test from 'node:test';

import { DebugExit } from './debug-exit.js';

function exitPort(): { device: DebugExit; reasons: string[] } {
  const reasons: string[] = [];
  const power = {
    powerOff: (reason: string) => reasons.push(reason),
    reset: () => assert.fail('no reset was asked for'),
  };
  return { device: new DebugExit({ power }), reasons };
}

test('a write powers off with the value as exit code', () => {
  const { device, reasons } = exitPort();
  assert.equal(device.exitCode, undefined);
  device.write(0, 4, 0x10);
  assert.equal(device.exitCode, 0x10);
  assert.equal(reasons.length, 1);
});

test('the first exit code stands', () => {
  const { device, reasons } = exitPort();
  device.write(0, 1, 0);
  device.write(0, 1, 7);
  assert.equal(device.exitCode, 0);
  assert.equal(reasons.length, 1);
});

test('a read gives 0xFFFF, as on ACRN', () => {
  const { device } = exitPort();
  assert.equal(device.read(0, 1), 0xff);
  assert.equal(device.read(0, 2), 0xffff);
  assert.equal(device.read(0, 4), 0xffff);
});

test('after a reset the guest may exit again', () => {
  const { device } = exitPort();
  device.write(0, 1, 1);
  device.reset();
  assert.equal(device.exitCode, undefined);
  device.write(0, 1, 2);
  assert.equal(device.exitCode, 2);
});
