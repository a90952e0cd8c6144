import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UpcallError } from '../../io-request/upcall-error.js';
import { GuestMemory } from '../guest-memory.js';
import { checkPlan, loadPlan, type LoadPlan, type Piece } from './load-plan.js';

const MIB = 0x10_0000;

function plan(...pieces: Piece[]): LoadPlan {
  return { pieces, registers: { mode: 'real', ip: 0, cs: { selector: 0 }, ds: { selector: 0 } } };
}

const piece = (address: number, size: number, length = size): Piece => ({
  what: `piece ${address}`,
  address,
  bytes: new Uint8Array(size).fill(1),
  length,
});

test('Pieces may touch but not overlap, not even with their zeroed rest', () => {
  checkPlan(plan(piece(8, 8), piece(0, 4, 8)), MIB);
  assert.throws(() => checkPlan(plan(piece(8, 8), piece(0, 4, 9)), MIB), { code: 'IMAGE_MALFORMED' });
  checkPlan(plan(piece(8, 8), piece(9, 0)), MIB);
});

test('A piece over the screen memory is refused, one beside it is not', () => {
  for (const [address, size, length] of [
    [0x9_ffff, 2, 2],
    [0x9_0000, 4, 0x1_0001],
    [0xb_ffff, 1, 1],
    [0x9_0000, 0x4_0000, 0x4_0000],
  ] as const)
    assert.throws(
      () => checkPlan(plan(piece(address, size, length)), MIB),
      (error: unknown) => {
        assert.ok(error instanceof UpcallError);
        assert.equal(error.code, 'IMAGE_UNSUPPORTED');
        assert.match(error.message, /^piece .* lies over the screen memory of a PC, 0xa0000…0xbffff, where .* no RAM$/);
        assert.match(error.remedy ?? '', /below 0xa0000 or to start at 0x100000/);
        return true;
      },
    );
  checkPlan(plan(piece(0x9_0000, 0x1_0000), piece(0xc_0000, 8), piece(0xa_8000, 0)), MIB);
});

test('A plan that does not fit leaves the memory as it was', () => {
  const ram = new GuestMemory({ buffer: new SharedArrayBuffer(MIB), byteOffset: 0, byteLength: MIB });
  assert.throws(() => loadPlan(plan(piece(0, 8), piece(MIB - 4, 4, 5)), ram), {
    code: 'IMAGE_TOO_LARGE',
    remedy: 'Give --memory 2 or more',
  });
  assert.equal(ram.readU32(0), 0);
});

test('The part of a piece that has no bytes is zeroed, and nothing behind it', () => {
  const ram = new GuestMemory({ buffer: new SharedArrayBuffer(MIB), byteOffset: 0, byteLength: MIB });
  ram.fill(0xff);
  loadPlan(plan(piece(4, 2, 4)), ram);
  assert.deepEqual([...ram.read(2, 8)], [0xff, 0xff, 1, 1, 0, 0, 0xff, 0xff]);
});

test('A need beyond any VM is not answered with a larger --memory', () => {
  assert.throws(
    () => checkPlan(plan(piece(0xf000_0000, 1)), MIB),
    (error: unknown) => {
      assert.match(String((error as { remedy?: string }).remedy), /link the image lower/);
      return true;
    },
  );
});
