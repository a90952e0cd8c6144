import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { elf, PACKED_ELF_BYTES } from '../../hypervisor/boot/fixtures/kernel-images.js';
import { elfModule, kernelModule, VERMAGIC } from './fixtures/kernel-module.js';
import { readKernelModule, withoutSignature } from './kernel-module.js';

test('name, dependencies and kernel are read, with underscores in names', () => {
  const bytes = kernelModule('virtio_rng', 'virtio,rng-core', '6.1.0 SMP ', ['depends_not=x', 'alias=a=b']);
  const { name, depends, vermagic } = readKernelModule('x.ko', bytes);
  assert.deepEqual(
    { name, depends, vermagic },
    { name: 'virtio_rng', depends: ['virtio', 'rng_core'], vermagic: '6.1.0 SMP' },
  );
  assert.deepEqual(readKernelModule('x.ko', kernelModule('alone')).depends, []);
  const { name: name64, depends: depends64 } = readKernelModule('x.ko', kernelModule('kvm-amd', 'kvm', '6', [], 64));
  assert.deepEqual([name64, depends64], ['kvm_amd', ['kvm']]);
});

test('what is not a module is reported with the file’s name', () => {
  const cases: readonly (readonly [bytes: Uint8Array, message: RegExp])[] = [
    [Buffer.from('text'), /x\.ko: not a kernel module for i386 or x86-64/],
    [Buffer.alloc(0), /x\.ko: not a kernel module for i386 or x86-64/],
    [elfModule('name=x\0vermagic=y\0', '.modular'), /x\.ko: not a kernel module: it has no section \.modinfo/],
    [elfModule('name=x\0'), /x\.ko: .*no name or no vermagic/],
    [elfModule('vermagic=x\0'), /x\.ko: .*no name or no vermagic/],
    [elf(PACKED_ELF_BYTES), /x\.ko: /],
  ];
  for (const [bytes, message] of cases)
    assert.throws(() => readKernelModule('x.ko', bytes), { code: 'IMAGE_MALFORMED', message });
});

for (const bits of [32, 64] as const)
  test(`a module of ${bits} bits that is cut off anywhere is malformed, and any changed byte breaks nothing else`, () => {
    cutOffAndChanged(kernelModule('name', 'a,b', VERMAGIC, [], bits));
  });

function cutOffAndChanged(bytes: Buffer): void {
  for (let length = 0; length < bytes.length; length++)
    assert.throws(() => readKernelModule('x.ko', bytes.subarray(0, length)), { code: 'IMAGE_MALFORMED' });
  for (let at = 0; at < bytes.length; at++)
    for (const flip of [0xff, 0x80, 1]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ flip;
      try {
        readKernelModule('x.ko', changed);
      } catch (error) {
        assert.ok(error instanceof UpcallError && error.code === 'IMAGE_MALFORMED', `byte ${at}: ${String(error)}`);
      }
    }
}

test('a signature is removed, and only one that fits', () => {
  const module = kernelModule('signed');
  const signed = (length: number): Buffer => {
    const descriptor = Buffer.alloc(12);
    descriptor.writeUInt32BE(length, 8);
    return Buffer.concat([module, Buffer.alloc(300, 7), descriptor, Buffer.from('~Module signature appended~\n')]);
  };
  assert.deepEqual(withoutSignature(signed(300)), module);
  assert.deepEqual(withoutSignature(module), module);
  const damaged = signed(module.length + 301);
  assert.deepEqual(withoutSignature(damaged), damaged);
  const short = Buffer.from('~Module signature appended~\n');
  assert.deepEqual(withoutSignature(short), short);
});
