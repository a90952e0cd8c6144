/**
 * `--registers FILE[,BLOCK]`: a register description, and the peripheral or address map in it. The
 * name of a file may have commas: the last one parts it from BLOCK unless all of it is a file.
 *
 * Called by: `upcall new device`.
 */

import { basename } from 'node:path';
import { importRegisters, type ImportedRegisters } from '../device-model/register-import/import-registers.js';
import { host } from '../host/current.js';
import { FileTooLargeError, sizeText } from '../host/file-too-large.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { moduleFileProblem } from './module-file.js';

/** The largest files of the public collections have 15 MB. */
export const MAX_REGISTER_FILE_BYTES = 64 * 2 ** 20;

/** Rejects with OPTION_INVALID, or as `importRegisters` does. */
export async function readRegisters(text: string): Promise<ImportedRegisters> {
  const comma = text.lastIndexOf(',');
  const isWhole = comma < 0 || moduleFileProblem(text) === undefined;
  const file = isWhole ? text : text.slice(0, comma);
  const block = isWhole ? undefined : text.slice(comma + 1);
  return importRegisters(await contents(file), { file: basename(file), ...(block === undefined ? {} : { block }) });
}

async function contents(file: string): Promise<string> {
  const limits = { fileBytes: MAX_REGISTER_FILE_BYTES, streamBytes: MAX_REGISTER_FILE_BYTES };
  const problem =
    moduleFileProblem(file) ??
    (await host.readFile(file, limits).catch((error: unknown) => {
      if (error instanceof FileTooLargeError) return `larger than ${sizeText(MAX_REGISTER_FILE_BYTES)}`;
      return error instanceof Error ? error.message : String(error);
    }));
  if (typeof problem !== 'string') return new TextDecoder().decode(problem);
  throw new UpcallError('OPTION_INVALID', `--registers ${file}: ${problem}`, {
    remedy: 'Give a CMSIS-SVD file and a peripheral in it, or the JSON of systemrdl-compiler: chip.svd,TIMER0',
  });
}
