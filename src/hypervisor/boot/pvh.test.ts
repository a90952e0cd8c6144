import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { acpiDsdt } from '../../vm/guest-library.js';
import { GuestMemory } from '../guest-memory.js';
import { readElf64 } from './elf64.js';
import { detectKind, loadGuestImage } from './guest-image.js';
import { ImageReader } from './image-reader.js';

const MIB = 1 << 20;
/** One segment at 1 MiB, up to 0x106000 in memory, and a note with the entry. */
const GUEST = await readFile(new URL('../../../guests/pvh.bin', import.meta.url));
const NOTE = 0xb0;
const dsdt = await readFile(acpiDsdt());

const memory = () => new GuestMemory({ buffer: new SharedArrayBuffer(8 * MIB), byteOffset: 0, byteLength: 8 * MIB });

function text(ram: GuestMemory, address: number): string {
  let end = address;
  while (ram.readU8(end) !== 0) end++;
  return new TextDecoder().decode(ram.read(address, end - address));
}

/** A copy with other bytes at an offset. */
function changed(offset: number, bytes: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(GUEST);
  copy.set(bytes, offset);
  return copy;
}

test('a PVH kernel is started in flat 32-bit mode at the entry of its note, with the start information in EBX', async () => {
  const ram = memory();
  const modules = [{ bytes: Uint8Array.of(1, 2, 3), text: 'second' }];
  const registers = await loadGuestImage(ram, {
    image: GUEST,
    longMode: true,
    cmdline: 'a b',
    initrd: Uint8Array.of(9),
    modules,
    dsdt,
  });
  const at = registers.ebx ?? 0;
  const field = (offset: number): number => ram.readU32(at + offset);
  assert.deepEqual([registers.mode, registers.ip, registers.cr0], ['flat-32', 0x10_00c4, undefined]);
  assert.deepEqual([field(0), field(4), field(8)], [0x336e_c578, 1, 0], 'magic, version, flags');
  assert.equal(text(ram, field(24)), 'a b');
  assert.deepEqual([field(32), field(36)], [0xe_0000, 0]);
  assert.equal(field(12), 2);
  const [first, second] = [field(16), field(16) + 32];
  assert.deepEqual([ram.readU8(ram.readU32(first)), ram.readU32(first + 8)], [9, 1]);
  assert.equal(text(ram, ram.readU32(first + 16)), 'initrd');
  assert.deepEqual([...ram.read(ram.readU32(second), 3)], [1, 2, 3]);
  assert.equal(text(ram, ram.readU32(second + 16)), 'second');
  const map = Array.from({ length: field(48) }, (_, index) =>
    [0, 4, 8, 12, 16].map((offset) => ram.readU32(field(40) + index * 24 + offset)),
  );
  assert.deepEqual(map, [
    [0, 0, 0x9_fc00, 0, 1],
    [0x9_fc00, 0, 0x400, 0, 2],
    [0xe_0000, 0, 0x2_0000, 0, 2],
    [MIB, 0, 7 * MIB, 0, 1],
  ]);
});

test('without ACPI and modules their addresses are 0', async () => {
  const ram = memory();
  const { ebx = 0 } = await loadGuestImage(ram, { image: GUEST, longMode: true });
  assert.deepEqual([ram.readU32(ebx + 12), ram.readU32(ebx + 16), ram.readU32(ebx + 32)], [0, 0, 0]);
});

test('a 64-bit ELF is refused where there is no 64-bit mode, by each of its kinds, and the remedy names KVM', async () => {
  for (const kind of [undefined, 'pvh', 'elf'] as const)
    await assert.rejects(loadGuestImage(memory(), { image: GUEST, ...(kind && { kind }) }), {
      code: 'IMAGE_UNSUPPORTED',
      remedy: /--hypervisor kvm/,
    });
});

test('the kind is pvh with the note, else elf', () => {
  assert.equal(detectKind(GUEST, true), 'pvh');
  assert.equal(detectKind(changed(NOTE + 8, [17]), true), 'elf');
  assert.equal(detectKind(changed(NOTE + 12, [0x59]), true), 'elf');
  assert.equal(detectKind(changed(NOTE, [0xff, 0xff, 0xff]), true), 'elf', 'a name longer than the notes');
});

test('the entry of an ELF is physical, also if its segments have high virtual addresses', () => {
  // The virtual address of the first segment: 0xffffffff80000000. The entry 0xffffffff800000c4.
  const linked = changed(64 + 16, [0, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff]);
  linked.set([0xc4, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff], 24);
  assert.equal(readElf64(new ImageReader('image', linked)).entry, 0x10_00c4);
  linked.set([0xc4, 0, 0x10, 0, 0, 0, 0, 0], 24);
  assert.equal(readElf64(new ImageReader('image', linked)).entry, 0x10_00c4);
  linked.set([0, 0, 0, 0x70, 0, 0, 0, 0], 24);
  assert.equal(readElf64(new ImageReader('image', linked)).entry, undefined);
});

test('a dynamically linked program is refused, and an ELF for another processor', async () => {
  const refused = (image: Uint8Array, message: RegExp) =>
    assert.rejects(loadGuestImage(memory(), { image, longMode: true }), { code: 'IMAGE_UNSUPPORTED', message });
  await refused(changed(64 + 56, [3]), /a dynamically linked program/);
  await refused(changed(18, [183]), /a 64-bit ELF for 64-bit ARM cannot run here: the VM has an x86 processor/);
});

test('damaged files are refused', async () => {
  const refused = (image: Uint8Array, message: RegExp) =>
    assert.rejects(loadGuestImage(memory(), { image, longMode: true }), { code: 'IMAGE_MALFORMED', message });
  await refused(changed(64 + 24 + 4, [1]), /segment 0 is not below 4 GiB/);
  await refused(changed(64 + 40, [0, 0]), /segment 0 is shorter in memory/);
  await refused(changed(64 + 8, [0, 0, 1]), /are missing, the image ends at/);
  await refused(changed(54, [8]), /program headers of 8 bytes/);
  await refused(changed(56, [65]), /65 program headers/);
});

test('a kernel that does not fit into the memory is refused', async () => {
  const small = new GuestMemory({ buffer: new SharedArrayBuffer(MIB), byteOffset: 0, byteLength: MIB });
  await assert.rejects(loadGuestImage(small, { image: GUEST, longMode: true }), { code: 'IMAGE_TOO_LARGE' });
});
