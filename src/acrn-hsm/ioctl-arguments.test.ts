import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MappedMemory } from './address-space.js';
import {
  createVm,
  MemoryAccess,
  memoryMap,
  MemoryType,
  REAL_MODE,
  requestNotification,
  vcpuRegs,
} from './ioctl-arguments.js';

/** The bytes that the ioctl reads, as `[offset, value]` of each byte that is not 0. */
function bytesAt(memory: MappedMemory, address: bigint, length: number): [number, number][] {
  const bytes = new Uint8Array(length);
  assert.ok(memory.read(address, bytes));
  return [...bytes].flatMap((value, offset) => (value === 0 ? [] : [[offset, value] as [number, number]]));
}

// Offsets are of `linux/acrn.h`, which struct-layout.test.ts compares with a C compiler.
describe('the arguments of ioctls', () => {
  test('CREATE_VM', () => {
    const memory = new MappedMemory();
    const argument = createVm(memory, { ioreqBuf: 0x1000n, cpuAffinity: 3n, flags: 4n });
    assert.deepEqual(bytesAt(memory, argument.address, 48), [
      [24, 4],
      [33, 0x10],
      [40, 3],
    ]);
    // What the ioctl writes is seen in the fields.
    memory.write(argument.address, Uint8Array.of(7, 0, 0, 0, 2));
    assert.deepEqual([argument.number('vmid'), argument.number('vcpu_num')], [7, 2]);
  });

  test('SET_MEMSEG: RAM with all access at 0, or what is named', () => {
    const memory = new MappedMemory();
    const ram = memoryMap(memory, { source: 0x2000n, length: 0x3000 });
    assert.deepEqual(bytesAt(memory, ram.address, 32), [
      [4, 7],
      [17, 0x20],
      [25, 0x30],
    ]);
    const options = { type: MemoryType.MMIO, access: MemoryAccess.READ, guestAddress: 0x5000n };
    const mmio = memoryMap(memory, { source: 0x2000n, length: 0x3000n, ...options });
    assert.deepEqual(bytesAt(memory, mmio.address, 32), [
      [0, 1],
      [4, 1],
      [9, 0x50],
      [17, 0x20],
      [25, 0x30],
    ]);
  });

  test('SET_VCPU_REGS: fields by their names', () => {
    const memory = new MappedMemory();
    const argument = vcpuRegs(memory, { ...REAL_MODE, rip: 0x12, 'gprs.rsi': 0x34n, cs_sel: 0xf000 }, 3);
    assert.deepEqual(bytesAt(memory, argument.address, 296), [
      [0, 3],
      [8 + 48, 0x34],
      [8 + 160, 0x12],
      [8 + 176, 0x30],
      [8 + 248, 0x9f],
      [8 + 252, 0xff],
      [8 + 253, 0xff],
      [8 + 269, 0xf0],
    ]);
    assert.throws(() => vcpuRegs(memory, { eip: 1 }), RangeError);
  });

  test('NOTIFY_REQUEST_FINISH: VM and vCPU, the reserved field 0', () => {
    const memory = new MappedMemory();
    const argument = requestNotification(memory, 5, 2);
    assert.deepEqual(bytesAt(memory, argument.address, 8), [
      [0, 5],
      [4, 2],
    ]);
    argument.set('vcpu', 1);
    assert.deepEqual(bytesAt(memory, argument.address, 8), [
      [0, 5],
      [4, 1],
    ]);
  });
});
