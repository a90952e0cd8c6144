/**
 * The options that `upcall trace` has beyond those of `upcall run`: which requests, how many, into
 * which files.
 */

import { Option, type Command } from 'commander';
import { UpcallError } from '../../io-request/upcall-error.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import type { DirectionName, IoRequest } from '../../io-request/io-request.js';
import type { MoveFilter } from '../../trace/move-filter.js';
import type { RunOptions } from './run-options.js';

export interface TraceOptions extends RunOptions {
  readonly perfetto?: string;
  readonly jsonl?: string;
  readonly parquet?: string;
  readonly client?: string;
  readonly type?: IoRequest['type'];
  readonly address?: { readonly from: number; readonly to: number };
  readonly vcpu?: number;
  readonly direction?: DirectionName;
  readonly limit?: number;
}

const TYPES: readonly IoRequest['type'][] = ['port', 'mmio', 'pci', 'write-protect'];
const DIRECTIONS: readonly DirectionName[] = ['read', 'write'];

export function addTraceOptions(command: Command): Command {
  return command
    .option('--perfetto <file>', 'for ui.perfetto.dev: tracks for vCPUs and clients, slices for stages, arrows', file)
    .option('--jsonl <file>', 'JSON Lines, an object for each move; - for standard output', (path: string) => path)
    .option('--parquet <file>', 'Parquet, a row for each move, for DuckDB and others', file)
    .option('--client <name>', 'only requests that this client or device gets')
    .addOption(new Option('--type <type>', 'only requests of this type').choices(TYPES))
    .option('--address <from-to>', 'only these ports or addresses, for example 0x3f8-0x3ff', parseAddresses)
    .option('--vcpu <number>', 'only requests of this vCPU', (text) => parseCount('--vcpu', text, 0, SLOT_COUNT - 1))
    .addOption(new Option('--direction <direction>', 'only reads or only writes').choices(DIRECTIONS))
    .option('--limit <moves>', 'trace so many moves, then only run', (text) => parseCount('--limit', text, 1, 2 ** 53));
}

export function filterOf({ client, type, address, vcpu, direction }: TraceOptions): MoveFilter {
  return {
    ...(client === undefined ? {} : { client }),
    ...(type === undefined ? {} : { type }),
    ...(address === undefined ? {} : { address }),
    ...(vcpu === undefined ? {} : { vcpu }),
    ...(direction === undefined ? {} : { direction }),
  };
}

/** `0x3f8-0x3ff`, or one address; both ends are inclusive. */
export function parseAddresses(text: string): { readonly from: number; readonly to: number } {
  const match = /^(0x[0-9a-f]{1,13}|\d{1,15})(?:-(0x[0-9a-f]{1,13}|\d{1,15}))?$/i.exec(text.trim());
  const from = Number(match?.[1] ?? NaN);
  const to = Number(match?.[2] ?? from);
  if (from <= to) return { from, to };
  throw new UpcallError('OPTION_INVALID', `--address ${text} is no range of addresses`, {
    remedy: 'Give the first and the last, for example 0x3f8-0x3ff, or one',
  });
}

export function parseCount(option: string, text: string, min: number, max: number): number {
  const number = /^\d{1,16}$/.test(text.trim()) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  throw new UpcallError('OPTION_INVALID', `${option} ${text} is no number that fits`, {
    remedy: max > 1e6 ? `Give a whole number from ${min} on` : `Give a whole number from ${min} to ${max}`,
  });
}

function file(path: string): string {
  if (path !== '-') return path;
  throw new UpcallError('OPTION_INVALID', 'only --jsonl goes to standard output', { remedy: 'Give a file' });
}
