/**
 * `--fault`, `--fault-file` and `--fault-seed`: the faults to inject into the VM, as one plan.
 *
 * Called by: the commands `run`, `trace`, `top`, `serve` and `hsm`; disk-card.ts and net-card.ts,
 * for cards with a thread of their own.
 */

import { Option, type Command } from 'commander';
import type { FaultPlan } from '../fault-injection/fault-rule.js';
import { parseFaultFile, parseFaultRule } from '../fault-injection/fault-rule-text.js';
import { host } from '../host/current.js';
import { FileTooLargeError, sizeText } from '../host/file-too-large.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { UserVm } from '../vm/user-vm.js';

/** Limit of a file of rules: enough for thousands of rules. */
export const MAX_FAULT_FILE_BYTES = 2 ** 20;

export interface FaultOptions {
  /** Valid rules, as the user wrote them: the final table quotes them. */
  readonly fault: readonly string[];
  /** Paths. */
  readonly faultFile: readonly string[];
  /** A u32. */
  readonly faultSeed?: number;
}

/** Adds the options of FaultOptions. `rules`: where the rules are described. */
export function addFaultOptions(command: Command, rules: string): Command {
  return command
    .addOption(
      new Option(
        '--fault <rule>',
        `make chosen requests, interrupts, disk operations or frames fail, ${rules}; repeatable`,
      )
        .argParser(addFault)
        .default([], 'none'),
    )
    .addOption(
      new Option('--fault-file <file>', 'a file of such rules, one per line; repeatable')
        .argParser((file: string, files: readonly string[]) => [...files, file])
        .default([], 'none'),
    )
    .option('--fault-seed <number>', 'seed of their probabilities; the table at the end shows it', parseSeed);
}

/** Adds a rule of the command line. Throws OPTION_INVALID if it is invalid. */
export function addFault(text: string, rules: readonly string[]): string[] {
  parseFaultRule(text);
  return [...rules, text];
}

/** Throws OPTION_INVALID for what is not a u32. */
export function parseSeed(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new UpcallError('OPTION_INVALID', `--fault-seed ${text}: expected a whole number from 0 to ${2 ** 32 - 1}`, {
    remedy: 'Give a number, for example the one that an earlier run printed',
  });
}

/**
 * The plan of all three options, or undefined without them. Rejects with OPTION_INVALID for a file
 * that cannot be read or has an invalid rule, and for a seed without a rule.
 */
export async function faultPlan({ fault, faultFile, faultSeed }: FaultOptions): Promise<FaultPlan | undefined> {
  if (fault.length === 0 && faultFile.length === 0) {
    if (faultSeed === undefined) return undefined;
    throw new UpcallError('OPTION_INVALID', '--fault-seed has no effect without a fault rule', {
      remedy: 'Add --fault or --fault-file',
    });
  }
  const files = await Promise.all(faultFile.map(async (name) => parseFaultFile(await readRules(name), name)));
  return { rules: [...fault, ...files.flat()], ...(faultSeed === undefined ? {} : { seed: faultSeed }) };
}

async function readRules(name: string): Promise<string> {
  try {
    const bytes = await host.readFile(name, { fileBytes: MAX_FAULT_FILE_BYTES, streamBytes: MAX_FAULT_FILE_BYTES });
    return new TextDecoder().decode(bytes);
  } catch (error) {
    const reason =
      error instanceof FileTooLargeError
        ? `more than ${sizeText(error.limitBytes)}`
        : error instanceof Error && 'code' in error
          ? String(error.code)
          : String(error);
    throw new UpcallError('OPTION_INVALID', `cannot read ${name} (${reason})`, {
      remedy: 'Give a file of fault rules, one per line',
      cause: error,
    });
  }
}

/** Throws OPTION_INVALID if a fault rule selects the card, which has a thread of its own. */
export function expectNoRule(vm: UserVm, kind: 'disk' | 'net', name: string): void {
  if (vm.faults?.hasRuleFor(kind, name) !== true) return;
  throw new UpcallError('OPTION_INVALID', `a fault rule selects ${name}, which has a thread of its own`, {
    remedy: 'Faults of disks and networks happen in the Service VM’s thread: remove ",thread"',
  });
}
