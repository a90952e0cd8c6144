/**
 * Breakpoint expressions: a condition on a request as text, for instance `write && size == 1 &&
 * value & 0x80`.
 *
 * The text is untrusted: it may come from a web page. It is parsed into functions of this file, and
 * only the names below are known. The length limit bounds depth and work.
 *
 * Numbers are unsigned, 64 bits wide, and wrap. Operators by increasing precedence: `||`, `&&`, `==
 * != < <= > >=`, `|`, `^`, `&`, `<< >>`, `+ -`, `*`, then `! ~ -`. As in Python and unlike in C,
 * `value & 0x80 == 0x80` compares last. Every value but 0 is true.
 *
 * Called by: breakpoint.ts, for the `expression` of a breakpoint.
 */

import { UpcallError } from '../io-request/upcall-error.js';
import { IoRequestType } from '../io-request/layout.js';
import { MAX_EXPRESSION_CHARACTERS } from './breakpoint-limits.js';

/** The fields of a request that an expression reads. */
export interface ExpressionSubject {
  readonly type: number;
  readonly isRead: boolean;
  readonly address: bigint;
  readonly size: number;
  /** The written value, or the value that a read returns. Has no meaning for a read at PENDING. */
  readonly value: bigint;
  readonly vcpu: number;
  readonly client: string;
  readonly bus: number;
  readonly device: number;
  readonly pciFunction: number;
  readonly register: number;
}

export type Condition = (subject: ExpressionSubject) => boolean;

type Evaluate = (subject: ExpressionSubject) => bigint;

const fromBoolean = (is: boolean): bigint => (is ? 1n : 0n);
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** `port`, `mmio`, `pci`, `wp`, `read` and `write` are 1 or 0. The others are numbers. */
const NAMES = new Map<string, Evaluate>([
  ['address', ({ address }) => address],
  ['size', ({ size }) => BigInt(size)],
  ['value', ({ value }) => value],
  ['vcpu', ({ vcpu }) => BigInt(vcpu)],
  ['bus', ({ bus }) => BigInt(bus)],
  ['device', ({ device }) => BigInt(device)],
  ['function', ({ pciFunction }) => BigInt(pciFunction)],
  ['register', ({ register }) => BigInt(register)],
  ['read', ({ isRead }) => fromBoolean(isRead)],
  ['write', ({ isRead }) => fromBoolean(!isRead)],
  ['port', ({ type }) => fromBoolean(type === IoRequestType.PORT)],
  ['mmio', ({ type }) => fromBoolean(type === IoRequestType.MMIO)],
  ['pci', ({ type }) => fromBoolean(type === IoRequestType.PCI)],
  ['wp', ({ type }) => fromBoolean(type === IoRequestType.WRITE_PROTECT)],
  ['true', () => 1n],
  ['false', () => 0n],
]);

const FIELD_NAMES = [...NAMES.keys()].filter((name) => name !== 'true' && name !== 'false');

type Binary = (a: bigint, b: bigint) => bigint;

/** Binary operators by increasing precedence. A shift by 64 or more gives 0. */
const LEVELS: readonly Readonly<Record<string, Binary>>[] = [
  { '||': (a, b) => fromBoolean(a !== 0n || b !== 0n) },
  { '&&': (a, b) => fromBoolean(a !== 0n && b !== 0n) },
  {
    '==': (a, b) => fromBoolean(a === b),
    '!=': (a, b) => fromBoolean(a !== b),
    '<': (a, b) => fromBoolean(a < b),
    '<=': (a, b) => fromBoolean(a <= b),
    '>': (a, b) => fromBoolean(a > b),
    '>=': (a, b) => fromBoolean(a >= b),
  },
  { '|': (a, b) => a | b },
  { '^': (a, b) => a ^ b },
  { '&': (a, b) => a & b },
  { '<<': (a, b) => (b > 63n ? 0n : u64(a << b)), '>>': (a, b) => (b > 63n ? 0n : a >> b) },
  { '+': (a, b) => u64(a + b), '-': (a, b) => u64(a - b) },
  { '*': (a, b) => u64(a * b) },
];

/** A number, a name, a quoted text or a sign, after white space. One group for each kind. */
const TOKEN = /\s*(?:(0x[0-9a-f]+|0b[01]+|\d+)(?!\w)|([a-z]\w*)|"([^"]*)"|(\|\||&&|[=!<>]=|<<|>>|[<>|^&+\-*!~()]))/iy;

interface Token {
  readonly kind: 'number' | 'name' | 'text' | 'sign' | 'end';
  readonly text: string;
}

/** Throws OPTION_INVALID with the part that is invalid. */
export function parseExpression(text: string): Condition {
  if (text.length > MAX_EXPRESSION_CHARACTERS)
    throw invalid(text.slice(0, 20), `longer than ${MAX_EXPRESSION_CHARACTERS} characters`);
  const evaluate = new Parser(text).parse();
  return (subject) => evaluate(subject) !== 0n;
}

/** Recursive descent: one call of `#binary` for each level of precedence, then `#unary`. */
class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokensOf(text);
  }

  parse(): Evaluate {
    const evaluate = this.#binary(0);
    if (this.#next.kind !== 'end') throw this.#unexpected();
    return evaluate;
  }

  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }

  #takeSign(sign: string): boolean {
    const isNext = this.#next.kind === 'sign' && this.#next.text === sign;
    if (isNext) this.#at++;
    return isNext;
  }

  #binary(level: number): Evaluate {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const { kind, text } = this.#next;
      const operator = kind === 'sign' ? operators[text] : undefined;
      if (operator === undefined) return left;
      this.#at++;
      const [first, second] = [left, this.#binary(level + 1)];
      left = (subject) => operator(first(subject), second(subject));
    }
  }

  #unary(): Evaluate {
    if (this.#takeSign('!')) return mapped(this.#unary(), (value) => fromBoolean(value === 0n));
    if (this.#takeSign('~')) return mapped(this.#unary(), (value) => u64(~value));
    if (this.#takeSign('-')) return mapped(this.#unary(), (value) => u64(-value));
    if (this.#takeSign('(')) {
      const inner = this.#binary(0);
      if (!this.#takeSign(')')) throw this.#unexpected();
      return inner;
    }
    const { kind, text } = this.#next;
    if (kind === 'number') {
      this.#at++;
      const value = u64(BigInt(text));
      return () => value;
    }
    if (kind === 'name' && text === 'client') return this.#client();
    const named = kind === 'name' ? NAMES.get(text) : undefined;
    if (named === undefined) throw this.#unexpected();
    this.#at++;
    return named;
  }

  /** `client == "name"` or `!=`. Only client names are strings. */
  #client(): Evaluate {
    this.#at++;
    const wanted = this.#takeSign('==');
    if (!wanted && !this.#takeSign('!=')) throw this.#unexpected();
    const { kind, text } = this.#next;
    if (kind !== 'text') throw this.#unexpected();
    this.#at++;
    return ({ client }) => fromBoolean((client === text) === wanted);
  }

  #unexpected(): UpcallError {
    const { kind, text } = this.#next;
    return invalid(this.#text, kind === 'end' ? 'it ends too early' : `unexpected "${text}"`);
  }
}

function mapped(evaluate: Evaluate, change: (value: bigint) => bigint): Evaluate {
  return (subject) => change(evaluate(subject));
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const end = text.trimEnd().length;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) throw invalid(text, `"${text.slice(at, at + 10).trim()}" is not valid here`);
    const [, number, name, quoted, sign] = match;
    if (number !== undefined) tokens.push({ kind: 'number', text: number.toLowerCase() });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else if (quoted !== undefined) tokens.push({ kind: 'text', text: quoted });
    else tokens.push({ kind: 'sign', text: sign ?? '' });
  }
  return [...tokens, { kind: 'end', text: '' }];
}

function invalid(text: string, why: string): UpcallError {
  return new UpcallError('OPTION_INVALID', `invalid expression "${text}": ${why}`, {
    remedy: `Use ${FIELD_NAMES.join(', ')}, client == "name", numbers, ( ) and C's operators`,
  });
}
