/**
 * WebAssembly modules that V8 compiles with its baseline compiler, Liftoff, and never optimises.
 *
 * V8 counts the bytes of machine code that a function runs through, and optimises it in other
 * threads when they exceed a budget. A large function exceeds it after some twenty calls.
 *
 * Called by: node-host.ts.
 */

import { setFlagsFromString } from 'node:v8';

/**
 * The flags of V8 while such a module is compiled. The first two are read when a function is
 * compiled, which the third makes at once. V8 has them on by default, from Node 20 to 24.
 */
const FLAGS = ['wasm-dynamic-tiering', 'wasm-tier-up', 'wasm-lazy-compilation'] as const;

/**
 * Who chose how V8 compiles WebAssembly when Node was started keeps that. V8's flags cannot be
 * read, so what a program sets later by `setFlagsFromString` is lost.
 */
const isChosen = /wasm|liftoff/.test([...process.execArgv, process.env['NODE_OPTIONS']].join(' '));

/**
 * Throws what `new WebAssembly.Module` throws.
 *
 * The flags are of the process. A module that another thread compiles at the same moment may get
 * the wrong ones, and is slower then.
 */
export function compileBaseline(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  if (isChosen) return new WebAssembly.Module(bytes);
  for (const flag of FLAGS) setFlagsFromString(`--no-${flag}`);
  try {
    return new WebAssembly.Module(bytes);
  } finally {
    for (const flag of FLAGS) setFlagsFromString(`--${flag}`);
  }
}
