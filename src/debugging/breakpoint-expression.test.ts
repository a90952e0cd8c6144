import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UpcallError } from '../io-request/upcall-error.js';
import { IoRequestType } from '../io-request/layout.js';
import { parseExpression, type ExpressionSubject } from './breakpoint-expression.js';
import { MAX_EXPRESSION_CHARACTERS } from './breakpoint-limits.js';

const WRITE: ExpressionSubject = {
  type: IoRequestType.PORT,
  isRead: false,
  address: 0x3f8n,
  size: 1,
  value: 0x41n,
  vcpu: 2,
  client: 'uart16550',
  bus: 0,
  device: 0,
  pciFunction: 0,
  register: 0,
};

const holds = (text: string, subject: Partial<ExpressionSubject> = {}): boolean =>
  parseExpression(text)({ ...WRITE, ...subject });

test('names are the fields of the request', () => {
  for (const text of [
    'port && write && !read && !mmio && !pci && !wp',
    'address == 0x3f8 && size == 1 && value == 65 && vcpu == 2',
    'client == "uart16550"',
    'client != "rtc"',
    'true && !false',
  ])
    assert.equal(holds(text), true, text);
  const pci = { type: IoRequestType.PCI, bus: 1, device: 0x1f, pciFunction: 2, register: 0x10 };
  assert.equal(holds('pci && bus == 1 && device == 0x1f && function == 2 && register == 16', pci), true);
  assert.equal(holds('read', { isRead: true }), true);
});

test('operators have Python’s precedence, and numbers are unsigned and 64 bits wide', () => {
  for (const [text, expected] of [
    ['value & 0x40 == 0x40', true],
    ['1 || 0 && 0', true],
    ['(1 || 0) && 0', false],
    ['1 + 2 * 3 == 7', true],
    ['1 << 4 + 1 == 32', true],
    ['5 ^ 1 | 2 == 6', true],
    ['0 - 1 == 0xffffffffffffffff', true],
    ['-1 == ~0', true],
    ['0xffffffffffffffff + 1 == 0', true],
    ['1 << 64 == 0 && 1 >> 99999999999999999999 == 0', true],
    ['value - 0x42 > 1000', true],
    ['10 - 3 - 2 == 5', true],
    ['0b101 == 5', true],
    ['!!value == 1', true],
    ['1 < 2 <= 1', true],
  ] as const)
    assert.equal(holds(text), expected, text);
});

test('an invalid expression is refused with the invalid part', () => {
  for (const [text, where] of [
    ['', 'ends too early'],
    ['value ==', 'ends too early'],
    ['(value', 'ends too early'],
    ['value 3', 'unexpected "3"'],
    ['values == 3', 'unexpected "values"'],
    ['process', 'unexpected "process"'],
    ['constructor', 'unexpected "constructor"'],
    ['value.toString', 'is not valid here'],
    ['client', 'ends too early'],
    ['client == uart', 'unexpected "uart"'],
    ['"a" == client', 'unexpected "a"'],
    ['0x', 'is not valid here'],
    ['12ab', 'is not valid here'],
    ['a'.repeat(MAX_EXPRESSION_CHARACTERS + 1), 'longer than'],
  ] as const)
    assert.throws(
      () => parseExpression(text),
      (error) => error instanceof UpcallError && error.code === 'OPTION_INVALID' && error.message.includes(where),
      text,
    );
});

test('any text is an expression or gives an UpcallError', () => {
  const piece = fc.constantFrom(
    'value',
    '(',
    ')',
    '!',
    '~',
    '-',
    '==',
    '&',
    '&&',
    '<<',
    '3',
    '0xff',
    'client',
    '"a"',
    ' ',
  );
  const text = fc.oneof(
    fc.string({ maxLength: 250 }),
    fc.array(piece, { maxLength: 60 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (any) => {
      try {
        assert.equal(typeof parseExpression(any)(WRITE), 'boolean');
      } catch (error) {
        assert.ok(error instanceof UpcallError, String(error));
      }
    }),
    { seed: 1, numRuns: 3000 },
  );
});
