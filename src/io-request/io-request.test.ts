import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from './upcall-error.js';
import {
  describe as describeRequest,
  directionName,
  hex,
  highWord,
  isPortLike,
  joinU64,
  joinWords,
  lowWord,
  splitU64,
  truncate,
  typeName,
} from './io-request.js';

test('a port write in one line', () => {
  assert.equal(
    describeRequest({ type: 'port', direction: 'write', address: 0x3f8, size: 1, value: 0x41 }),
    'write port 0x3f8/1 = 0x41',
  );
});

test('an 8-byte MMIO read in one line', () => {
  assert.equal(
    describeRequest({ type: 'mmio', direction: 'read', address: 0xf_e000_1008, size: 8, value: 0x1_0000_0000n }),
    'read mmio 0xfe0001008/8 = 0x100000000',
  );
});

test('a read that is not answered has no value, a write has its own', () => {
  const access = { type: 'port', address: 0x3f8, size: 1, value: 0x41 } as const;
  assert.equal(describeRequest({ ...access, direction: 'read' }, false), 'read port 0x3f8/1');
  assert.equal(describeRequest({ ...access, direction: 'write' }, false), 'write port 0x3f8/1 = 0x41');
});

test('a PCI request names bus, device, function and register', () => {
  assert.equal(
    describeRequest({
      type: 'pci',
      direction: 'read',
      bus: 0x12,
      device: 0x1f,
      function: 1,
      register: 0x3a6,
      size: 2,
      value: 0,
    }),
    'read pci 12:1f.1 register 0x3a6/2 = 0x0',
  );
});

test('a type number has its name, and an unknown one keeps its number', () => {
  assert.deepEqual([0, 1, 2, 3, 4, -1].map(typeName), ['port', 'mmio', 'pci', 'write-protect', 'type 4', 'type -1']);
  assert.deepEqual([0, 1, 2, 3].map(isPortLike), [true, false, true, false]);
  assert.deepEqual([0, 1].map(directionName), ['read', 'write']);
});

test('hexadecimal numbers are padded on request', () => {
  assert.equal(hex(0x80, 3), '0x080');
  assert.equal(hex(0xffff_ffff_ffff_ffffn), '0xffffffffffffffff');
});

test('an address of up to 52 bits is split into two words and joined exactly', () => {
  const addresses = [
    0,
    1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_8000_0001,
    2 ** 52 - 1,
    2 ** 52 - 4096,
  ];
  for (const address of addresses) {
    assert.equal(joinWords(lowWord(address), highWord(address)), address);
    assert.equal(BigInt.asUintN(32, BigInt(lowWord(address))), BigInt(address) & 0xffff_ffffn);
    assert.equal(BigInt.asUintN(32, BigInt(highWord(address))), BigInt(address) >> 32n);
  }
  assert.equal(joinWords(0, -1), 0xffff_ffff * 2 ** 32, 'from a corrupted page');
});

test('an error is described in one line: what failed, then the remedy', () => {
  const cause = new Error('deeper');
  const error = new UpcallError('VM_STATE', 'the VM runs', { remedy: 'Pause it first', errno: -1, cause });
  assert.equal(error.describe(), 'the VM runs. Pause it first');
  const quoting = new UpcallError('TOOL_FAILED', 'apt said: Unable to read.', { remedy: 'Try again' });
  assert.equal(quoting.describe(), 'apt said: Unable to read. Try again');
  assert.equal(error.code, 'VM_STATE');
  assert.equal(error.errno, -1);
  assert.equal(error.cause, cause);
  assert.equal(error.name, 'UpcallError');
  assert.ok(error instanceof Error);
});

test('an error without a remedy is its message', () => {
  const error = new UpcallError('RANGE_INVALID', 'ports 7…6 end before they start');
  assert.equal(error.describe(), error.message);
  assert.equal('cause' in error, false);
});

test('a 64-bit value splits into two int32 halves and joins again', () => {
  for (const value of [0n, 1n, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0xfedc_ba98_7654_3210n]) {
    const { low, high } = splitU64(value);
    assert.deepEqual([low, high], [low | 0, high | 0]);
    assert.equal(joinU64(low, high), value);
  }
});

test('a value is truncated to the size of its access, and is unsigned', () => {
  assert.deepEqual(
    [1, 2, 4, 8].map((size) => truncate(-1, size)),
    [0xff, 0xffff, 0xffff_ffff, 0xffff_ffff],
  );
  assert.equal(truncate(0x1234_5678, 1), 0x78);
  assert.equal(truncate(0x1234_5678, 2), 0x5678);
});
