/**
 * Functions of a module by their paths, such as `function`, `Class.method`, `Class.#method`,
 * `Class.get name`, `Class.constructor` and `object.property`.
 *
 * Called by: code-change.ts and code/relaxed-functions.ts, to find the function that is named.
 */

import type * as TypeScript from 'typescript';

type Ts = typeof TypeScript;
type Node = TypeScript.Node;

export interface NamedFunction {
  readonly path: string;
  readonly node: Node;
}

/** All of them in source order, those inside of others too (`outer.inner`). */
export function functionsOf(ts: Ts, file: TypeScript.SourceFile): NamedFunction[] {
  const functions: NamedFunction[] = [];
  const visit = (node: Node, path: string): void => {
    const name = nameOf(ts, file, node);
    const own = name === undefined ? path : path === '' ? name : `${path}.${name}`;
    if (name !== undefined && isFunction(ts, node)) functions.push({ path: own, node });
    ts.forEachChild(node, (child) => visit(child, own));
  };
  visit(file, '');
  return functions;
}

/** The paths that share most with `path`, best first. */
export function nearest(path: string, paths: readonly string[]): string[] {
  const wanted = bigramsOf(path);
  const score = (other: string): number => {
    const own = bigramsOf(other);
    return [...own].filter((pair) => wanted.has(pair)).length / (own.size + wanted.size);
  };
  return [...paths].sort((one, other) => score(other) - score(one)).slice(0, 5);
}

/**
 * Pairs of neighbouring letters: two paths that share many are likely one that was renamed. The
 * last letter stands alone, so that no path has none.
 */
function bigramsOf(text: string): ReadonlySet<string> {
  const lower = text.toLowerCase();
  return new Set(Array.from(lower, (_, at) => lower.slice(at, at + 2)));
}

/** The name that a node adds to the paths of what is in it. */
function nameOf(ts: Ts, file: TypeScript.SourceFile, node: Node): string | undefined {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  if (ts.isGetAccessor(node)) return `get ${node.name.getText(file)}`;
  if (ts.isSetAccessor(node)) return `set ${node.name.getText(file)}`;
  if (ts.isClassLike(node) || ts.isFunctionDeclaration(node)) return node.name?.text;
  if (ts.isMethodDeclaration(node)) return node.name.getText(file);
  if ((ts.isVariableDeclaration(node) || ts.isPropertyDeclaration(node)) && holdsCode(ts, node.initializer))
    return node.name.getText(file);
  if (ts.isPropertyAssignment(node) && holdsCode(ts, node.initializer)) return node.name.getText(file);
  return undefined;
}

/** Whether a variable's value is a closure, or an object or class that may have some. */
function holdsCode(ts: Ts, initializer: Node | undefined): boolean {
  if (initializer === undefined) return false;
  const value = bare(ts, initializer);
  return isClosure(ts, value) || ts.isObjectLiteralExpression(value) || isNamelessClass(ts, value);
}

/** A class without a name of its own has the variable's. One with a name is found by that. */
function isNamelessClass(ts: Ts, value: Node): boolean {
  return ts.isClassExpression(value) && value.name === undefined;
}

/** The value without parentheses and types around it: `{ … } as const`, `(…) satisfies Table`. */
function bare(ts: Ts, value: Node): Node {
  let inner = value;
  while (ts.isParenthesizedExpression(inner) || ts.isAsExpression(inner) || ts.isSatisfiesExpression(inner))
    inner = inner.expression;
  return inner;
}

function isFunction(ts: Ts, node: Node): boolean {
  if (ts.isFunctionLike(node)) return (node as TypeScript.FunctionLikeDeclaration).body !== undefined;
  const isHolder = ts.isVariableDeclaration(node) || ts.isPropertyDeclaration(node) || ts.isPropertyAssignment(node);
  return isHolder && node.initializer !== undefined && isClosure(ts, bare(ts, node.initializer));
}

function isClosure(ts: Ts, node: Node): boolean {
  return ts.isArrowFunction(node) || ts.isFunctionExpression(node);
}
