import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mmio } from '../../hsm/address-range.js';
import { PciRegister } from '../devices/pci/pci-config-space.js';
import { Command, MSI, MSIX_CONTROL, MsixControl } from './card-config.js';
import { makeFunction } from './fixtures/test-card.js';
import { functionView, SHOWN_VECTORS } from './function-view.js';

const ADDRESS = { bus: 0, device: 5, function: 0 };

test('a card’s function: ids, command, BARs with size and place, capabilities, and the MSI-X table', () => {
  const { fn, handle } = makeFunction({
    bars: [
      { type: 'memory64', size: 0x1000, prefetchable: true },
      { type: 'ports', size: 16 },
    ],
    msi: 4,
    msix: 40,
    capabilities: [{ id: 9, bytes: [0x10] }],
  });
  fn.writeConfig(PciRegister.BAR0, 4, 0xd000_0000);
  fn.writeConfig(PciRegister.BAR0 + 4, 4, 2);
  fn.writeConfig(PciRegister.COMMAND, 2, Command.MEMORY | Command.BUS_MASTER);
  fn.writeConfig(MSIX_CONTROL, 2, MsixControl.ENABLE);
  const table = fn.barDevice(fn.bars[2]?.layout ?? assert.fail());
  for (const [offset, value] of [
    [16, 0xfee0_0000],
    [24, 0x41],
    [28, 0],
  ] as const)
    void table.write(offset, 4, value);
  // Masked, so that it waits.
  handle.interrupt(2);
  const view = functionView(ADDRESS, fn, (bar) => (bar === 0 ? mmio(0x2_d000_0000, 0x1000) : undefined));
  assert.deepEqual([view.address, view.vendor, view.device, view.class], ['00:05.0', 0x1234, 0x5678, 0xff_0000]);
  const set = view.command.filter(({ isSet }) => isSet).map(({ name }) => name);
  assert.deepEqual(set, ['memory', 'bus master']);
  assert.deepEqual(view.bars.slice(0, 2), [
    { bar: 0, kind: 'memory64', isPrefetchable: true, address: 0x2_d000_0000n, size: 0x1000, isDecoded: true },
    { bar: 2, kind: 'ports', isPrefetchable: false, address: 0n, size: 16, isDecoded: false },
  ]);
  assert.deepEqual(
    view.capabilities.map(({ name }) => name),
    ['advanced features', 'MSI', 'MSI-X', 'vendor-specific'],
  );
  const msi = Object.fromEntries(view.capabilities[1]?.fields ?? []);
  assert.deepEqual([msi['state'], msi['vectors']], ['off', '1 of 4']);
  const msix = Object.fromEntries(view.capabilities[2]?.fields ?? []);
  assert.deepEqual([msix['state'], msix['vectors'], msix['table']], ['on', '40', 'BAR 3 + 0x0']);
  assert.equal(view.vectors.length, SHOWN_VECTORS);
  assert.deepEqual(view.vectors.slice(1, 3), [
    { vector: 1, address: 0xfee0_0000n, data: 0x41, isMasked: false, isPending: false },
    { vector: 2, address: 0n, data: 0, isMasked: true, isPending: true },
  ]);
});

test('a function with a loop in its list of capabilities, or without peek, has a view', () => {
  const loop = new Uint8Array(256).fill(0x40);
  loop[PciRegister.STATUS] = 1 << 4;
  loop[MSI] = 0x05;
  const read = (register: number, size: number): number =>
    Array.from({ length: size }, (_, byte) => (loop[register + byte] ?? 0) * 2 ** (8 * byte)).reduce((a, b) => a + b);
  const fn = { name: 'odd', readConfig: () => 0, writeConfig: () => undefined };
  const view = functionView(ADDRESS, { ...fn, peekConfig: read }, () => undefined);
  assert.equal(view.capabilities.length, 48);
  assert.equal(view.bars[0]?.size, undefined);
  const blind = functionView(ADDRESS, fn, () => undefined);
  assert.deepEqual([blind.bars, blind.capabilities, blind.vendor], [[], [], 0]);
});
