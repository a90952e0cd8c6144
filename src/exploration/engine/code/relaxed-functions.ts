/**
 * Relaxed functions: where in a lowered module a plain access is a relaxed one, to a word that
 * other threads may use by atomic operations at the same time (CodeOptions.relaxed).
 *
 * Called by: suspendable-code.ts.
 */

import type * as TypeScript from 'typescript';
import { functionsOf } from '../change/functions.js';

export type NodeTest = (node: TypeScript.Node) => boolean;

/**
 * Returns the test whether a node is in one of the functions. `paths`: see functionsOf. Throws an
 * Error that begins with GONE if one does not exist.
 */
export function relaxedFunctions(
  ts: typeof TypeScript,
  file: TypeScript.SourceFile,
  paths: readonly string[],
): NodeTest {
  const functions = functionsOf(ts, file);
  const places = paths.map((path) => {
    const found = functions.find((fn) => fn.path === path);
    if (found === undefined)
      throw new Error(`GONE: ${file.fileName}: there is no function ${path}, which is named as relaxed`);
    return found.node;
  });
  return (node) => places.some((fn) => fn.pos <= node.pos && node.end <= fn.end);
}
