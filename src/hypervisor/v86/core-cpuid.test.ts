/** CPUID's extended leaves, which the core lacks: the number of address bits. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HALTED_FOREVER } from '../vcpu-loop.js';
import { TestMachine } from './fixtures/test-machine.js';

const imm32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
/** mov eax, leaf; cpuid; out 0x80, eax */
const ask = (leaf: number): number[] => [0xb8, ...imm32(leaf), 0x0f, 0xa2, 0xe7, 0x80];

test('the CPU has 32 physical and 32 linear address bits', async () => {
  const machine = await TestMachine.create();
  machine.load([...ask(0x8000_0000), ...ask(0x8000_0008), ...ask(0x8000_0001), 0xfa, 0xf4]);
  assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
  assert.deepEqual(machine.accesses, ['out 80/4 80000008', 'out 80/4 2020', 'out 80/4 0']);
});
