/** Images for x86-64 on KVM: by the PVH boot protocol, and by the 64-bit one of Linux. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { elf64 } from '../boot/fixtures/elf64-image.js';
import { bzImage } from '../boot/fixtures/kernel-images.js';
import type { GuestImageOptions } from '../boot/guest-image.js';
import { acpiDsdt } from '../../vm/guest-library.js';
import { ServiceVm } from '../../vm/service-vm.js';
import { standardPc } from '../../vm/standard-pc.js';
import { KvmHypervisor } from './kvm-hypervisor.js';
import { whyNoKvm } from './fixtures/needed-kvm.js';

const skip = await whyNoKvm();

/** What the guest prints until it powers the machine off. */
async function printed(image: GuestImageOptions): Promise<string> {
  const serviceVm = new ServiceVm(new KvmHypervisor());
  try {
    const vm = await serviceVm.createUserVm({ memoryMiB: 8, image });
    let text = '';
    standardPc(vm, { console: { write: (bytes) => (text += Buffer.from(bytes).toString('latin1')) } });
    await vm.start();
    const end = await vm.ended;
    assert.equal(end.reason, 'power-off', end.message);
    return text;
  } finally {
    await serviceVm.close();
  }
}

/**
 * Prints the first letter of the zero page's "HdrS", then a digit that only 64-bit instructions
 * make, and powers off.
 */
const LINUX_64 = [
  ...[0x66, 0xba, 0xf8, 0x03], // mov dx, 0x3f8
  ...[0x8a, 0x86, 0x02, 0x02, 0x00, 0x00, 0xee], // mov al, [rsi + 0x202]; out dx, al
  ...[0x48, 0xb8, 0, 0, 0, 0, 0x36, 0, 0, 0], // mov rax, 0x36 << 32
  ...[0x48, 0xc1, 0xe8, 0x20, 0xee], // shr rax, 32; out dx, al
  ...[0x66, 0xba, 0x04, 0x04, 0x66, 0xb8, 0x00, 0x34, 0x66, 0xef, 0xf4], // off
];

describe('images for x86-64', { skip }, () => {
  test('a PVH kernel finds command line, modules, memory map and ACPI', async () => {
    const text = await printed({
      image: await readFile(new URL('../../../guests/pvh.bin', import.meta.url)),
      cmdline: 'one two',
      initrd: Uint8Array.of(1),
      dsdt: await readFile(acpiDsdt()),
    });
    assert.equal(
      text,
      [
        'pvh: in 64-bit mode, command line: one two',
        'pvh: module: initrd',
        `pvh: RAM: ${7 * 1024 + 639} KiB`,
        "pvh: ACPI's root pointer is there",
        '',
      ].join('\r\n'),
    );
  });

  test('a bare ELF is entered in 64-bit mode with Linux’ zero page in RSI', async () => {
    assert.equal(await printed({ image: elf64(LINUX_64) }), 'H6');
  });

  test('a bzImage is entered at its 64-bit entry', async () => {
    const code = new Uint8Array(0x300);
    // Behind the fixture's 64 bytes of unpacker.
    code.set(LINUX_64, 0x200 - 64);
    const image = bzImage(code, code.length);
    image[0x236] = 1;
    assert.equal(await printed({ image }), 'H6');
  });
});
