import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PciBus } from './pci-bus.js';
import { PciEcam } from './pci-ecam.js';
import { PciHostBridge } from './pci-host-bridge.js';

test('a function is at its bus, device and function, with its extended registers', () => {
  const bus = new PciBus();
  bus.add({ bus: 0, device: 31, function: 7 }, new PciHostBridge());
  const ecam = new PciEcam(bus);
  const at = (31 << 15) | (7 << 12);
  assert.equal(ecam.read(at, 4), 0x1237_8086);
  assert.equal(ecam.read(at + 2, 2), 0x1237);
  assert.equal(ecam.read(at + 0x100, 4), 0);
  assert.equal(ecam.read(at + 1, 4), 0xffff_ffff, 'not aligned');
  assert.equal(ecam.read(at - 0x1000, 4), 0xffff_ffff, 'function 6');
  assert.equal(ecam.read(at - 0x8000, 4), 0xffff_ffff, 'device 30');
  ecam.write(at + 4, 2, 0xffff);
  assert.equal(ecam.read(at + 4, 2), 0x0146);
  ecam.write(at - 0x1000 + 4, 2, 0);
  assert.equal(bus.read(0, 31, 7, 4, 2), 0x0146);
});
