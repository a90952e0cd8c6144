/**
 * WebAssembly modules that V8 optimises later than others, or never.
 *
 * V8 compiles a function with its baseline compiler, Liftoff. It counts the bytes of machine code
 * that the function runs through, and optimises it in other threads when they exceed a budget. A
 * large function exceeds it after some twenty calls.
 *
 * V8 reads its flags when it compiles a module. They are of the process: a module that another
 * thread compiles at the same moment may get the wrong ones, and is slower then.
 *
 * Called by: node-host.ts.
 */

import { setFlagsFromString } from 'node:v8';

/**
 * The flags of V8 while a module is compiled that is never optimised. The first two are read when a
 * function is compiled, which the third makes at once. V8 has them on by default, from Node 20 to
 * 24.
 */
const FLAGS = ['wasm-dynamic-tiering', 'wasm-tier-up', 'wasm-lazy-compilation'] as const;

/** The budget of each function of a module that is optimised late, in bytes of machine code. */
const LATE_BUDGET = 100_000_000;
/** V8's own default up to Node 20, which other modules have. Exported for its test. */
export const DEFAULT_BUDGET = 1_800_000;
/** Since version 12 V8's own default is seven times as much. Exported for its test. */
export const HAS_SMALL_BUDGET = parseInt(process.versions.v8) < 12;

/**
 * Who chose how V8 compiles WebAssembly when Node was started keeps that. V8's flags cannot be
 * read, so what a program sets later by `setFlagsFromString` is lost.
 */
const isChosen = [...process.execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(' ')].some((argument) =>
  /^--[\w-]*(wasm|liftoff)/.test(argument),
);

/** The module is never optimised. Throws what `new WebAssembly.Module` throws. */
export function compileBaseline(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  const set = (prefix: string): void => {
    for (const flag of FLAGS) setFlagsFromString(`--${prefix}${flag}`);
  };
  return compile(
    bytes,
    () => set('no-'),
    () => set(''),
  );
}

/**
 * The module's functions are optimised late, on engines that would optimise large ones too early.
 * Throws what `new WebAssembly.Module` throws.
 */
export function compileOptimisedLate(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  if (!HAS_SMALL_BUDGET) return new WebAssembly.Module(bytes);
  const set = (budget: number): void => setFlagsFromString(`--wasm-tiering-budget=${budget}`);
  return compile(
    bytes,
    () => set(LATE_BUDGET),
    () => set(DEFAULT_BUDGET),
  );
}

function compile(bytes: Uint8Array<ArrayBuffer>, setFlags: () => void, resetFlags: () => void): WebAssembly.Module {
  if (isChosen) return new WebAssembly.Module(bytes);
  setFlags();
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    resetFlags();
  }
}
