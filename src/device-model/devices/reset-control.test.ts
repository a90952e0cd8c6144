import assert from 'node:assert/strict';
import test from 'node:test';

import { ResetControl } from './reset-control.js';

function resetPort(): { device: ResetControl; reasons: string[] } {
  const reasons: string[] = [];
  const power = {
    powerOff: () => assert.fail('no power-off was asked for'),
    reset: (reason: string) => reasons.push(reason),
  };
  return { device: new ResetControl({ power }), reasons };
}

test("Linux' sequence selects a hard reset, then triggers it", () => {
  const { device, reasons } = resetPort();
  device.write(0, 1, 0x02);
  assert.equal(device.read(0, 1), 0x02);
  assert.equal(reasons.length, 0);
  device.write(0, 1, 0x06);
  assert.equal(reasons.length, 1);
  assert.match(reasons[0] ?? '', /system reset/);
});

test('bit 3 makes it a full reset, and does nothing alone', () => {
  const { device, reasons } = resetPort();
  device.write(0, 1, 0x08);
  assert.equal(reasons.length, 0);
  device.write(0, 1, 0x0e);
  assert.equal(reasons.length, 1);
  assert.match(reasons[0] ?? '', /full reset/);
});

test('wider accesses belong to the PCI address port and are ignored', () => {
  const { device, reasons } = resetPort();
  device.write(0, 2, 0x0e0e);
  device.write(0, 4, 0x0e0e_0e0e);
  assert.equal(reasons.length, 0);
  assert.equal(device.read(0, 4), 0xffff_ffff);
});

test('the register is 0 after a reset', () => {
  const { device } = resetPort();
  device.write(0, 1, 0x06);
  assert.equal(device.read(0, 1), 0x06);
  device.reset();
  assert.equal(device.read(0, 1), 0);
});
