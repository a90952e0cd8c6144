/** Exits of a vCPU, one at a time, with guests of a few bytes. The opcodes are the Intel SDM's. */

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { VcpuRegisters } from '../vcpu-registers.js';
import { HALTED_FOREVER, TripleFault } from '../vcpu-loop.js';
import { LoneVcpu } from './fixtures/lone-vcpu.js';
import { whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();
const SOON_MS = 1000;
const DATA = 0x2000;
let lone: LoneVcpu | undefined;
afterEach(() => {
  lone?.close();
  lone = undefined;
});

async function guest(code: readonly number[], registers: Partial<VcpuRegisters> = {}): Promise<LoneVcpu> {
  lone = await LoneVcpu.create(code, registers);
  return lone;
}

/** hlt, and back to it. */
const HLT = [0xf4, 0xeb, 0xfd];
/** A flat data segment, with which real-mode code reaches 4 GiB. */
const FLAT = { selector: 0, base: 0, limit: 0xffff_ffff };

describe('a vCPU on KVM', { skip }, () => {
  test('makes a request of each element of a string instruction, in both directions', async () => {
    // mov dx, 0x500; mov si, di, 0x2000; mov cx, 4; cld; rep insw; mov cx, 3; rep outsb; hlt
    const one = await guest([
      ...[0xba, 0x00, 0x05, 0xbe, 0x00, 0x20, 0xbf, 0x00, 0x20, 0xb9, 0x04, 0x00, 0xfc, 0xf3, 0x6d],
      ...[0xb9, 0x03, 0x00, 0xf3, 0x6e, ...HLT],
    ]);
    assert.deepEqual(one.runUntil(7), [
      ...['in 0x500/2 = 0x1', 'in 0x500/2 = 0x2', 'in 0x500/2 = 0x3', 'in 0x500/2 = 0x4'],
      ...['out 0x500/1 = 0x1', 'out 0x500/1 = 0x0', 'out 0x500/1 = 0x2'],
    ]);
    assert.deepEqual([...one.machine.memory.read(DATA, 8)], [1, 0, 2, 0, 3, 0, 4, 0]);
  });

  test('writes downwards with the direction flag set', async () => {
    // mov dx, 0x500; mov si, 0x2002; mov cx, 3; std; rep outsb; hlt
    const one = await guest([0xba, 0x00, 0x05, 0xbe, 0x02, 0x20, 0xb9, 0x03, 0x00, 0xfd, 0xf3, 0x6e, ...HLT]);
    one.machine.memory.write(DATA, Uint8Array.of(0xa, 0xb, 0xc));
    assert.deepEqual(one.runUntil(3), ['out 0x500/1 = 0xc', 'out 0x500/1 = 0xb', 'out 0x500/1 = 0xa']);
  });

  test('splits an access over the end of a page, and parts of odd lengths', async () => {
    // mov eax, 0x44332211; mov [0xfed00ffd], eax; mov eax, [0xfed00ffd]; mov [0x2000], eax; hlt
    const one = await guest(
      [
        ...[0x66, 0xb8, 0x11, 0x22, 0x33, 0x44, 0x67, 0x66, 0xa3, 0xfd, 0x0f, 0xd0, 0xfe],
        ...[0x67, 0x66, 0xa1, 0xfd, 0x0f, 0xd0, 0xfe, 0x66, 0xa3, 0x00, 0x20, ...HLT],
      ],
      { ds: FLAT },
    );
    assert.deepEqual(one.runUntil(6), [
      ...['store 0xfed00ffd/2 = 0x2211', 'store 0xfed00fff/1 = 0x33', 'store 0xfed01000/1 = 0x44'],
      ...['load 0xfed00ffd/2 = 0x1', 'load 0xfed00fff/1 = 0x2', 'load 0xfed01000/1 = 0x3'],
    ]);
    assert.equal(one.vcpu.run(), 0);
    assert.equal(one.machine.memory.readU32(DATA), 0x0302_0001);
  });

  test('leaves the guest at once if it was kicked before it entered', async () => {
    // jmp to itself. Only the rescue's tick would make it leave the guest.
    const one = await guest([0xeb, 0xfe]);
    const startMs = performance.now();
    one.machine.kick(0);
    assert.equal(one.vcpu.run(), 0);
    assert.ok(performance.now() - startMs < SOON_MS, 'the kick was lost');
  });

  test('has halted for good when it is halted with interrupts off', async () => {
    const one = await guest([0xfa, ...HLT]); // cli; hlt
    // The tick interrupts it.
    assert.equal(one.vcpu.run() || one.vcpu.run() || one.vcpu.run(), HALTED_FOREVER);
  });

  test('has not halted for good while an interrupt can wake it', async () => {
    const one = await guest([0xfb, ...HLT]); // sti; hlt
    assert.deepEqual([one.vcpu.run(), one.vcpu.run()], [0, 0]);
  });

  test('is a triple fault when the guest’s processor shuts down', async () => {
    // lidt [0x2000], which is empty; ud2. Flat: in real mode an emulator takes any table.
    const one = await guest([0x0f, 0x01, 0x1d, 0x00, 0x20, 0x00, 0x00, 0x0f, 0x0b], {
      mode: 'flat-32',
      cs: { selector: 8 },
      ds: { selector: 16 },
    });
    assert.throws(() => one.vcpu.run(), TripleFault);
  });

  test('fails with the place and the reason when KVM cannot run the guest', async () => {
    // jmp far 0xf000:0x0000, where there is no memory to execute.
    const one = await guest([0xea, 0x00, 0x00, 0x00, 0xa0]);
    assert.throws(() => one.runUntil(1), /^Error: KVM cannot run the guest at 0x0: it cannot emulate an instruction/);
  });

  test('gets a #GP for a load that becomes no request, and the load changes nothing', async () => {
    const handler = 0x3000;
    // mov ax, 0x1234; mov dx, 0x501; in al, dx
    const one = await guest([0xb8, 0x34, 0x12, 0xba, 0x01, 0x05, 0xec, ...HLT]);
    one.refused = 0x501;
    one.machine.memory.writeU32(13 * 4, handler);
    // pop bx, the place; mov dx, 0x500; out dx, ax; mov ax, bx; out dx, ax; hlt
    one.machine.memory.write(handler, Uint8Array.of(0x5b, 0xba, 0x00, 0x05, 0xef, 0x89, 0xd8, 0xef, 0xf4));
    assert.deepEqual(one.runUntil(2), ['out 0x500/2 = 0x1234', 'out 0x500/2 = 0x1006']);
  });

  test('begins again in its power-on state after a reset, in the midst of an instruction', async () => {
    // mov dx, 0x500; in ax, dx; out dx, ax; hlt
    const one = await guest([0xba, 0x00, 0x05, 0xed, 0xef, ...HLT]);
    assert.deepEqual(one.runUntil(1), ['in 0x500/2 = 0x1']);
    one.vcpu.stop();
    one.machine.reset();
    one.vcpu.start({ mode: 'real', ip: 0x1000, cs: { selector: 0 }, ds: { selector: 0 } });
    assert.deepEqual(one.runUntil(3).slice(1), ['in 0x500/2 = 0x2', 'out 0x500/2 = 0x2']);
  });

  for (const [what, destination] of [
    ['to RAM', 0x400],
    ['to where no RAM is', 0xb000],
  ] as const)
    test(`begins again after a reset in the midst of a long REP MOVS ${what}`, async () => {
      // mov dx, 0x500; out dx, al; mov ax, 0xa000; mov ds, ax; mov ax, destination; mov es, ax
      // xor si, si; xor di, di; mov cx, 2000; cld; rep movsb; hlt
      const one = await guest([
        ...[0xba, 0x00, 0x05, 0xee, 0xb8, 0x00, 0xa0, 0x8e, 0xd8],
        ...[0xb8, destination & 0xff, destination >> 8, 0x8e, 0xc0],
        ...[0x31, 0xf6, 0x31, 0xff, 0xb9, 0xd0, 0x07, 0xfc, 0xf3, 0xa4, ...HLT],
      ]);
      const begun = one.runUntil(10).length;
      one.vcpu.stop();
      one.machine.reset();
      one.vcpu.start({ mode: 'real', ip: 0x1000, cs: { selector: 0 }, ds: { selector: 0 } });
      assert.match(one.runUntil(begun + 1)[begun] ?? '', /^out 0x500/);
    });

  test('gets a #GP in the midst of a long REP MOVS', async () => {
    const handler = 0x3000;
    // mov ax, 0xa000; mov ds, ax; xor si, si; mov di, 0x4000; mov cx, 1000; cld; rep movsb; hlt
    const one = await guest([
      ...[0xb8, 0x00, 0xa0, 0x8e, 0xd8, 0x31, 0xf6, 0xbf, 0x00, 0x40, 0xb9, 0xe8, 0x03, 0xfc, 0xf3, 0xa4, ...HLT],
    ]);
    one.refused = 0xa_0001;
    one.machine.memory.writeU32(13 * 4, handler);
    // mov dx, 0x500; out dx, al; hlt
    one.machine.memory.write(handler, Uint8Array.of(0xba, 0x00, 0x05, 0xee, 0xf4));
    assert.deepEqual(one.runUntil(2), ['load 0xa0000/1 = 0x1', 'out 0x500/1 = 0x0']);
  });

  test('finds the controllers in their power-on state after a reset', async () => {
    // in al, 0x21; mov dx, 0x500; out dx, al; mov eax, [0xfee000f0]; out dx, eax
    // mov al, 0x5a; out 0x21, al; mov dword [0xfee000f0], 0x1ff; out dx, al; hlt
    const one = await guest(
      [
        ...[0xe4, 0x21, 0xba, 0x00, 0x05, 0xee, 0x67, 0x66, 0xa1, 0xf0, 0x00, 0xe0, 0xfe, 0x66, 0xef],
        ...[
          0xb0,
          0x5a,
          0xe6,
          0x21,
          0x67,
          0x66,
          0xc7,
          0x05,
          0xf0,
          0x00,
          0xe0,
          0xfe,
          0xff,
          0x01,
          0x00,
          0x00,
          0xee,
          ...HLT,
        ],
      ],
      { ds: FLAT },
    );
    const first = [...one.runUntil(3)];
    assert.deepEqual(first, ['out 0x500/1 = 0x0', 'out 0x500/4 = 0xff', 'out 0x500/1 = 0x5a']);
    one.vcpu.stop();
    one.machine.reset();
    one.vcpu.start({ mode: 'real', ip: 0x1000, cs: { selector: 0 }, ds: FLAT });
    assert.deepEqual(one.runUntil(6).slice(3), first);
  });

  test('takes an interrupt message', async () => {
    const handler = 0x3000;
    // Enables the local APIC: mov dword [0xfee000f0], 0x1ff.
    // Then mov al, 1; mov dx, 0x500; out dx, al; sti; hlt
    const one = await guest(
      [
        ...[0x67, 0x66, 0xc7, 0x05, 0xf0, 0x00, 0xe0, 0xfe, 0xff, 0x01, 0x00, 0x00],
        ...[0xb0, 0x01, 0xba, 0x00, 0x05, 0xee, 0xfb, ...HLT],
      ],
      { ds: FLAT },
    );
    one.machine.memory.writeU32(0x40 * 4, handler);
    one.machine.memory.write(handler, Uint8Array.of(0xb0, 0x02, 0xee, 0xf4)); // mov al, 2; out dx, al; hlt
    assert.deepEqual(one.runUntil(1), ['out 0x500/1 = 0x1']);
    one.machine.message(0xfee0_0000, 0x40);
    assert.deepEqual(one.runUntil(2), ['out 0x500/1 = 0x1', 'out 0x500/1 = 0x2']);
  });
});
