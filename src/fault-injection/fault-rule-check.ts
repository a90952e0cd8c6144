/**
 * checkedRule: makes a rule of the fields that its words gave, if they fit together. A line, a disk
 * and a network card each have a word that names them. A rule without such a word selects requests.
 *
 * Called by: fault-rule-text.ts; FaultInjection, for rules that are data.
 */

import { UpcallError } from '../io-request/upcall-error.js';
import { INTERRUPT_LINES } from '../hypervisor/interrupt-lines.js';
import type { FaultRule } from './fault-rule.js';
import { WordError, type Part } from './fault-rule-words.js';

/** A kind of rule: the fields that it may have, besides those of FaultTiming, and its effects. */
interface Kind {
  readonly noun: string;
  readonly fields: readonly string[];
  readonly effects: readonly string[];
  /** A rule of this kind, for messages. */
  readonly example: string;
}

const KINDS: Readonly<Record<FaultRule['kind'], Kind>> = {
  line: { noun: 'a line', fields: ['line'], effects: ['lose', 'duplicate', 'delay'], example: 'line=4: lose every=5' },
  disk: {
    noun: 'a disk',
    fields: ['disk', 'operation', 'sectors'],
    effects: ['error', 'slow', 'drop', 'flip'],
    example: 'disk=virtio-blk read p=0.01: error',
  },
  net: {
    noun: 'a network card',
    fields: ['net', 'way'],
    effects: ['drop', 'duplicate', 'delay', 'flip'],
    example: 'net=virtio-net receive: drop every=5',
  },
  request: {
    noun: 'a request',
    fields: ['client', 'type', 'address', 'bus', 'device', 'function', 'register', 'direction', 'size', 'vcpu'],
    effects: ['ones', 'value', 'flip', 'stale', 'drop', 'delay', 'slow', 'crash', 'remove'],
    example: 'client=uart16550 read: flip',
  },
};

const TIMING_FIELDS = ['fromMs', 'untilMs', 'after', 'every', 'probability', 'times'];

/** `effect`: the kind of the effect. `column`: its position, for messages. Throws WordError. */
export function checkedRule(parts: Part, effect: string, column: number): FaultRule {
  const kind = (['line', 'disk', 'net'] as const).find((name) => name in parts) ?? 'request';
  const { noun, fields, effects } = KINDS[kind];
  if (!effects.includes(effect)) {
    const other = Object.values(KINDS).find((one) => one.effects.includes(effect));
    throw new WordError(
      column,
      `${effect} does not apply to ${noun}`,
      `Use one of ${effects.join(', ')}, or write it like "${other?.example}"`,
    );
  }
  const rule = kind === 'disk' ? withOperation(parts) : parts;
  const extra = Object.keys(rule).find((name) => ![...fields, ...TIMING_FIELDS, 'effect'].includes(name));
  if (extra !== undefined) throw new WordError(1, `${noun} has no ${extra}`, `Remove ${extra}`);
  switch (kind) {
    case 'request':
      return { kind, ...requestOf(rule) } as unknown as FaultRule;
    case 'line':
      if ((rule['line'] as number) >= INTERRUPT_LINES)
        throw new WordError(
          1,
          `line ${rule['line'] as number} does not exist`,
          `Lines are 0 to ${INTERRUPT_LINES - 1}`,
        );
      break;
    case 'disk':
      if (rule['operation'] === 'flush' && 'sectors' in rule)
        throw new WordError(1, 'a flush has no sectors', 'Remove sector');
      break;
    case 'net':
  }
  // Only the fault of a request has a mask. On a disk or a network the bit is random.
  if ('mask' in (rule['effect'] as object))
    throw new WordError(column, `${noun} has no mask`, 'Write flip alone: it flips a random bit');
  return { kind, ...rule } as unknown as FaultRule;
}

/**
 * Throws OPTION_INVALID for a rule that is data if its kind, fields and effect do not fit together,
 * or if there is no such line. Other values are not checked.
 */
export function expectRule(rule: FaultRule): void {
  const { kind, ...parts } = rule as unknown as Part;
  const { kind: effect } = (parts['effect'] ?? {}) as { readonly kind?: unknown };
  try {
    const checked = checkedRule(parts, String(effect), 1);
    if (checked.kind !== kind) throw new WordError(1, `its kind is ${String(kind)}`, `Write kind: '${checked.kind}'`);
  } catch (error) {
    if (!(error instanceof WordError)) throw error;
    const { hint } = error;
    throw new UpcallError('OPTION_INVALID', `fault rule ${JSON.stringify(rule, withoutBigInts)}: ${error.message}`, {
      ...(hint === undefined ? {} : { remedy: hint }),
    });
  }
}

/** JSON has none. */
function withoutBigInts(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

/** `read` and `write` are directions of requests, and operations of a disk like `flush`. */
function withOperation(parts: Part): Part {
  const { direction, ...rest } = parts;
  if (direction === undefined) return parts;
  if ('operation' in rest)
    throw new WordError(
      1,
      `an operation is not both ${direction as string} and ${rest['operation'] as string}`,
      'Write two rules',
    );
  return { ...rest, operation: direction };
}

/** A register implies PCI. */
function requestOf(parts: Part): Part {
  if (!('register' in parts)) return parts;
  if ('type' in parts && parts['type'] !== 'pci')
    throw new WordError(1, 'only a PCI configuration access has a register', 'Remove register, or write pci');
  return { ...parts, type: 'pci' };
}
