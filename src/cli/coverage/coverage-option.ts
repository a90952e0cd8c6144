/**
 * `--coverage [FILE]`: the register coverage of a run, as a table or as a file of JSON.
 *
 * Called by: commands/run.ts (the parser) and runSession, at the end of a run.
 */

import { writeFileSync } from 'node:fs';
import { errorText } from '../../io-request/error-text.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { GUEST_NAMES } from '../../vm/guest-library.js';
import type { Reporter } from '../reporter.js';
import type { RunCoverage } from './run-coverage.js';

/** Without `file`, the table is printed. */
export interface CoveragePlan {
  readonly file?: string;
}

/**
 * The plan of the option. Throws OPTION_INVALID if no device is given, and if the file cannot be
 * written or is more likely to be the guest.
 */
export function coveragePlan(option: string | true | undefined, devices: number): CoveragePlan | undefined {
  if (option === undefined) return undefined;
  if (devices === 0)
    throw new UpcallError('OPTION_INVALID', '--coverage has no device to cover', {
      remedy: 'Give a device module as well, for example --device my-device.js@0x500+4',
    });
  if (option === true) return {};
  if ([...GUEST_NAMES, 'debian'].includes(option))
    throw new UpcallError('OPTION_INVALID', `--coverage ${option}: that is a guest, and would be the file`, {
      remedy: `Name the guest before the option: upcall run ${option} --coverage`,
    });
  write(option, '');
  return { file: option };
}

/** Prints the table, or writes the file. Throws OPTION_INVALID if it cannot be written. */
export function reportCoverage({ file }: CoveragePlan, coverage: RunCoverage, reporter: Reporter): void {
  if (file === undefined) reporter.text(coverage.toString());
  else write(file, `${JSON.stringify({ lostMoves: coverage.lostMoves, devices: coverage.devices }, undefined, 2)}\n`);
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new UpcallError('OPTION_INVALID', `--coverage ${file}: ${errorText(error).message}`, {
      remedy: 'Give a path in a folder that can be written: --coverage coverage.json',
      cause: error,
    });
  }
}
