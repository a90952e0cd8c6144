import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory } from '../guest-memory.js';
import { Bytes } from './kvm-abi.js';
import { returnFromInterrupt, type VcpuFrame } from './protected-return.js';
import { generalRegisters, setSystemRegisters } from './start-state.js';

const HANDLER = 0x3000;
const STACK = 0x2000;
const IRET = 0xcf;
const CODE = 8;

/** A vCPU at an IRET whose frame returns to 0x1234 with interrupts on. */
function atReturn(change: { readonly flags?: number; readonly selector?: number; readonly opcode?: number } = {}) {
  const memory = new GuestMemory({ buffer: new SharedArrayBuffer(0x1_0000), byteOffset: 0, byteLength: 0x1_0000 });
  memory.writeU8(HANDLER, change.opcode ?? IRET);
  [0x1234, change.selector ?? CODE, change.flags ?? 0x246].forEach((word, at) => memory.writeU32(STACK + 4 * at, word));
  const registers = { mode: 'flat-32', ip: HANDLER, esp: STACK, cs: { selector: CODE }, ds: { selector: 16 } } as const;
  const sregs = new Uint8Array(Bytes.SREGS);
  setSystemRegisters(sregs, registers);
  const regs = new DataView(generalRegisters(registers).buffer as ArrayBuffer);
  const frame: VcpuFrame = { regs, sregs: new DataView(sregs.buffer) };
  const values = () => [128, 136, 48].map((offset) => Number(regs.getBigUint64(offset, true)));
  return { frame, memory, values };
}

test('an interrupt handler returns: place, flags and stack', () => {
  const { frame, memory, values } = atReturn({ flags: 0x0008_8246 });
  assert.equal(returnFromInterrupt(frame, memory), true);
  // Without the flags that do not exist.
  assert.deepEqual(values(), [0x1234, 0x246, STACK + 12]);
});

test('another instruction, segment, mode or stack is left alone', () => {
  const other = [
    atReturn({ opcode: 0x90 }),
    atReturn({ selector: 0x1b }),
    atReturn({ flags: 0x2_0246 }),
    ...[
      ({ sregs }: VcpuFrame) => sregs.setUint32(224, 0x8000_0011, true),
      ({ sregs }: VcpuFrame) => sregs.setUint32(224, 0x10, true),
      ({ sregs }: VcpuFrame) => sregs.setUint8(16, 3),
      ({ regs }: VcpuFrame) => regs.setBigUint64(48, 0xffffn, true),
      ({ regs }: VcpuFrame) => regs.setBigUint64(136, 0x4002n, true),
    ].map((change) => {
      const one = atReturn();
      change(one.frame);
      return one;
    }),
  ];
  for (const { frame, memory, values } of other) {
    const before = values();
    assert.equal(returnFromInterrupt(frame, memory), false);
    assert.deepEqual(values(), before);
  }
});
