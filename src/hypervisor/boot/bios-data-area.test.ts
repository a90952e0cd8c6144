import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory } from '../guest-memory.js';
import { elf, multibootKludge } from './fixtures/kernel-images.js';
import { loadGuestImage, type GuestImageOptions } from './guest-image.js';

const MIB = 0x10_0000;

async function loaded(options: GuestImageOptions): Promise<GuestMemory> {
  const byteLength = 2 * MIB;
  const ram = new GuestMemory({ buffer: new SharedArrayBuffer(byteLength), byteOffset: 0, byteLength });
  ram.fill(0xff);
  await loadGuestImage(ram, options);
  return ram;
}

const FLAT = { image: Uint8Array.of(0xf4), kind: 'real', biosTables: true } as const;

test('A guest finds the ports of its devices, the base memory and the extended area', async () => {
  const ram = await loaded(FLAT);
  assert.deepEqual(
    [0, 2, 4, 6].map((offset) => ram.readU16(0x400 + offset)),
    [0x3f8, 0, 0, 0],
    'serial ports',
  );
  assert.deepEqual(
    [8, 10, 12].map((offset) => ram.readU16(0x400 + offset)),
    [0, 0, 0],
    'parallel ports',
  );
  assert.equal(ram.readU16(0x410), 0x0202, 'a coprocessor and a serial port');
  assert.equal(ram.readU16(0x413), 639);
  const extended = ram.readU16(0x40e) * 16;
  assert.equal(extended, 639 * 1024);
  assert.equal(ram.readU8(extended), 1, 'its size in KiB');
  assert.ok(ram.read(extended + 1, 1023).every((byte) => byte === 0));
});

test('The keyboard buffer is empty, and no timer tick was counted', async () => {
  const ram = await loaded(FLAT);
  assert.deepEqual([ram.readU16(0x480), ram.readU16(0x482)], [0x1e, 0x3e]);
  assert.deepEqual([ram.readU16(0x41a), ram.readU16(0x41c)], [0x1e, 0x1e]);
  assert.equal(ram.readU32(0x46c), 0);
});

test('The interrupt vectors and what follows the area stay as they were', async () => {
  const ram = await loaded(FLAT);
  assert.equal(ram.readU8(0x3ff), 0xff);
  assert.equal(ram.readU8(0x500), 0xff);
  assert.equal(ram.readU8(0x9_fbff), 0xff);
});

test('Tables stay away where the image lies, and the others come', async () => {
  const image = new Uint8Array(0x200).fill(0x90);
  const over = await loaded({ image, kind: 'flat-32', address: 0x300, biosTables: true });
  assert.equal(over.readU16(0x413), 0x9090);
  assert.equal(over.readU8(0x9_fc00), 1);
  const beside = await loaded({ image, kind: 'flat-32', address: 0x500, biosTables: true });
  assert.equal(beside.readU16(0x413), 639);
  const mp = await loaded({ image, kind: 'flat-32', address: 0xf_0000, biosTables: true });
  assert.equal(mp.readU16(0xf_0000), 0x9090);
  assert.equal(mp.readU16(0x413), 639);
});

test('A VM has the tables with a DSDT or several processors, and whatever it has if its options say so', async () => {
  const dsdt = Uint8Array.from({ length: 36 }, (_, index) => 'DSDT'.charCodeAt(index) || 0);
  dsdt[9] = -dsdt.reduce((total, byte) => total + byte, 0) & 0xff;
  const image = Uint8Array.of(0xf4);
  const has = async (options: Partial<GuestImageOptions>) => {
    const ram = await loaded({ image, ...options });
    return [ram.readU16(0x413) === 639, new TextDecoder().decode(ram.read(0xf_0000, 4)) === '_MP_'];
  };
  assert.deepEqual(await has({}), [false, false]);
  assert.deepEqual(await has({ dsdt }), [true, true]);
  assert.deepEqual(await has({ dsdt, biosTables: false }), [false, false]);
  assert.deepEqual(await has({ biosTables: true }), [true, true]);
  assert.deepEqual(await has({ processors: 2 }), [true, true]);
  assert.deepEqual(await has({ processors: 2, biosTables: false }), [false, false]);
});

test('No loader puts anything over the tables', async () => {
  for (const image of [multibootKludge(), elf(400)]) {
    const cmdline = 'x'.repeat(0xefff);
    const ram = await loaded({ image, cmdline, biosTables: true });
    assert.equal(ram.readU16(0x413), 639);
    assert.equal(ram.readU8(0x9_fc00), 1);
  }
});
