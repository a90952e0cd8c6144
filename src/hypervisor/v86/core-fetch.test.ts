import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GeneralProtection } from '../io-handler.js';
import { HALTED_FOREVER, TripleFault } from '../vcpu-loop.js';
import { GeneralRegister } from './core-layout.js';
import { imm32, LOAD_IDT, TestMachine, type MachineOptions } from './fixtures/test-machine.js';

const MEMORY_BYTES = 1 << 20;
const UD = 6;
const GP = 13;
const HANDLER = 0x9000;
/** mov eax, 0x12345678; ret */
const ROM = [0xb8, ...imm32(0x1234_5678), 0xc3];

/** A core whose device memory holds `bytes` from `start`, and all ones elsewhere. */
async function machineWith(start: number, bytes: readonly number[], options: MachineOptions = {}) {
  const machine = await TestMachine.create({ ...options, memoryBytes: MEMORY_BYTES });
  machine.mmioRead = (address, size) => {
    machine.accesses.push(`load ${address.toString(16)}/${size}`);
    let value = 0;
    for (let at = 0; at < size; at++) value |= (bytes[address + at - start] ?? 0xff) << (8 * at);
    return value >>> 0;
  };
  return machine;
}

/** mov eax, address; call eax; hlt */
const callOf = (address: number): number[] => [...LOAD_IDT, 0xb8, ...imm32(address), 0xff, 0xd0, 0xf4];
/** pop ecx; hlt: ECX is the error code or EIP. */
const POP = [0x59, 0xf4];

describe('an instruction fetch outside of RAM', () => {
  for (const address of [0x10_0000, 0x1800_0000, 0xd000_0000, 0xffff_ff00])
    test(`runs a device's code at ${address.toString(16)}`, async () => {
      const machine = await machineWith(address, ROM);
      machine.load(callOf(address));
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      assert.equal(machine.core.generalRegister(GeneralRegister.EAX), 0x1234_5678);
      assert.deepEqual(machine.accesses, [
        `load ${address.toString(16)}/1`,
        `load ${(address + 1).toString(16)}/4`,
        `load ${(address + 5).toString(16)}/1`,
      ]);
    });

  test('runs a device’s code in the window of graphics memory', async () => {
    const machine = await machineWith(0xa_0000, ROM);
    machine.memory.write(0xa_0000, Uint8Array.of(0xf4));
    machine.load(callOf(0xa_0000));
    machine.runUntilHalted();
    assert.equal(machine.core.generalRegister(GeneralRegister.EAX), 0x1234_5678);
  });

  for (const address of [0x10_0000, 0x7fff_0000, 0xd800_0000, 0xffff_fff0])
    test(`is #UD where nothing answers, at ${address.toString(16)}: FF FF`, async () => {
      const machine = await machineWith(0, []);
      machine.setGate(UD, HANDLER, POP);
      machine.load(callOf(address));
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
      assert.equal(machine.core.generalRegister(GeneralRegister.ECX), address);
    });

  test('that is refused is #GP(0)', async () => {
    const machine = await TestMachine.create();
    machine.mmioRead = () => {
      throw new GeneralProtection('refused');
    };
    machine.setGate(GP, HANDLER, [0x59, 0x5a, 0xf4]); // pop ecx; pop edx; hlt
    machine.load(callOf(0xd000_0000));
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    const { ECX, EDX } = GeneralRegister;
    assert.deepEqual(
      [ECX, EDX].map((register) => machine.core.generalRegister(register)),
      [0, 0xd000_0000],
    );
  });

  test('is #UD, then a triple fault, where the guest has no gate', async () => {
    const machine = await machineWith(0, []);
    machine.load([0xb8, ...imm32(0xd000_0000), 0xff, 0xe0]); // mov eax, 0xd0000000; jmp eax
    assert.throws(() => machine.runUntilHalted(), TripleFault);
  });

  test('takes the rest of an instruction that begins in the last bytes of RAM from the device', async () => {
    const machine = await machineWith(MEMORY_BYTES, [0x56, 0x34, 0x12, 0xc3]);
    machine.load(callOf(MEMORY_BYTES - 2));
    machine.memory.write(MEMORY_BYTES - 2, Uint8Array.of(0xb8, 0x78)); // mov eax, 0x12345678
    machine.runUntilHalted();
    assert.equal(machine.core.generalRegister(GeneralRegister.EAX), 0x1234_5678);
  });

  test('goes on at 0 behind the last byte of 4 GiB', async () => {
    const machine = await machineWith(0xffff_fffe, [0xb8, 0x78]);
    machine.load(callOf(0xffff_fffe));
    machine.memory.write(0, Uint8Array.of(0x56, 0x34, 0x12, 0xc3));
    machine.runUntilHalted();
    assert.equal(machine.core.generalRegister(GeneralRegister.EAX), 0x1234_5678);
  });

  test('reads a device’s ModRM, displacement, prefixes and immediates', async () => {
    // prettier-ignore
    const code = [
      0x66, 0xb9, 0x34, 0x12,             // mov cx, 0x1234
      0x8d, 0x44, 0x24, 0xf8,             // lea eax, [esp - 8]
      0x8d, 0x9d, ...imm32(0x100),        // lea ebx, [ebp + 0x100]
      0x2e, 0x8b, 0x15, ...imm32(0x6000), // mov edx, cs:[0x6000]
      0x0f, 0xb6, 0xf2,                   // movzx esi, dl
      0xfb, 0x90,                         // sti; nop
      0xfa, 0xc3,                         // cli; ret
    ];
    const machine = await machineWith(0xd000_0000, code);
    machine.memory.writeU32(0x6000, 0x89ab_cdef);
    machine.load(callOf(0xd000_0000));
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    const { EAX, ECX, EBX, EDX, ESI } = GeneralRegister;
    assert.deepEqual(
      [EAX, ECX, EBX, EDX, ESI].map((register) => machine.core.generalRegister(register)),
      [0x7000 - 4 - 8, 0x1234, 0x100, 0x89ab_cdef, 0xef],
    );
  });

  test('is made each time: code of a device is never translated', async () => {
    // dec ecx; jnz -3; ret
    const machine = await machineWith(0xd000_0000, [0x49, 0x75, 0xfd, 0xc3]);
    const rounds = 20_000;
    machine.load([0xb9, ...imm32(rounds), ...callOf(0xd000_0000)]);
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.accesses.length, 3 * rounds + 1);
    assert.equal(machine.core.translationCount, 0);
  });

  test('in a page of RAM above a write-protected one runs what the RAM holds, translated', async () => {
    const machine = await TestMachine.create();
    machine.pages.set(0x5_0000, true);
    machine.load([0xb9, ...imm32(200_000), ...callOf(0x6_0000)]);
    machine.memory.write(0x6_0000, Uint8Array.of(0x49, 0x75, 0xfd, 0xc3));
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.core.generalRegister(GeneralRegister.ECX), 0);
    assert.ok(machine.core.translationCount > 0);
  });
});

describe('the compiler', () => {
  test('follows a run of prefixes that never runs, to the end of RAM', async () => {
    const machine = await TestMachine.create({ memoryBytes: 4 << 20 });
    // again: test eax, eax; jnz prefixes; dec ecx; jnz again; hlt
    const loop = [0x31, 0xc0, 0xb9, ...imm32(300_000), 0x85, 0xc0, 0x0f, 0x85, ...imm32(0x100), 0x49, 0x75, 0xf5, 0xf4];
    machine.load(loop);
    machine.memory.write(0x8000 + 15 + 0x100, new Uint8Array((4 << 20) - 0x9000).fill(0x66));
    assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    assert.equal(machine.core.generalRegister(GeneralRegister.ECX), 0);
  });

  test('that cannot make a module is given up, and the guest is interpreted', async () => {
    const machine = await TestMachine.create();
    const { Module } = WebAssembly;
    let tries = 0;
    function NoModule(): never {
      tries++;
      throw new RangeError('out of memory');
    }
    // again: dec ecx; jnz again; inc dword [0x8f00], in the page of the code; hlt
    machine.load([0xb9, ...imm32(2_000_000), 0x49, 0x75, 0xfd, 0xff, 0x05, ...imm32(0x8f00), 0xf4]);
    Object.assign(WebAssembly, { Module: NoModule });
    try {
      assert.equal(machine.runUntilHalted(), HALTED_FOREVER);
    } finally {
      Object.assign(WebAssembly, { Module });
    }
    assert.deepEqual([tries, machine.core.translationCount], [1, 0]);
    assert.equal(machine.memory.readU32(0x8f00), 1);
    assert.equal(machine.core.generalRegister(GeneralRegister.ECX), 0);
  });
});
