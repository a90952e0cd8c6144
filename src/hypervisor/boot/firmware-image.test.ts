import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestMemory } from '../guest-memory.js';
import { isFirmware } from './firmware-image.js';
import { detectKind, prepareGuestImage } from './guest-image.js';
import { ImageReader } from './image-reader.js';

const MIB = 0x10_0000;
const BLOCK = 0x1_0000;

/** Firmware of `length` bytes that starts with 0x11. */
function firmware(length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xf4);
  bytes[0] = 0x11;
  bytes.set([0xea, 0x5b, 0xe0, 0x00, 0xf0], length - 16);
  bytes.set(new TextEncoder().encode('06/23/99'), length - 11);
  return bytes;
}

test('Firmware lies below 1 MiB and starts at its reset vector, without tables of ours', async () => {
  const dsdt = Uint8Array.from({ length: 36 }, (_, index) => 'DSDT'.charCodeAt(index) || 0);
  dsdt[9] = -dsdt.reduce((total, byte) => total + byte, 0) & 0xff;
  const ram = new GuestMemory({ buffer: new SharedArrayBuffer(MIB), byteOffset: 0, byteLength: MIB });
  const image = await prepareGuestImage({ image: firmware(2 * BLOCK), dsdt, biosTables: true });
  assert.equal(image.kind, 'bios');
  const { mode, cs, ip } = image.load(ram);
  assert.deepEqual([mode, cs.selector, ip], ['real', 0xf000, 0xfff0]);
  assert.equal(ram.readU8(0xe_0000), 0x11);
  assert.equal(ram.readU8(0xf_fff0), 0xea);
  assert.equal(ram.readU16(0x413), 0);
});

test('Firmware has whole blocks of 64 KiB, at most four', async () => {
  const prepare = async (length: number) =>
    (await prepareGuestImage({ image: firmware(length), kind: 'bios' })).check(MIB);
  await prepare(4 * BLOCK);
  await assert.rejects(prepare(5 * BLOCK), { code: 'IMAGE_TOO_LARGE', remedy: /at most 262144 bytes/ });
  await assert.rejects(prepare(BLOCK + 1), { code: 'IMAGE_MALFORMED' });
  await assert.rejects(
    prepareGuestImage({ image: new Uint8Array(0), kind: 'bios' }).then((image) => image.check(MIB)),
    {
      code: 'IMAGE_MALFORMED',
    },
  );
});

test('Firmware is recognised by its size, its reset vector and its date', () => {
  assert.equal(detectKind(firmware(BLOCK)), 'bios');
  const change = (offset: number) => {
    const bytes = firmware(BLOCK);
    bytes[BLOCK - offset] = 0;
    return isFirmware(new ImageReader('image', bytes));
  };
  for (const offset of [16, 12, 9, 6]) assert.equal(change(offset), false, `at ${offset}`);
  assert.equal(isFirmware(new ImageReader('image', firmware(BLOCK + 16))), false);
});

test('Firmware takes neither modules nor a RAM disk', async () => {
  const image = firmware(BLOCK);
  await assert.rejects(prepareGuestImage({ image, initrd: Uint8Array.of(1) }), { code: 'OPTION_INVALID' });
  const modules = [{ bytes: Uint8Array.of(1), text: '' }];
  await assert.rejects(prepareGuestImage({ image, modules }), { code: 'OPTION_INVALID' });
});
