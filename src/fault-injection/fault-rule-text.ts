/**
 * Fault rules as text, for the command line, files and programs: which requests (or interrupts,
 * operations of a disk, frames), a colon, and the fault.
 *
 *   client=uart16550 read after=100 every=3: flip=0x20
 *   port=0x3f8-0x3ff write p=0.01: drop
 *   line=4: lose every=5
 *   disk=virtio-blk write p=0.01: error
 *
 * Words may be in any order on their side of the colon. Timing words may be on either side.
 * docs/fault-injection.md lists all words.
 *
 * Called by: FaultInjection, cli/fault-option.ts, and programs.
 */

import { UpcallError } from '../io-request/upcall-error.js';
import { hex } from '../io-request/io-request.js';
import { pciAddressName } from '../io-request/pci-address.js';
import type { FaultRule, FaultTiming, RequestFault, Span } from './fault-rule.js';
import { checkedRule } from './fault-rule-check.js';
import { SELECTORS, TIMINGS, EFFECTS, WordError, type Part, type Word, type WordTable } from './fault-rule-words.js';

const EXAMPLE = 'Write it like "port=0x3f8-0x3ff read after=100 every=3: flip=0x20" or "line=4: lose every=5"';

/** Parses one rule. Throws OPTION_INVALID with the position of the error in the message. */
export function parseFaultRule(text: string): FaultRule {
  return parseAt(text, (column) => `fault rule "${text.trim()}", character ${column}`);
}

/** Parses a file with one rule per line and comments after `#`. Throws OPTION_INVALID. */
export function parseFaultFile(text: string, name: string): FaultRule[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const rule = line.replace(/(^|\s)#.*$/, '');
    return rule.trim() === '' ? [] : [parseAt(rule, (column) => `${name}:${index + 1}:${column}`)];
  });
}

/** `place` names the position of a column in messages. */
function parseAt(text: string, place: (column: number) => string): FaultRule {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof WordError)) throw error;
    throw new UpcallError('OPTION_INVALID', `${place(error.column)}: ${error.message}`, {
      remedy: error.hint ?? EXAMPLE,
    });
  }
}

function parse(text: string): FaultRule {
  const { before, after, colon } = split(text);
  if (colon === undefined) throw new WordError(text.length + 1, 'a colon followed by a space is missing');
  const effect: Part = {};
  const selected: Part = {};
  for (const word of before) apply(word, selected, [SELECTORS, TIMINGS], EFFECTS);
  for (const word of after) apply(word, word.name in EFFECTS ? effect : selected, [EFFECTS, TIMINGS], SELECTORS);
  const kind = effect['effect'] === undefined ? undefined : (effect['effect'] as { readonly kind: string }).kind;
  if (kind === undefined)
    throw new WordError(colon + 1, 'the fault after the colon is missing', `Give one of ${names(EFFECTS)}`);
  const { column = colon + 1 } = after.find(({ name }) => name in EFFECTS) ?? {};
  return checkedRule({ ...selected, ...effect }, kind, column);
}

/**
 * Looks the word up in `tables` and adds its fields to `into`. `elsewhere`: the words of the other
 * side of the colon, for the message.
 */
function apply(word: Word, into: Part, tables: readonly WordTable[], elsewhere: WordTable): void {
  const table = tables.find((candidate) => word.name in candidate);
  const read = table?.[word.name];
  if (read === undefined) {
    const side = word.name in elsewhere ? `"${word.name}" is on the wrong side of the colon` : undefined;
    const known = tables.map(names).join(', ');
    throw new WordError(word.column, side ?? `"${word.text}" is not a word of a rule`, side ?? `Use one of ${known}`);
  }
  for (const [name, value] of Object.entries(read(word))) {
    if (name in into) throw new WordError(word.column, `"${word.text}" conflicts with an earlier word`);
    into[name] = value;
  }
}

/**
 * Words with their positions. The separator is a colon at the end of a word: PCI addresses contain
 * others.
 */
function split(text: string): { before: Word[]; after: Word[]; colon: number | undefined } {
  const before: Word[] = [];
  const after: Word[] = [];
  let colon: number | undefined;
  for (const { 0: found, index } of text.matchAll(/(?:[^\s"]|"[^"]*"?)+/g)) {
    const ends = colon === undefined && found.endsWith(':');
    const part = ends ? found.slice(0, -1) : found;
    if (part !== '') (colon === undefined ? before : after).push(wordOf(part, index + 1));
    if (ends) colon = index + found.length;
  }
  return { before, after, colon };
}

function wordOf(text: string, column: number): Word {
  const equals = text.indexOf('=');
  if (equals < 0) return { text, name: text, value: undefined, column, valueColumn: column };
  const value = text.slice(equals + 1).replace(/^"(.*)"$/, '$1');
  return { text, name: text.slice(0, equals), value, column, valueColumn: column + equals + 1 };
}

function names(table: WordTable): string {
  return Object.keys(table).join(', ');
}

/** The rule as text. parseFaultRule makes the same rule of it, if the rule came from text. */
export function faultRuleText(rule: FaultRule): string {
  const { effect } = rule;
  const effectText = 'ms' in effect ? `${effect.kind}=${effect.ms}ms` : `${effect.kind}${valueText(effect)}`;
  return `${[...selectorWords(rule), ...timingWords(rule)].join(' ')}: ${effectText}`;
}

function valueText(effect: object): string {
  if ('value' in effect) return `=${hex(effect.value as bigint)}`;
  return 'mask' in effect ? `=${hex(effect.mask as bigint)}` : '';
}

function selectorWords(rule: FaultRule): string[] {
  switch (rule.kind) {
    case 'line':
      return [`line=${rule.line}`];
    case 'disk': {
      const sectors = rule.sectors === undefined ? [] : `sector${spanText(rule.sectors)}`;
      return [nameWord('disk', rule.disk), rule.operation ?? [], sectors].flat();
    }
    case 'net':
      return [nameWord('net', rule.net), rule.way ?? []].flat();
    case 'request':
      return requestWords(rule);
  }
}

function nameWord(word: string, name: string): string {
  return `${word}=${/\s/.test(name) ? `"${name}"` : name}`;
}

function requestWords(rule: RequestFault): string[] {
  const { bus, device = 0, function: fn } = rule;
  const address = bus === undefined ? '' : `=${pciAddressName(bus, device, fn)}`;
  const pci = `pci${address}`;
  return [
    rule.client === undefined ? [] : nameWord('client', rule.client),
    rule.type === undefined ? [] : rule.type === 'pci' ? pci : `${rule.type}${spanText(rule.address)}`,
    rule.register === undefined ? [] : `register${spanText(rule.register)}`,
    rule.direction ?? [],
    rule.size === undefined ? [] : `size=${rule.size}`,
    rule.vcpu === undefined ? [] : `vcpu=${rule.vcpu}`,
  ].flat();
}

function spanText(span: Span | undefined): string {
  if (span === undefined) return '';
  return span.first === span.last ? `=${hex(span.first)}` : `=${hex(span.first)}-${hex(span.last)}`;
}

function timingWords(timing: FaultTiming): string[] {
  const { fromMs, untilMs, after, every, probability, times } = timing;
  return [
    fromMs === undefined ? [] : `from=${fromMs}ms`,
    untilMs === undefined ? [] : `until=${untilMs}ms`,
    after === undefined ? [] : `after=${after}`,
    every === undefined ? [] : `every=${every}`,
    probability === undefined ? [] : `p=${probability}`,
    times === undefined ? [] : `times=${times}`,
  ].flat();
}
