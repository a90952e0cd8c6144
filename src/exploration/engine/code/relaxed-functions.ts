/** Relaxed functions: where in a lowered module a plain access is a relaxed one. */

import type * as TypeScript from 'typescript';
import { functionsOf } from '../change/functions.js';

export type NodeTest = (node: TypeScript.Node) => boolean;

/** `paths` are functions of the module. Throws GONE if one does not exist. */
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
