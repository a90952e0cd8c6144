/**
 * `--fault`, `--fault-file` and `--fault-seed`: what goes wrong in the VM on purpose, as one plan.
 */

import { readFile } from 'node:fs/promises';
import type { FaultPlan } from '../fault-injection/fault-rule.js';
import { parseFaultFile, parseFaultRule } from '../fault-injection/fault-rule-text.js';
import { UpcallError } from '../io-request/upcall-error.js';

export interface FaultOptions {
  /** Rules that can be read; in the words of their author, for the table. */
  readonly fault: readonly string[];
  readonly faultFile: readonly string[];
  readonly faultSeed?: number;
}

/** Adds a rule of the command line. Throws OPTION_INVALID when it cannot be read. */
export function addFault(text: string, rules: readonly string[]): string[] {
  parseFaultRule(text);
  return [...rules, text];
}

export function parseSeed(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new UpcallError('OPTION_INVALID', `--fault-seed ${text} is no seed`, {
    remedy: 'Give a whole number below 2^32, for example the one that an earlier run printed',
  });
}

/**
 * The plan of all the options; undefined when there is none. Throws OPTION_INVALID for a file that
 * cannot be read.
 */
export async function faultPlan({ fault, faultFile, faultSeed }: FaultOptions): Promise<FaultPlan | undefined> {
  if (fault.length === 0 && faultFile.length === 0) {
    if (faultSeed === undefined) return undefined;
    throw new UpcallError('OPTION_INVALID', '--fault-seed without a fault', {
      remedy: 'Give --fault or --fault-file too',
    });
  }
  const files = await Promise.all(faultFile.map(async (name) => parseFaultFile(await readRules(name), name)));
  return { rules: [...fault, ...files.flat()], ...(faultSeed === undefined ? {} : { seed: faultSeed }) };
}

async function readRules(name: string): Promise<string> {
  try {
    return await readFile(name, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UpcallError('OPTION_INVALID', `cannot read ${name} (${reason})`, {
      remedy: 'Give a file of fault rules, one in a line',
      cause: error,
    });
  }
}
