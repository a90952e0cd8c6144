/** Translations of guest code: how much one has, and when it is dropped. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GeneralRegister } from './core-layout.js';
import { ENTRY, imm32, TestMachine } from './fixtures/test-machine.js';

/** Rounds after which a loop has been translated. */
const HOT = 100_000;

test('a translation has the code of one page, also after a reset', async () => {
  // Translations come into use between slices, so an access takes some time.
  const machine = await TestMachine.create({
    onAccess: () => {
      machine.timeMs += 0.01;
      machine.accesses.length = 0;
    },
  });
  // inc edx; call 0xa000; ret
  machine.memory.write(0x9000, Uint8Array.from([0x42, 0xe8, ...imm32(0xa000 - 0x9006), 0xc3]));
  // inc ebx; ret
  machine.memory.write(0xa000, Uint8Array.from([0x43, 0xc3]));
  const rounds = 2 * HOT;
  // prettier-ignore
  const code = [
    0x31, 0xdb,                            // xor ebx, ebx
    0xb9, ...imm32(rounds),                // mov ecx, rounds
    0xe6, 0x80,                            // out 0x80, al
    0xe8, ...imm32(0x9000 - (ENTRY + 13)), // call 0x9000
    0x49, 0x75, 0xf6,                      // dec ecx; jnz to the out
    0xf4,
  ];
  for (const run of ['the first run', 'after a reset']) {
    machine.load(code);
    machine.runUntilHalted();
    assert.equal(machine.core.translationCount, 3, run);
    assert.equal(machine.core.generalRegister(GeneralRegister.EBX), rounds, run);
  }
});

test('a write from outside replaces translated code before the guest runs on', async () => {
  const machine = await TestMachine.create({
    onAccess: () => {
      // Within the access, as DMA does that a device started: `inc edx` becomes `inc ebx`.
      if (machine.accesses.length === 1) machine.memory.writeU8(0x9000, 0x43);
    },
  });
  // prettier-ignore
  machine.memory.write(0x9000, Uint8Array.from([
    0x42,                               // inc edx
    0x49, 0x75, 0xfc,                   // dec ecx; jnz 0x9000
    0xc3,                               // ret
  ]));
  // prettier-ignore
  machine.load([
    0xb9, ...imm32(HOT),                // mov ecx, HOT
    0xbe, ...imm32(0x9000), 0xff, 0xd6, // mov esi, 0x9000; call esi
    0xb9, ...imm32(HOT), 0xff, 0xd6,    // again: it is translated now
    0xe6, 0x80,                         // out 0x80, al: the code changes
    0xb9, ...imm32(5), 0xff, 0xd6,      // mov ecx, 5; call esi
    0xf4,
  ]);
  machine.runUntilHalted();
  assert.ok(machine.core.translationCount > 0);
  assert.equal(machine.core.generalRegister(GeneralRegister.EDX), 2 * HOT);
  assert.equal(machine.core.generalRegister(GeneralRegister.EBX), 5);
});
