/**
 * ImportProblem: why a register description cannot be read, before its caller adds the name of the
 * file.
 *
 * Called by: the readers of this folder. importRegisters makes an UpcallError of it.
 */

export class ImportProblem extends Error {
  override readonly name = 'ImportProblem';
  /** From 1. Undefined if the format has no lines: JSON. */
  readonly line: number | undefined;
  /** What to do. Undefined: correct the file. */
  readonly remedy: string | undefined;

  constructor(message: string, line?: number, remedy?: string) {
    super(message);
    this.line = line;
    this.remedy = remedy;
  }
}
