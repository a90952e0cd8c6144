/**
 * Program: what happens to a device on a bench, step by step, with what is expected of it.
 *
 * Called by: play, the random programs, the rules of checkRegisters, and an author who prints a
 * program.
 *
 * The text form is that of access lists in bug reports and of `upcall compare`, one call after the
 * other: `write(CONTROL,1) wait(10ms) read(STATUS)=1 line(5)=0`.
 *
 *     write(PLACE,VALUE)  write(OFFSET,SIZE,VALUE)
 *     read(PLACE)=VALUE   read(OFFSET,SIZE)=VALUE     also without an expectation
 *     peek(PLACE)=VALUE   peek(OFFSET,SIZE)=VALUE     without side effects
 *     wait(10ms) wait(5us)                            of the bench's clock
 *     line(5)=1  line()=0                             a line's level; of a card, its pin
 *     raised(5)=2  raised()=2                         rises of a line, or messages of a card
 *     store(ADDRESS,SIZE,VALUE)  load(ADDRESS,SIZE)=VALUE   guest memory
 *     reset()
 *
 * PLACE is a register's name, with its own size. An offset in BAR 1 of a card is 1:0x10. Numbers
 * are decimal or begin with 0x. An expectation may have a mask, `read(STATUS)=1/0x3`, and then only
 * the bits of the mask count.
 */

import { hex } from '../io-request/io-request.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { AccessSize } from '../device-model/device.js';
import type { RegisterMap } from '../device-model/register-map.js';

/** Where an access goes. */
export interface Place {
  readonly bar: number;
  readonly offset: number;
  readonly size: AccessSize;
  /** Of the register, if the program named it. */
  readonly name?: string;
}

/** `mask`: the bits that count. */
export interface Expectation {
  readonly value: number;
  readonly mask: number;
}

export type Step =
  | { readonly kind: 'write'; readonly place: Place; readonly value: number }
  | { readonly kind: 'read' | 'peek'; readonly place: Place; readonly expected?: Expectation }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'line' | 'raised'; readonly number?: number; readonly expected: Expectation }
  | { readonly kind: 'store'; readonly address: number; readonly size: AccessSize; readonly value: number }
  | { readonly kind: 'load'; readonly address: number; readonly size: AccessSize; readonly expected?: Expectation }
  | { readonly kind: 'reset' };

const CALL = /([a-z]+)\(([^()]*)\)(?:=([^\s/]+)(?:\/(\S+))?)?/y;
const ALL_BITS = 0xffff_ffff;

/**
 * Reads a program's text. Comments begin with # and end with the line. Throws OPTION_INVALID with
 * the call that is wrong. `registers` gives names their places.
 */
export function parseProgram(text: string, registers?: RegisterMap): readonly Step[] {
  const code = text.replace(/#.*$/gm, '');
  const steps: Step[] = [];
  for (let at = 0; ;) {
    at += /^\s*/.exec(code.slice(at))?.[0].length ?? 0;
    if (at >= code.length) return steps;
    CALL.lastIndex = at;
    const match = CALL.exec(code);
    if (match === null) throw invalid(/^\S+/.exec(code.slice(at))?.[0] ?? '', 'is not a call such as read(0x4,1)=0');
    at = CALL.lastIndex;
    steps.push(stepOf(match, registers));
  }
}

function stepOf([call, kind, inner = '', value, mask]: RegExpExecArray, registers?: RegisterMap): Step {
  const words = inner.trim() === '' ? [] : inner.split(',').map((word) => word.trim());
  const number = (word: string | undefined): number => parseNumber(word, call);
  const expected =
    value === undefined ? undefined : { value: number(value), mask: mask === undefined ? ALL_BITS : number(mask) };
  const optional = expected === undefined ? {} : { expected };
  const count = (...counts: number[]): void => {
    if (!counts.includes(words.length))
      throw invalid(call, `has ${words.length} arguments, not ${counts.join(' or ')}`);
  };
  const expectNothing = (): void => {
    if (expected !== undefined) throw invalid(call, 'returns nothing that could be expected');
  };
  switch (kind) {
    case 'write':
      count(2, 3);
      expectNothing();
      return { kind, place: placeOf(words.slice(0, -1), registers, call), value: number(words.at(-1)) };
    case 'read':
    case 'peek':
      count(1, 2);
      return { kind, place: placeOf(words, registers, call), ...optional };
    case 'wait':
      count(1);
      expectNothing();
      return { kind, ms: milliseconds(words[0], call) };
    case 'line':
    case 'raised': {
      count(0, 1);
      if (expected === undefined) throw invalid(call, 'needs a value: =0, =1');
      return { kind, expected, ...(words.length === 0 ? {} : { number: number(words[0]) }) };
    }
    case 'store':
      count(3);
      expectNothing();
      return { kind, address: number(words[0]), size: sizeOf(words[1], call), value: number(words[2]) };
    case 'load':
      count(2);
      return { kind, address: number(words[0]), size: sizeOf(words[1], call), ...optional };
    case 'reset':
      count(0);
      expectNothing();
      return { kind };
    default:
      throw invalid(call, 'is not write, read, peek, wait, line, raised, store, load or reset');
  }
}

/** A register's name, or an offset and a size. */
function placeOf(words: readonly string[], registers: RegisterMap | undefined, call: string): Place {
  const [first = '', size] = words;
  if (size !== undefined) {
    const [, bar, offset] = /^(?:([0-9]+):)?(.*)$/.exec(first) ?? [];
    return { bar: Number(bar ?? 0), offset: parseNumber(offset, call), size: sizeOf(size, call) };
  }
  const register = registers?.registers.find(({ name }) => name === first);
  if (register === undefined) {
    const names = registers?.registers.map(({ name }) => name).join(', ');
    throw invalid(call, `names no register. Known: ${names ?? 'none, as the device has no register map'}`);
  }
  return { bar: register.bar ?? 0, offset: register.offset, size: register.size, name: first };
}

function sizeOf(word: string | undefined, call: string): AccessSize {
  const size = parseNumber(word, call);
  if (size !== 1 && size !== 2 && size !== 4) throw invalid(call, 'has a size that is not 1, 2 or 4');
  return size;
}

function parseNumber(word: string | undefined, call: string): number {
  const isNumber = word !== undefined && /^(0x[0-9a-f_]+|[0-9][0-9_]*)$/i.test(word);
  const value = isNumber ? Number(word.replaceAll('_', '')) : NaN;
  if (!(value <= ALL_BITS)) throw invalid(call, `has "${word ?? ''}" where a number of 32 bits belongs`);
  return value;
}

function milliseconds(word: string | undefined, call: string): number {
  const [, value, unit] = /^([0-9.]+)(us|ms|s)$/.exec(word ?? '') ?? [];
  if (value === undefined || !Number.isFinite(Number(value)))
    throw invalid(call, 'has no time such as 10ms, 5us or 1s');
  return Number(value) * (unit === 's' ? 1000 : unit === 'us' ? 0.001 : 1);
}

function invalid(call: string, what: string): UpcallError {
  return new UpcallError('OPTION_INVALID', `program: ${call} ${what}`, {
    remedy: 'See "Test it" in docs/write-a-device.md',
  });
}

export function programText(steps: readonly Step[]): string {
  return steps.map(stepText).join(' ');
}

export function stepText(step: Step): string {
  switch (step.kind) {
    case 'write':
      return `write(${placeText(step.place)},${hex(step.value)})`;
    case 'read':
    case 'peek':
      return `${step.kind}(${placeText(step.place)})${expectedText(step.expected)}`;
    case 'wait':
      return step.ms < 1 ? `wait(${step.ms * 1000}us)` : `wait(${step.ms}ms)`;
    case 'line':
    case 'raised':
      return `${step.kind}(${step.number ?? ''})${expectedText(step.expected)}`;
    case 'store':
      return `store(${hex(step.address)},${step.size},${hex(step.value)})`;
    case 'load':
      return `load(${hex(step.address)},${step.size})${expectedText(step.expected)}`;
    case 'reset':
      return 'reset()';
  }
}

export function placeText({ bar, offset, size, name }: Place): string {
  return name ?? `${bar === 0 ? '' : `${bar}:`}${hex(offset)},${size}`;
}

function expectedText(expected: Expectation | undefined): string {
  if (expected === undefined) return '';
  const { value, mask } = expected;
  return `=${hex(value)}${mask === ALL_BITS ? '' : `/${hex(mask)}`}`;
}
