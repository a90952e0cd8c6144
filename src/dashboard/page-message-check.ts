/**
 * What a page may say, checked field by field: what comes over the connection is anybody's text until it has been through
 * here. A message that is none gives undefined; the server then ends the connection, because a page of ours sends no such.
 */

import {
  MAX_EXPRESSION_CHARACTERS,
  MAX_TYPED_CHARACTERS,
  type BreakpointFields,
  type MoveFilterFields,
  type PageMessage,
} from './protocol.js';

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

/** Characters of a client's name or a token. */
const MAX_NAME_CHARACTERS = 200;
const VCPUS = 16;

const isText =
  (most: number): Check =>
  (value) =>
    typeof value === 'string' && value.length <= most;
const isWhole =
  (most: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
const isBoolean: Check = (value) => typeof value === 'boolean';
const isVcpu = isWhole(VCPUS - 1);
const isNumber = isWhole(Number.MAX_SAFE_INTEGER);
/** An address: what a number holds exactly. */
const isAddress: Check = (value) => typeof value === 'string' && /^0x[0-9a-f]{1,13}$/i.test(value);
const isValue: Check = (value) => typeof value === 'string' && /^0x[0-9a-f]{1,16}$/i.test(value);
const isOneOf =
  (...allowed: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && allowed.includes(value);
const isOr =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);

const SELECTION: Readonly<Record<string, Check>> = {
  client: isText(MAX_NAME_CHARACTERS),
  type: isOneOf('port', 'mmio', 'pci', 'write-protect'),
  first: isAddress,
  last: isAddress,
  direction: isOneOf('read', 'write'),
  vcpu: isVcpu,
};
const isFilter: Check = (value) => hasOnly(value, {}, SELECTION) && isSelection(value as MoveFilterFields);
const isBreakpoint: Check = (value) =>
  hasOnly(
    value,
    { at: isOneOf('pending', 'complete') },
    { ...SELECTION, value: isValue, expression: isText(MAX_EXPRESSION_CHARACTERS) },
  ) && isSelection(value as BreakpointFields);

const MESSAGES: Readonly<Record<PageMessage['kind'], Readonly<Record<string, Check>>>> = {
  hello: { token: isText(MAX_NAME_CHARACTERS) },
  watch: { slots: isBoolean, tables: isBoolean, moves: isOr(isFilter) },
  inspect: { vcpu: isOr(isVcpu) },
  peek: { id: isNumber, client: isNumber },
  type: { text: isText(MAX_TYPED_CHARACTERS) },
  'hold-all': { id: isNumber, pending: isBoolean, complete: isBoolean },
  break: { id: isNumber, breakpoint: isBreakpoint },
  unbreak: { id: isNumber, number: isNumber },
  change: { id: isNumber, vcpu: isVcpu, value: isValue },
  go: { id: isNumber, vcpu: isOr(isVcpu) },
  step: { id: isNumber, vcpu: isVcpu },
  detach: { id: isNumber },
};

export function parsePageMessage(text: string): PageMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isFields(value)) return undefined;
  const kind = value['kind'];
  if (typeof kind !== 'string' || !Object.hasOwn(MESSAGES, kind)) return undefined;
  const fields = MESSAGES[kind as PageMessage['kind']];
  return hasOnly(value, { kind: isText(MAX_NAME_CHARACTERS), ...fields }, {})
    ? (value as unknown as PageMessage)
    : undefined;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** All of `needed`, some of `allowed`, and nothing else. */
function hasOnly(
  value: unknown,
  needed: Readonly<Record<string, Check>>,
  allowed: Readonly<Record<string, Check>>,
): boolean {
  if (!isFields(value)) return false;
  const checks = { ...allowed, ...needed };
  return (
    Object.keys(needed).every((key) => Object.hasOwn(value, key)) &&
    Object.entries(value).every(([key, field]) => Object.hasOwn(checks, key) && checks[key]?.(field) === true)
  );
}

/** The last address only with a first one, and not before it. */
function isSelection({ first, last }: MoveFilterFields): boolean {
  return last === undefined || (first !== undefined && Number(first) <= Number(last));
}
