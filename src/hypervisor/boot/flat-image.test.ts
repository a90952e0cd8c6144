import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { planFlat32Image, planRealModeImage } from './flat-image.js';
import { checkPlan, loadPlan } from './load-plan.js';
import { GuestMemory } from '../guest-memory.js';

const MIB = 0x10_0000;
const IMAGE = Uint8Array.of(0xfa, 0xf4);

function memory(mebibytes: number): GuestMemory {
  const byteLength = mebibytes * MIB;
  return new GuestMemory({ buffer: new SharedArrayBuffer(byteLength), byteOffset: 0, byteLength });
}

test('A real mode image lies at 0x7C00 and is entered there', () => {
  const ram = memory(1);
  const registers = loadPlan(planRealModeImage(IMAGE), ram);
  assert.deepEqual([...ram.read(0x7c00, 2)], [0xfa, 0xf4]);
  assert.equal(registers.mode, 'real');
  assert.equal(registers.ip, 0x7c00);
  assert.equal(registers.cs.selector, 0);
});

test('A flat 32-bit image lies at 1 MiB with the GDT that its segments came from', () => {
  const ram = memory(2);
  const registers = loadPlan(planFlat32Image(IMAGE, ram.size), ram);
  assert.deepEqual([...ram.read(MIB, 2)], [0xfa, 0xf4]);
  assert.equal(registers.ip, MIB);
  const descriptor = (registers.gdt?.base ?? 0) + registers.cs.selector;
  assert.deepEqual([...ram.read(descriptor, 8)], [0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0]);
});

test('The load address can be chosen', () => {
  assert.equal(planRealModeImage(IMAGE, 0x600).registers.ip, 0x600);
  assert.equal(planFlat32Image(IMAGE, 4 * MIB, 0x20_0000).registers.ip, 0x20_0000);
  for (const address of [-1, 1.5, 0x1_0000])
    assert.throws(() => planRealModeImage(IMAGE, address), { code: 'OPTION_INVALID' });
});

test('An image too large for the memory says how much memory it needs', () => {
  const plan = () => planFlat32Image(new Uint8Array(MIB), 1 * MIB);
  assert.throws(plan, (error: unknown) => {
    assert.ok(error instanceof UpcallError);
    assert.equal(error.code, 'IMAGE_TOO_LARGE');
    assert.equal(error.remedy, 'Give --memory 2 or more');
    return true;
  });
});

test('A real mode image must end below the video memory, and an empty image is refused', () => {
  assert.throws(() => planRealModeImage(new Uint8Array(0xa_0000)), { code: 'IMAGE_TOO_LARGE' });
  assert.throws(() => planRealModeImage(new Uint8Array(0)), { code: 'IMAGE_MALFORMED' });
  assert.throws(() => planFlat32Image(new Uint8Array(0), MIB), { code: 'IMAGE_MALFORMED' });
});

test('A flat 32-bit image over the screen memory is refused, though its address is free to choose', () => {
  const plan = planFlat32Image(new Uint8Array(0x1_0001), 4 * MIB, 0x9_0000);
  assert.throws(() => checkPlan(plan, 4 * MIB), { code: 'IMAGE_UNSUPPORTED' });
});
