import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MmioHandlerTable } from './mmio-handlers.js';
import { interceptPci } from './pci-interception.js';
import { PortHandlerTable } from './port-handlers.js';
import { VmSharedState } from './vm-shared-state.js';

const FORWARDED = 'forwarded';

/** The ports and memory of one vCPU of a VM with these shared words. */
function machine(shared = new VmSharedState()) {
  const handlers = { ports: new PortHandlerTable(), mmio: new MmioHandlerTable() };
  interceptPci(handlers, shared);
  return {
    read: (port: number, size: number) => handlers.ports.find(port)?.read?.(port, size) ?? FORWARDED,
    write: (port: number, size: number, value: number) =>
      handlers.ports.find(port)?.write?.(port, size, value) === true ? 'swallowed' : FORWARDED,
    load: (address: number, size: number) => {
      const handler = handlers.mmio.find(address, size);
      if (handler === undefined || handler === 'straddles') return handler ?? FORWARDED;
      return handler.read(address, size) ?? FORWARDED;
    },
  };
}

test('the hypervisor answers reads of 0xCF8 itself, with the bits that it keeps', () => {
  const pc = machine();
  assert.equal(pc.write(0xcf8, 4, 0xff01_1013), FORWARDED);
  assert.equal(pc.read(0xcf8, 4), 0x8001_1010);
  assert.equal(pc.read(0xcf8, 2), 0xffff_ffff);
});

test('narrow writes to 0xCF8 never reach the HSM', () => {
  const pc = machine();
  assert.equal(pc.write(0xcf8, 1, 0x80), 'swallowed');
  assert.equal(pc.write(0xcf8, 2, 0x8000), 'swallowed');
  assert.equal(pc.read(0xcf8, 4), 0);
});

test('a write to 0xCF8 opens the data ports for one access', () => {
  const pc = machine();
  pc.write(0xcf8, 4, 0x8000_0000);
  assert.equal(pc.read(0xcfe, 2), FORWARDED);
  assert.equal(pc.read(0xcfe, 2), 0xffff_ffff);
  assert.equal(pc.write(0xcfc, 4, 1), 'swallowed');
  pc.write(0xcf8, 4, 0x8000_0000);
  assert.equal(pc.write(0xcfc, 4, 1), FORWARDED);
});

test('all vCPUs have one register', () => {
  const shared = new VmSharedState();
  const [first, second] = [machine(shared), machine(new VmSharedState(shared.handle))];
  first.write(0xcf8, 4, 0x8000_0010);
  assert.equal(second.read(0xcf8, 4), 0x8000_0010);
  assert.equal(second.read(0xcfc, 4), FORWARDED);
  assert.equal(first.read(0xcfc, 4), 0xffff_ffff, 'the access of the other vCPU has cleared it');
});

test('disabled and misaligned accesses are answered with all ones', () => {
  const pc = machine();
  pc.write(0xcf8, 4, 0x0000_1010);
  assert.equal(pc.read(0xcfc, 4), 0xffff_ffff);
  pc.write(0xcf8, 4, 0x8000_0000);
  assert.equal(pc.read(0xcfd, 2), 0xffff_ffff);
  pc.write(0xcf8, 4, 0x8000_0000);
  assert.equal(pc.read(0xcfe, 4), 0xffff_ffff);
});

test('0xCF9 to 0xCFB are ordinary ports', () => {
  const pc = machine();
  assert.equal(pc.write(0xcf9, 1, 6), FORWARDED);
});

test('valid accesses to the ECAM window are forwarded as MMIO, others answered', () => {
  const pc = machine();
  assert.equal(pc.load(0xe000_0100, 4), FORWARDED);
  assert.equal(pc.load(0xe000_0102, 4), 0xffff_ffff);
  assert.equal(pc.load(0xe000_0100, 8), 0xffff_ffff);
  assert.equal(pc.load(0xefff_fffe, 4), 'straddles');
});
