/**
 * importRegisters: a register map from a description in a file: CMSIS-SVD (XML), or SystemRDL
 * compiled to JSON.
 *
 * Called by: `upcall new device --registers`, and an author's own tools through `upcall/testing`.
 * The XML parser is loaded by the first call that needs it.
 */

import { UpcallError } from '../../io-request/upcall-error.js';
import type { RegisterDescription, RegisterMap } from '../register-map.js';
import { mapRegisters, type ChosenBlock } from './described-register.js';
import { ImportProblem } from './import-problem.js';

/** Names of an error message. */
const MAX_NAMES = 20;

export interface ImportOptions {
  /** Of the file, for messages and the map's `source`. Default: `registers`. */
  readonly file?: string;
  /**
   * The peripheral of an SVD file, or the address map of a SystemRDL file (`inst_name`, below the
   * outermost one's children with dots). Default: the only peripheral, or the outermost map.
   */
  readonly block?: string;
}

export interface ImportedRegisters {
  /** The peripheral's or the address map's. */
  readonly name: string;
  readonly meaning: string;
  /** In the order of their offsets. */
  readonly map: RegisterMap;
  /** In bytes, from offset 0 to the end of the last register. */
  readonly length: number;
  /** What the map does not have, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Returns the registers of one block of a description, whose format its first character shows.
 * Rejects with REGISTERS_INVALID, which names the file, the line of an SVD file, the element and
 * what to do.
 */
export async function importRegisters(
  text: string,
  { file = 'registers', block }: ImportOptions = {},
): Promise<ImportedRegisters> {
  try {
    const { blocks, found } = await read(text.replace(/^\uFEFF/, ''), block);
    if (found === undefined) throw notChosen(blocks, block);
    const { name, meaning, source, registers } = found;
    if (registers.length === 0) throw new ImportProblem(`${name} has no registers`, undefined, 'Choose another one');
    const mapped = distinct(registers.flatMap(mapRegisters)).sort((a, b) => a.offset - b.offset);
    const end = mapped.reduce((most, { offset, size }) => Math.max(most, offset + size), 0);
    return {
      name,
      meaning,
      map: { source: `${file}, ${source}`, registers: mapped },
      length: end,
      notes: found.notes,
    };
  } catch (error) {
    if (!(error instanceof ImportProblem)) throw error;
    const { line, message, remedy = 'Correct the file, or leave this element out' } = error;
    throw new UpcallError('REGISTERS_INVALID', `${file}${line === undefined ? '' : `:${line}`}: ${message}`, {
      remedy,
    });
  }
}

async function read(text: string, block: string | undefined): Promise<ChosenBlock> {
  const first = text.trimStart()[0];
  // Loaded here: most runs of the command need neither.
  if (first === '<') return (await import('./read-svd.js')).readSvd(text, block);
  if (first === '{') return (await import('./read-rdl-json.js')).readRdlJson(text, block);
  throw new ImportProblem(
    'the file is neither XML nor a JSON object',
    undefined,
    'Give a CMSIS-SVD file, or the JSON of systemrdl-compiler',
  );
}

function notChosen(blocks: readonly string[], block: string | undefined): ImportProblem {
  const names =
    blocks.slice(0, MAX_NAMES).join(', ') + (blocks.length > MAX_NAMES ? `, … (${blocks.length} in all)` : '');
  const what = block === undefined ? `it has ${blocks.length} peripherals` : `it has no ${block}`;
  return new ImportProblem(what, undefined, `Name one behind the file, with a comma: ${names}`);
}

/** A second register of one name gets a number. */
function distinct(registers: readonly RegisterDescription[]): RegisterDescription[] {
  const taken = new Set<string>();
  return registers.map((register) => {
    let { name } = register;
    for (let number = 2; taken.has(name); number++) name = `${register.name}_${number}`;
    taken.add(name);
    return { ...register, name };
  });
}
