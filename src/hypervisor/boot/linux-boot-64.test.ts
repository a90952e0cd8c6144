import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { GuestMemory } from '../guest-memory.js';
import { bzImage } from './fixtures/kernel-images.js';
import { elf64 } from './fixtures/elf64-image.js';
import { loadGuestImage } from './guest-image.js';

const MIB = 1 << 20;
const memory = () => new GuestMemory({ buffer: new SharedArrayBuffer(16 * MIB), byteOffset: 0, byteLength: 16 * MIB });

/** The image says that it has a 64-bit entry. */
function with64(image: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(image);
  copy[0x236] = 1;
  return copy;
}

/** What the page tables at `root` make of a linear address below 4 GiB. */
function translate(ram: GuestMemory, root: number, address: number): number {
  const table = (ram.readU32(root) & ~0xfff) >>> 0;
  const directory = (ram.readU32(table + 8 * Math.floor(address / 2 ** 30)) & ~0xfff) >>> 0;
  const entry = ram.readU32(directory + 8 * (Math.floor(address / 2 ** 21) % 512));
  assert.equal(entry & 0xfff, 0x83, 'present, writable, large');
  return ((entry & ~0xfff) >>> 0) + (address % 2 ** 21);
}

test('a 64-bit bzImage that unpacks itself is entered 0x200 behind its start, in 64-bit mode', async () => {
  const ram = memory();
  const image = with64(bzImage(Uint8Array.of(1, 2, 3, 4), 4));
  const registers = await loadGuestImage(ram, { image, longMode: true, cmdline: 'quiet' });
  assert.deepEqual([registers.mode, registers.ip], ['long-64', MIB + 0x200]);
  const zeroPage = registers.esi ?? 0;
  assert.equal(ram.readU32(zeroPage + 0x202), 0x5372_6448);
  assert.equal(new TextDecoder().decode(ram.read(ram.readU32(zeroPage + 0x228), 6)), 'quiet\0');
  // The segments are __BOOT_CS and __BOOT_DS, and the table has 64-bit code for the first.
  assert.deepEqual([registers.cs.selector, registers.ds.selector], [0x10, 0x18]);
  const gdt = registers.gdt?.base ?? 0;
  assert.deepEqual([ram.readU32(gdt + 0x14), ram.readU32(gdt + 0x1c)], [0x00af_9b00, 0x00cf_9300]);
  for (const address of [0, 0x10_0200, 0x3fff_ffff, 0x4000_0000, 0xfee0_0020, 0xffff_ffff])
    assert.equal(translate(ram, registers.cr3 ?? 0, address), address);
});

test('the kernel in a 64-bit bzImage is unpacked and entered at its own entry', async () => {
  const ram = memory();
  const kernel = elf64([0xf4]);
  const image = with64(bzImage(gzipSync(kernel), kernel.length, false));
  const registers = await loadGuestImage(ram, { image, longMode: true });
  assert.deepEqual([registers.mode, ram.readU8(registers.ip)], ['long-64', 0xf4]);
  assert.equal(ram.readU32((registers.esi ?? 0) + 0x202), 0x5372_6448);
});

test('a 64-bit bzImage is refused where there is no 64-bit mode, and the remedy names KVM', async () => {
  await assert.rejects(loadGuestImage(memory(), { image: with64(bzImage(Uint8Array.of(1), 1)) }), {
    code: 'IMAGE_UNSUPPORTED',
    remedy: /--hypervisor kvm/,
  });
});

test('a 32-bit kernel is started as before where there is 64-bit mode', async () => {
  const registers = await loadGuestImage(memory(), { image: bzImage(Uint8Array.of(1), 1), longMode: true });
  assert.deepEqual([registers.mode, registers.ip], ['flat-32', MIB]);
});
