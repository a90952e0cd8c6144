/**
 * Names in scope: the local variables that a place in a function can see, and those of outer
 * functions that a closure uses. With the heap they are a thread's state.
 *
 * Called by: Rewriting (suspendable-code.ts). Variables of the module's top level are left out:
 * they are the same for all threads and must not change once it has run.
 *
 * A name too many makes two equal states differ, which costs states. A name too few would merge
 * states that differ. So these functions err towards too many, for example with shadowed names. Not
 * covered is `for … in`: explored code must not stop in such a loop.
 */

import type * as TypeScript from 'typescript';

type Ts = typeof TypeScript;
type Node = TypeScript.Node;

/** The function that `node` stands in, or undefined at the top of the module. */
export function enclosingFunction(ts: Ts, node: Node): TypeScript.SignatureDeclaration | undefined {
  for (let at = node.parent as Node | undefined; at !== undefined; at = at.parent as Node | undefined)
    if (ts.isFunctionLike(at)) return at;
  return undefined;
}

/**
 * Variables of `fn` that are declared before `node`: its parameters, and those of the blocks around
 * the node.
 */
export function visibleNames(ts: Ts, node: Node, fn: Node): string[] {
  const names = new Set<string>();
  const before = (declaration: Node): boolean => declaration.end <= node.pos || declaration.end <= node.getStart();
  collect(ts, node, fn, before, names);
  return [...names];
}

/**
 * Variables of functions around `fn` that `fn` mentions. Its own may be among them, when the names
 * are the same.
 */
export function capturedNames(ts: Ts, fn: Node): string[] {
  const around = new Set<string>();
  for (let outer = enclosingFunction(ts, fn), inner = fn; outer !== undefined;) {
    collect(ts, inner, outer, () => true, around);
    inner = outer;
    outer = enclosingFunction(ts, outer);
  }
  if (around.size === 0) return [];
  const own = new Set<string>();
  for (const parameter of (fn as TypeScript.SignatureDeclaration).parameters) declaredIn(ts, parameter.name, own);
  const used = new Set<string>();
  const visit = (node: Node): void => {
    if (ts.isIdentifier(node) && around.has(node.text) && !own.has(node.text)) used.add(node.text);
    ts.forEachChild(node, visit);
  };
  visit(fn);
  return [...used];
}

/** Whether `fn` itself, or an arrow function in it, uses `this`. */
export function usesThis(ts: Ts, fn: Node): boolean {
  let found = false;
  const visit = (node: Node): void => {
    if (node.kind === ts.SyntaxKind.ThisKeyword) found = true;
    if (found || (node !== fn && ts.isFunctionLike(node) && !ts.isArrowFunction(node))) return;
    ts.forEachChild(node, visit);
  };
  visit(fn);
  return found;
}

/**
 * Adds the variables of the blocks from `from` out to `fn` that `takes` accepts, and its
 * parameters.
 */
function collect(ts: Ts, from: Node, fn: Node, takes: (declaration: Node) => boolean, into: Set<string>): void {
  const list = (declarations: TypeScript.VariableDeclarationList): void => {
    for (const declaration of declarations.declarations) if (takes(declaration)) declaredIn(ts, declaration.name, into);
  };
  for (let at = from; ; at = at.parent) {
    if (ts.isBlock(at) || ts.isCaseOrDefaultClause(at))
      for (const statement of at.statements) if (ts.isVariableStatement(statement)) list(statement.declarationList);
    if (ts.isForStatement(at) && at.initializer !== undefined && ts.isVariableDeclarationList(at.initializer))
      list(at.initializer);
    // Only inside the loop's body: the iterator and the variable do not exist before.
    if (ts.isForOfStatement(at) && ts.isVariableDeclarationList(at.initializer) && from.pos >= at.statement.pos) {
      into.add(iteratorName(at));
      for (const declaration of at.initializer.declarations) declaredIn(ts, declaration.name, into);
    }
    if (ts.isCatchClause(at) && at.variableDeclaration !== undefined) declaredIn(ts, at.variableDeclaration.name, into);
    if (at === fn) break;
  }
  for (const parameter of (fn as TypeScript.SignatureDeclaration).parameters) declaredIn(ts, parameter.name, into);
}

/** The name of the iterator of a rewritten `for … of`. */
export function iteratorName(loop: TypeScript.ForOfStatement): string {
  return `$i${loop.pos}`;
}

function declaredIn(ts: Ts, name: TypeScript.BindingName, into: Set<string>): void {
  if (ts.isIdentifier(name)) into.add(name.text);
  else for (const element of name.elements) if (!ts.isOmittedExpression(element)) declaredIn(ts, element.name, into);
}
