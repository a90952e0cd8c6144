import assert from 'node:assert/strict';
import test from 'node:test';

import { ScanCodeTranslator } from './scan-codes.js';

function translate(...bytes: number[]): number[] {
  const translator = new ScanCodeTranslator();
  return bytes.flatMap((byte) => translator.translate(byte) ?? []);
}

test('keys have their codes of set 1', () => {
  const keys = {
    escape: [0x76, 0x01],
    a: [0x1c, 0x1e],
    space: [0x29, 0x39],
    enter: [0x5a, 0x1c],
    leftShift: [0x12, 0x2a],
  };
  const more = { f1: [0x05, 0x3b], f7: [0x83, 0x41], f12: [0x07, 0x58], backspace: [0x66, 0x0e], digit1: [0x16, 0x02] };
  for (const [name, [set2 = 0, set1 = 0]] of Object.entries({ ...keys, ...more })) {
    assert.deepEqual(translate(set2), [set1], name);
  }
});

test('the release prefix becomes bit 7 of one code', () => {
  assert.deepEqual(translate(0xf0, 0x1c, 0x1c), [0x9e, 0x1e]);
  assert.deepEqual(translate(0xe0, 0xf0, 0x75), [0xe0, 0xc8], 'the E0 prefix passes');
});

test('no two codes become the same', () => {
  const codes = Array.from({ length: 0x80 }, (_, code) => translate(code)[0]);
  assert.equal(new Set(codes).size, 0x80);
});

test('answers of the keyboard pass', () => {
  for (const answer of [0xfa, 0xfe, 0xaa, 0xee, 0xab]) assert.deepEqual(translate(answer), [answer]);
});

test('a reset forgets the prefix', () => {
  const translator = new ScanCodeTranslator();
  translator.translate(0xf0);
  translator.reset();
  assert.equal(translator.translate(0x1c), 0x1e);
});
