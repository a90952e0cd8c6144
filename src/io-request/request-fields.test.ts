import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWords } from '../sync/shared-words.js';
import { IoRequestType } from './layout.js';
import { copyFields, loadFields, REQUEST_FIELD_WORDS, storeFields, type RequestFields } from './request-fields.js';

const NAMES = [
  'type',
  'direction',
  'addressLow',
  'addressHigh',
  'size',
  'sizeHigh',
  'valueLow',
  'valueHigh',
  'bus',
  'device',
  'pciFunction',
  'register',
] as const satisfies readonly (keyof RequestFields)[];

/** Every field has a different value, counting up from `first`. */
function fields(first: number, type: number): RequestFields {
  const entries = NAMES.map((name, index) => [name, first + index] as const);
  return { ...(Object.fromEntries(entries) as Record<(typeof NAMES)[number], number>), type };
}

function throughWords(from: RequestFields, to: RequestFields): void {
  const words = new SharedWords(2 + REQUEST_FIELD_WORDS);
  storeFields(words, 1, from);
  assert.equal(words.load(0), 0);
  assert.equal(words.load(1 + REQUEST_FIELD_WORDS), 0, 'nothing beyond the last field');
  loadFields(words, 1, to);
}

for (const [name, copy] of Object.entries({ copyFields, throughWords })) {
  test(`${name} copies all twelve fields of a PCI request`, () => {
    const to = fields(-1000, 0);
    copy(fields(100, IoRequestType.PCI), to);
    assert.deepEqual(to, fields(100, IoRequestType.PCI));
  });

  test(`${name} does not copy the PCI fields of a request of another type`, () => {
    const to = fields(-1000, IoRequestType.PCI);
    copy(fields(100, IoRequestType.MMIO), to);
    const { bus, device, pciFunction, register } = fields(-1000, 0);
    assert.deepEqual(to, { ...fields(100, IoRequestType.MMIO), bus, device, pciFunction, register });
  });
}

test('a request has twelve words, of which a request of another type than PCI stores eight', () => {
  assert.equal(REQUEST_FIELD_WORDS, 12);
  const words = new SharedWords(REQUEST_FIELD_WORDS);
  storeFields(words, 0, fields(100, IoRequestType.MMIO));
  assert.deepEqual(
    NAMES.map((_, at) => words.load(at)),
    [IoRequestType.MMIO, 101, 102, 103, 104, 105, 106, 107, 0, 0, 0, 0],
  );
});
