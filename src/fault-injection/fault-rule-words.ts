/**
 * Fault rule words: the parser of each word of a rule. In `client=uart16550 read every=3:
 * flip=0x20` the words are `client=uart16550`, `read`, `every=3` and `flip=0x20`.
 *
 * Called by: fault-rule-text.ts, which splits a rule into words and looks them up here by name.
 */

import { hex } from '../io-request/io-request.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import type { Span } from './fault-rule.js';

/** A word and its position. Columns count from 1. */
export interface Word {
  readonly text: string;
  readonly name: string;
  /** The text after the equals sign. */
  readonly value: string | undefined;
  readonly column: number;
  readonly valueColumn: number;
}

/** A word is invalid. fault-rule-text.ts turns it into an UpcallError with the place. */
export class WordError extends Error {
  readonly column: number;
  readonly hint: string | undefined;

  constructor(column: number, message: string, hint?: string) {
    super(message);
    this.column = column;
    this.hint = hint;
  }
}

/** Some fields of a FaultRule (fault-rule.ts), which one word gives. */
export type Part = Record<string, unknown>;
/** Parsers by the name of their word. */
export type WordTable = Readonly<Record<string, (word: Word) => Part>>;

/** The last physical address of x86-64. */
const MAX_ADDRESS = 2 ** 52 - 1;
const MAX_COUNT = Number.MAX_SAFE_INTEGER;
/** Longest duration: one day. */
const MAX_MS = 86_400_000;
/** Default delay of a duplicate interrupt or frame. */
const DUPLICATE_MS = 1;

/** A table without a prototype: `in` must not find `toString`. */
function table(words: Record<string, (word: Word) => Part>): WordTable {
  return Object.assign(Object.create(null) as WordTable, words);
}

/** Words that select requests, a line, a disk or a network card. */
export const SELECTORS: WordTable = table({
  client: (word) => ({ client: text(word, 'client=uart16550') }),
  port: (word) => ({ type: 'port', ...addresses(word, 0xffff, 'port=0x3f8-0x3ff') }),
  mmio: (word) => ({ type: 'mmio', ...addresses(word, MAX_ADDRESS, 'mmio=0xd0000000+0x1000') }),
  'write-protect': (word) => ({
    type: 'write-protect',
    ...addresses(word, MAX_ADDRESS, 'write-protect=0x100000+0x1000'),
  }),
  pci: (word) => ({ type: 'pci', ...pciAddress(word) }),
  register: (word) => ({ register: span(word, 0xfff, 'register=0x10-0x13') }),
  read: (word) => ({ direction: bare(word, 'read') }),
  write: (word) => ({ direction: bare(word, 'write') }),
  size: (word) => {
    const size = whole(word, 1, 8, 'size=4');
    if (![1, 2, 4, 8].includes(size))
      throw new WordError(word.valueColumn, `invalid access size ${size}`, 'Sizes are 1, 2, 4 and 8');
    return { size };
  },
  vcpu: (word) => ({ vcpu: whole(word, 0, SLOT_COUNT - 1, 'vcpu=0') }),
  // Whether there is such a line is checked with the whole rule.
  line: (word) => ({ line: whole(word, 0, MAX_COUNT, 'line=4') }),
  disk: (word) => ({ disk: text(word, 'disk=virtio-blk') }),
  flush: (word) => ({ operation: bare(word, 'flush') }),
  discard: (word) => ({ operation: bare(word, 'discard') }),
  sector: (word) => ({ sectors: span(word, MAX_ADDRESS, 'sector=0-2047') }),
  net: (word) => ({ net: text(word, 'net=virtio-net') }),
  send: (word) => ({ way: bare(word, 'send') }),
  receive: (word) => ({ way: bare(word, 'receive') }),
});

/** Words that choose among the selected ones (FaultTiming). */
export const TIMINGS: WordTable = table({
  from: (word) => ({ fromMs: duration(word) }),
  until: (word) => ({ untilMs: duration(word) }),
  after: (word) => ({ after: whole(word, 0, MAX_COUNT, 'after=100') }),
  every: (word) => ({ every: whole(word, 1, MAX_COUNT, 'every=3') }),
  p: (word) => {
    const probability = /^(0|1|0?\.\d+|1\.0+)$/.test(word.value ?? '') ? Number(word.value) : NaN;
    if (!(probability >= 0 && probability <= 1))
      throw new WordError(
        word.valueColumn,
        `"${word.value ?? ''}" is not a probability`,
        'Give a number from 0 to 1, for example p=0.01',
      );
    return { probability };
  },
  times: (word) => ({ times: whole(word, 1, MAX_COUNT, 'times=1') }),
});

/** Words that name the fault. */
export const EFFECTS: WordTable = table({
  ones: (word) => effect(bare(word, 'ones')),
  value: (word) => effect('value', { value: bits(word) }),
  flip: (word) => effect('flip', word.value === undefined || word.value === 'random' ? {} : { mask: bits(word) }),
  stale: (word) => effect(bare(word, 'stale')),
  drop: (word) => effect(bare(word, 'drop')),
  delay: (word) => effect('delay', { ms: duration(word) }),
  slow: (word) => effect('slow', { ms: duration(word) }),
  crash: (word) => effect(bare(word, 'crash')),
  remove: (word) => effect(bare(word, 'remove')),
  error: (word) => effect(bare(word, 'error')),
  lose: (word) => effect(bare(word, 'lose')),
  duplicate: (word) => effect('duplicate', { ms: word.value === undefined ? DUPLICATE_MS : duration(word) }),
});

function effect(kind: string, more: Part = {}): Part {
  return { effect: { kind, ...more } };
}

/** A word without a value. */
function bare(word: Word, name: string): string {
  if (word.value !== undefined) throw new WordError(word.column, `"${name}" takes no value`, `Write ${name} alone`);
  return name;
}

function text(word: Word, example: string): string {
  if (word.value !== undefined && word.value !== '' && !word.value.includes('"')) return word.value;
  throw new WordError(word.valueColumn, `"${word.text}" has no name`, `Write ${example}, and quote a name with spaces`);
}

function number(digits: string | undefined): number {
  return digits !== undefined && /^(0x[0-9a-f]{1,14}|\d{1,16})$/i.test(digits) ? Number(digits) : NaN;
}

function whole(word: Word, least: number, most: number, example: string): number {
  const value = number(word.value);
  if (value >= least && value <= most) return value;
  const limits = most === MAX_COUNT ? `from ${least}` : `from ${least} to ${most}`;
  throw new WordError(word.valueColumn, `"${word.value ?? ''}" is not a number ${limits}`, `Write it like ${example}`);
}

/** A range: `0x3f8`, `0x3f8-0x3ff` (both inclusive) or `0x3f8+8` (start and length). */
function span(word: Word, most: number, example: string): Span {
  const match = /^(\w+)(?:([+-])(\w+))?$/.exec(word.value ?? '');
  const first = number(match?.[1]);
  const second = match?.[2] === undefined ? first : number(match[3]);
  const last = match?.[2] === '+' ? first + second - 1 : second;
  if (first <= last && last <= most) return { first, last };
  const wrong = first > last ? 'ends before it starts' : last > most ? `exceeds ${hex(most)}` : 'is not a range';
  throw new WordError(word.valueColumn, `"${word.value ?? ''}" ${wrong}`, `Write it like ${example}`);
}

/** `port` alone selects every port. */
function addresses(word: Word, most: number, example: string): Part {
  return word.value === undefined ? {} : { address: span(word, most, example) };
}

/** `pci`, `pci=00:1f`, `pci=00:1f.3`: numbers in hexadecimal, as lspci writes them. */
function pciAddress(word: Word): Part {
  if (word.value === undefined) return {};
  const match = /^([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.([0-7]))?$/i.exec(word.value);
  const device = parseInt(match?.[2] ?? '', 16);
  if (match === null || device > 0x1f)
    throw new WordError(
      word.valueColumn,
      `"${word.value}" is not a PCI address`,
      'Write bus:device.function in hexadecimal, for example pci=00:1f.0',
    );
  const fn = match[3];
  return { bus: parseInt(match[1] as string, 16), device, ...(fn === undefined ? {} : { function: Number(fn) }) };
}

/** `5ms`, `2s` or `200us`. Default unit: ms. */
function duration(word: Word): number {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(us|ms|s)?$/.exec(word.value ?? '');
  const ms = Number(match?.[1]) * (match?.[2] === 's' ? 1000 : match?.[2] === 'us' ? 0.001 : 1);
  if (ms <= MAX_MS) return ms;
  throw new WordError(
    word.valueColumn,
    `"${word.value ?? ''}" is not a duration`,
    `Write it like ${word.name}=5ms, 200us or 2s, at most one day`,
  );
}

/** A value of up to 64 bits. */
function bits(word: Word): bigint {
  if (/^(0x[0-9a-f]{1,16}|\d{1,19})$/i.test(word.value ?? '')) return BigInt.asUintN(64, BigInt(word.value as string));
  throw new WordError(word.valueColumn, `"${word.value ?? ''}" is not a value`, `Write it like ${word.name}=0x20`);
}
