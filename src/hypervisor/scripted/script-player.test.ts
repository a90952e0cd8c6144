import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedBuffer } from '../../io-request/shared-buffer.js';
import { IoHandler } from '../io-handler.js';
import { MmioHandlerTable } from '../mmio-handlers.js';
import { PortHandlerTable } from '../port-handlers.js';
import { Upcall } from '../upcall.js';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { VmSharedState, VmState } from '../vm-shared-state.js';
import { ScriptPlayer } from './script-player.js';
import type { Script, ScriptResult } from './script.js';

interface Seat {
  readonly player: ScriptPlayer;
  readonly shared: VmSharedState;
  readonly results: ScriptResult[];
  readonly written: string[];
}

/**
 * A player whose accesses the hypervisor answers itself: port 0x500 reads a counter, memory at 4
 * GiB reads its address.
 */
function seat(script: Script): Seat {
  const shared = new VmSharedState();
  shared.setVmState(VmState.RUNNING);
  const handlers = { ports: new PortHandlerTable(), mmio: new MmioHandlerTable() };
  const written: string[] = [];
  let reads = 0;
  handlers.ports.register(0, 0x500, 4, {
    read: () => 0x8877_0000 + ++reads,
    write: (port, size, value) => written.push(`${port.toString(16)}/${size}=${value.toString(16)}`) > 0,
  });
  handlers.mmio.register(2 ** 32, 2 ** 33, {
    read: (address) => address,
    write: (_, size, low, high) =>
      written.push(`mmio/${size}=${(high >>> 0).toString(16)}:${(low >>> 0).toString(16)}`) > 0,
  });
  const handler = new IoHandler({
    vcpu: 0,
    slot: new SharedBuffer().slot(0),
    upcall: new Upcall(),
    shared,
    handlers,
    completionPolling: false,
  });
  const results: ScriptResult[] = [];
  return {
    player: new ScriptPlayer(script, handler, shared, (result) => results.push(result)),
    shared,
    results,
    written,
  };
}

test('a script is played in order; the result has each value read and what they make of RAX', () => {
  const { player, results, written } = seat({
    steps: [
      { type: 'port', direction: 'write', address: 0x501, size: 2, value: 0x1_2345 },
      { type: 'port', direction: 'read', address: 0x500, size: 4 },
      { type: 'port', direction: 'read', address: 0x500, size: 1 },
      { type: 'mmio', direction: 'write', address: 2 ** 32, size: 8, value: 0x8877_6655_4433_2211n },
      { type: 'mmio', direction: 'write', address: 2 ** 32, size: 4 },
      { type: 'mmio', direction: 'read', address: 2 ** 32 + 8, size: 8 },
    ],
  });
  player.start();
  assert.equal(player.run(), HALTED_FOREVER);
  assert.deepEqual(written, ['501/2=2345', 'mmio/8=88776655:44332211', 'mmio/4=0:0']);
  assert.equal(results.length, 1);
  assert.deepEqual(results[0]?.values, [0x8877_0001n, 0x02n, 0x1_0000_0008n]);
  assert.equal(results[0].rax, 0x1_0000_0008n);
  assert.equal(results[0].accesses, 6);
});

test('an access that gets a #GP is counted, reads all ones and leaves RAX alone; the script goes on', () => {
  const straddling = 2 ** 32 - 2;
  const { player, results, written } = seat({
    steps: [
      { type: 'port', direction: 'read', address: 0x500, size: 1 },
      { type: 'mmio', direction: 'read', address: straddling, size: 4 },
      { type: 'mmio', direction: 'read', address: straddling, size: 8 },
      { type: 'mmio', direction: 'write', address: straddling, size: 4, value: 1 },
      { type: 'write-protect', direction: 'read', address: straddling, size: 4, value: 1 },
      { type: 'mmio', direction: 'write', address: 2 ** 32, size: 1, value: 7 },
    ],
    repeat: 2,
  });
  player.start();
  assert.equal(player.run(), HALTED_FOREVER);
  assert.deepEqual(results[0]?.values, [2n, 0xffff_ffffn, 0xffff_ffff_ffff_ffffn]);
  assert.deepEqual([results[0].rax, results[0].faults, results[0].accesses], [2n, 4, 12]);
  assert.deepEqual(written, ['mmio/1=0:7', 'mmio/1=0:7']);
});

test('a script that repeats reports the values of its last round and the accesses of all', () => {
  const { player, results } = seat({
    steps: [{ type: 'port', direction: 'read', address: 0x500, size: 1 }],
    repeat: 1000,
  });
  player.start();
  let slices = 0;
  while (player.run() === 0) slices++;
  assert.ok(slices >= 3, 'a long script is played in slices');
  assert.deepEqual([results[0]?.values, results[0]?.accesses], [[BigInt(1000 & 0xff)], 1000]);
});

test('a script without steps, however often repeated, is over at once or in slices, and does not hang', () => {
  const { player, results } = seat({ steps: [], repeat: 10_000 });
  player.start();
  while (player.run() === 0);
  assert.deepEqual([results[0]?.values, results[0]?.accesses], [[], 0]);
});

test('waiting for an interrupt halts until the line is high, and leaves it high', () => {
  const { player, shared, results } = seat({
    steps: [
      { type: 'wait-for-interrupt', line: 7 },
      { type: 'wait-for-interrupt', line: 7 },
    ],
  });
  player.start();
  assert.equal(player.run(), Infinity);
  shared.lines.set(6, true);
  assert.equal(player.run(), Infinity);
  shared.lines.set(7, true);
  assert.equal(player.run(), HALTED_FOREVER);
  assert.equal(results.length, 1);
});

test('a start begins again: first step, RAX 0, and a line that is high counts as raised', () => {
  const { player, shared, results } = seat({
    steps: [
      { type: 'port', direction: 'read', address: 0x500, size: 1 },
      { type: 'wait-for-interrupt', line: 3 },
    ],
  });
  player.start();
  assert.equal(player.run(), Infinity);
  shared.lines.set(3, true);
  player.start();
  assert.equal(player.run(), HALTED_FOREVER);
  assert.deepEqual([results[0]?.values, results[0]?.rax, results[0]?.accesses], [[2n], 2n, 1]);
});
