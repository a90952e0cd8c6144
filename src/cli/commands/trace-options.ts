/**
 * The options of `upcall trace` beyond those of `upcall run`: which moves (changes of a slot's
 * state), how many of them, and which files.
 *
 * Called by: trace.ts.
 */

import { Option, type Command } from 'commander';
import { UpcallError } from '../../io-request/upcall-error.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import type { DirectionName, IoRequest } from '../../io-request/io-request.js';
import type { MoveFilter } from '../../trace/move-filter.js';
import { parseCount } from '../option-values.js';
import type { RunOptions } from './run-options.js';

export interface TraceOptions extends RunOptions {
  readonly perfetto?: string;
  readonly jsonl?: string;
  readonly parquet?: string;
  readonly client?: string;
  readonly type?: IoRequest['type'];
  /** Both ends are inclusive. */
  readonly address?: { readonly from: number; readonly to: number };
  readonly vcpu?: number;
  readonly direction?: DirectionName;
  readonly limit?: number;
  /** Default: true without a filter of requests. */
  readonly interrupts?: boolean;
}

const TYPES: readonly IoRequest['type'][] = ['port', 'mmio', 'pci', 'write-protect'];
const DIRECTIONS: readonly DirectionName[] = ['read', 'write'];

export function addTraceOptions(command: Command): Command {
  return command
    .option('--perfetto <file>', 'for ui.perfetto.dev: tracks for vCPUs and clients, slices for stages, arrows', file)
    .option('--jsonl <file>', 'JSON Lines, one object per move; - for standard output', (path: string) => path)
    .option('--parquet <file>', 'Parquet, one row per move, for DuckDB and others', file)
    .option('--client <name>', 'only requests of this client or device')
    .addOption(new Option('--type <type>', 'only requests of this type').choices(TYPES))
    .option('--address <from-to>', 'only these ports or addresses, for example 0x3f8-0x3ff', parseAddresses)
    .option('--vcpu <number>', 'only requests of this vCPU', (text) => parseCount('--vcpu', text, 0, SLOT_COUNT - 1))
    .addOption(new Option('--direction <direction>', 'only reads or only writes').choices(DIRECTIONS))
    .option('--interrupts', 'also interrupts, which a selection of requests leaves out')
    .option('--no-interrupts', 'only moves')
    .option('--limit <moves>', 'stop tracing after this many moves; the guest runs on', (text) =>
      parseCount('--limit', text, 1, 2 ** 53),
    );
}

/** The filter that the options describe. */
export function filterOf({ client, type, address, vcpu, direction }: TraceOptions): MoveFilter {
  return {
    ...(client === undefined ? {} : { client }),
    ...(type === undefined ? {} : { type }),
    ...(address === undefined ? {} : { address }),
    ...(vcpu === undefined ? {} : { vcpu }),
    ...(direction === undefined ? {} : { direction }),
  };
}

/** Parses `0x3f8-0x3ff` (both ends inclusive) or one address. Throws OPTION_INVALID. */
export function parseAddresses(text: string): { readonly from: number; readonly to: number } {
  const match = /^(0x[0-9a-f]{1,13}|\d{1,15})(?:-(0x[0-9a-f]{1,13}|\d{1,15}))?$/i.exec(text.trim());
  const from = Number(match?.[1] ?? NaN);
  const to = Number(match?.[2] ?? from);
  if (from <= to) return { from, to };
  throw new UpcallError('OPTION_INVALID', `--address ${text}: expected an address or a range of addresses`, {
    remedy: 'Give the first and the last address, for example 0x3f8-0x3ff, or one address',
  });
}

/** Returns the path of a file. Throws OPTION_INVALID for `-`, standard output. */
function file(path: string): string {
  if (path !== '-') return path;
  throw new UpcallError('OPTION_INVALID', 'only --jsonl can write to standard output', {
    remedy: 'Give the path of a file',
  });
}
