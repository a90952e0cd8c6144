/**
 * The TypeScript compiler, an optional peer dependency: only the explorer needs it. Called by:
 * explore-main.ts, tests, and users of `upcall/exploration`.
 */

import { createRequire } from 'node:module';
import type * as TypeScript from 'typescript';

export type Compiler = typeof TypeScript;

const REMEDY = 'npm install --save-dev typescript';

/** The `typescript` package is not installed where the explorer can find it. */
export class CompilerMissing extends Error {
  override readonly name = 'CompilerMissing';
  readonly code = 'COMPILER_MISSING';
  readonly remedy = REMEDY;

  constructor(cause: unknown) {
    super(`the explorer needs the package typescript, which is not installed: ${REMEDY}`, { cause });
  }
}

/**
 * Throws CompilerMissing. `load` is the module loader, for tests. The compiler is CommonJS and is
 * loaded as that: an `import` would search it for exports for half a second.
 */
export function loadCompiler(load: (name: string) => unknown = createRequire(import.meta.url)): Compiler {
  try {
    return load('typescript') as Compiler;
  } catch (error) {
    throw new CompilerMissing(error);
  }
}
