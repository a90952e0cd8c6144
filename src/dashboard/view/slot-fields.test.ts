import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dumpRows, slotFields } from './slot-fields.js';

function slotOf(words: Record<number, number>): Uint8Array {
  const bytes = new Uint8Array(256);
  for (const [offset, word] of Object.entries(words)) new DataView(bytes.buffer).setUint32(Number(offset), word, true);
  return bytes;
}

const text = (bytes: Uint8Array): string =>
  slotFields(bytes)
    .map(({ name, raw, meaning }) => [name, raw, ...(meaning === '' ? [] : [meaning])].join(' '))
    .join('; ');

test('a port write has the names of the header', () => {
  assert.equal(
    text(slotOf({ 0: 0, 64: 1, 72: 0x3f8, 80: 1, 88: 0x41, 92: 9, 136: 2 })),
    'type 0x0 port; completion_polling 0x0; direction 0x1 write; address 0x3f8; size 0x1 8 bit; value 0x41; ' +
      'kernel_handled 0x0; processed 0x2 PROCESSING',
  );
});

test('the value of an MMIO request has eight bytes', () => {
  const fields = slotFields(slotOf({ 0: 1, 72: 0xfed00000, 80: 8, 88: 0x55667788, 92: 0x11223344, 136: 0 }));
  assert.deepEqual(
    fields.find(({ name }) => name === 'value'),
    { name: 'value', offset: 88, bytes: 8, raw: '0x1122334455667788', meaning: '' },
  );
});

test('a PCI request has bus, device, function and register instead of the upper half', () => {
  const dumped = text(slotOf({ 0: 2, 72: 0xcfc, 80: 4, 92: 0, 96: 0x1f, 100: 2, 104: 0x40, 136: 1 }));
  assert.match(dumped, /reserved 0xcfc; .*value 0x0; bus 0x0; dev 0x1f; func 0x2; reg 0x40; .*0x1 COMPLETE/);
});

test('any bytes have fields', () => {
  const dumped = text(new Uint8Array(256).fill(0xff));
  assert.match(dumped, /type 0xffffffff type 4294967295; .*processed 0xffffffff state 4294967295/);
});

test('the dump has the rows of the fields and all other rows that are not zero', () => {
  const dumped = (bytes: Uint8Array): string[] => dumpRows(bytes).map(({ at, bytes: row }) => `${at} ${row.join(' ')}`);
  const zeros = Array<string>(7).fill('00').join(' ');
  assert.deepEqual(dumped(slotOf({ 136: 2 })), [
    `0 00 ${zeros}`,
    '8 ',
    `64 00 ${zeros}`,
    `72 00 ${zeros}`,
    `80 00 ${zeros}`,
    `88 00 ${zeros}`,
    `96 00 ${zeros}`,
    `104 00 ${zeros}`,
    '112 ',
    `128 00 ${zeros}`,
    `136 02 ${zeros}`,
    '144 ',
  ]);
  assert.equal(dumpRows(new Uint8Array(256).fill(1)).length, 32);
  assert.ok(dumped(slotOf({ 200: 0xab })).includes(`200 ab ${zeros}`));
});
