/**
 * Selector: names one node of a function's syntax tree by its kind and by single tokens in it.
 *
 * Example: in `if (this.#cell.state !== EMPTY) return;`, `condition('state')` is the condition,
 * `binary('!==')` the comparison, and `statement('return')` the return.
 *
 * Called by: the lists of adaptations, defects and mutants, which name what to change;
 * code-change.ts, which finds the node.
 * Callers must: give single tokens (a name, a private name with its `#`, a literal, an operator). A
 * quoted piece of source would break at each reformatting, a token breaks only at a rename of
 * itself.
 */

import type * as TypeScript from 'typescript';

type Ts = typeof TypeScript;
type Node = TypeScript.Node;

export type SelectorKind =
  | 'statement'
  | 'if'
  | 'loop'
  | 'call'
  | 'binary'
  | 'operand'
  | 'conditional'
  | 'condition'
  | 'returned'
  | 'initial'
  | 'declared'
  | 'access'
  | 'literal';

export interface Selector {
  readonly kind: SelectorKind;
  /**
   * A called function's name, an operator, a declared name or a number, for the kinds that have
   * one.
   */
  readonly head?: string;
  /** Each occurs in the node, in any order. A token of a string is its text without quotes. */
  readonly tokens: readonly string[];
  /** The node is the nth of `of` nodes in source order. Default: 1 of 1. */
  readonly nth?: readonly [nth: number, of: number];
}

/** The innermost statement in which all the tokens occur. */
export const statement = (...tokens: string[]): Selector => ({ kind: 'statement', tokens });

/** An `if` statement whose condition has the tokens. Parts: $1 condition, $2 then, $3 else. */
export const ifStatement = (...tokens: string[]): Selector => ({ kind: 'if', tokens });

/** The innermost `for`, `while` or `do` statement that has the tokens. */
export const loop = (...tokens: string[]): Selector => ({ kind: 'loop', tokens });

/** A call of a function or method. Parts: $0 the receiver, $1… the arguments, $* all of them. */
export const call = (head: string, ...tokens: string[]): Selector => ({ kind: 'call', head, tokens });

/** The innermost binary expression with this operator. Parts: $1 left, $2 right. */
export const binary = (head: string, ...tokens: string[]): Selector => ({ kind: 'binary', head, tokens });

/** The innermost operand in a chain of one operator, such as `a || b || c`. */
export const operand = (head: string, ...tokens: string[]): Selector => ({ kind: 'operand', head, tokens });

/** `a ? b : c` whose condition has the tokens. Parts: $1, $2, $3. */
export const conditional = (...tokens: string[]): Selector => ({ kind: 'conditional', tokens });

/** The condition of an `if` or a loop. */
export const condition = (...tokens: string[]): Selector => ({ kind: 'condition', tokens });

/** The expression of a `return` statement. */
export const returned = (...tokens: string[]): Selector => ({ kind: 'returned', tokens });

/** The value that a variable or field of this name is declared with. */
export const initial = (head: string, ...tokens: string[]): Selector => ({ kind: 'initial', head, tokens });

/** A name in a destructuring pattern. */
export const declared = (head: string): Selector => ({ kind: 'declared', head, tokens: [] });

/** The innermost `a.b` or `a[b]` with the tokens. Parts: $0 the object, $1 the index. */
export const access = (...tokens: string[]): Selector => ({ kind: 'access', tokens });

/** A number, as it is written in the code. */
export const literal = (head: string): Selector => ({ kind: 'literal', head, tokens: [] });

/**
 * The `n`th of exactly `of` such nodes, counted from 1 in source order. `nth(x, 2, 2)` is the
 * second of two: if one is added or removed, the selector no longer fits.
 */
export const nth = (selector: Selector, n: number, of: number): Selector => ({ ...selector, nth: [n, of] });

export function describeSelector({ kind, head, tokens, nth: place }: Selector): string {
  const words = [head, ...tokens].filter((word) => word !== undefined).join(' … ');
  return `${kind}${words === '' ? '' : ` with ${words}`}${place === undefined ? '' : `, ${place.join(' of ')}`}`;
}

/** Every node in `root` that the selector describes, in source order. Ignores `nth`. */
export function select(ts: Ts, file: TypeScript.SourceFile, root: Node, selector: Selector): Node[] {
  const found: Node[] = [];
  const visit = (node: Node): void => {
    const match = matched(ts, file, node, selector);
    if (match !== undefined) found.push(match);
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(root, visit);
  return isInnermost(selector)
    ? found.filter((node) => !found.some((other) => other !== node && isInside(other, node)))
    : found;
}

/** What `$0`, `$1`, … of a replacement stand for. */
export function partsOf(ts: Ts, file: TypeScript.SourceFile, node: Node): readonly (string | undefined)[] {
  const text = (part: Node | undefined): string | undefined => part?.getText(file);
  if (ts.isCallExpression(node)) {
    const receiver = ts.isPropertyAccessExpression(node.expression) ? node.expression.expression : undefined;
    return [receiver, ...node.arguments].map(text);
  }
  if (ts.isBinaryExpression(node)) return [undefined, node.left, node.right].map(text);
  if (ts.isConditionalExpression(node)) return [undefined, node.condition, node.whenTrue, node.whenFalse].map(text);
  if (ts.isIfStatement(node)) return [undefined, node.expression, node.thenStatement, node.elseStatement].map(text);
  if (ts.isElementAccessExpression(node)) return [node.expression, node.argumentExpression].map(text);
  if (ts.isPropertyAccessExpression(node)) return [text(node.expression)];
  return [];
}

/** The texts of all tokens in a node, of string literals without their quotes. */
export function tokensOf(ts: Ts, file: TypeScript.SourceFile, node: Node): ReadonlySet<string> {
  const tokens = new Set<string>();
  const visit = (at: Node): void => {
    const children = at.getChildren(file);
    if (children.length === 0) tokens.add(ts.isStringLiteral(at) ? at.text : at.getText(file));
    else children.forEach(visit);
  };
  visit(node);
  return tokens;
}

/** The node, or the part of it, that the selector describes. */
function matched(ts: Ts, file: TypeScript.SourceFile, node: Node, { kind, head, tokens }: Selector): Node | undefined {
  /** `result` if the node is of the kind and `searched`, a part of it, has all the tokens. */
  const taken = (isKind: boolean, searched: Node | undefined, result = searched): Node | undefined => {
    if (!isKind || searched === undefined) return undefined;
    if (tokens.length === 0) return result;
    const present = tokensOf(ts, file, searched);
    return tokens.every((token) => present.has(token)) ? result : undefined;
  };
  const text = (part: Node): string => part.getText(file);
  switch (kind) {
    case 'statement':
      return taken(ts.isStatement(node) && !ts.isBlock(node), node);
    case 'if':
      return ts.isIfStatement(node) ? taken(true, node.expression, node) : undefined;
    case 'loop':
      return taken(ts.isIterationStatement(node, false), node);
    case 'call':
      return ts.isCallExpression(node) ? taken(calledName(ts, node, text) === head, node) : undefined;
    case 'binary':
      return ts.isBinaryExpression(node) ? taken(text(node.operatorToken) === head, node) : undefined;
    case 'operand': {
      const { parent } = node;
      const isOperand = ts.isBinaryExpression(parent) && text(parent.operatorToken) === head;
      const isChain = ts.isBinaryExpression(node) && text(node.operatorToken) === head;
      return taken(isOperand && node !== parent.operatorToken && !isChain, node);
    }
    case 'conditional':
      return ts.isConditionalExpression(node) ? taken(true, node.condition, node) : undefined;
    case 'condition':
      if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node))
        return taken(true, node.expression);
      return ts.isForStatement(node) ? taken(true, node.condition) : undefined;
    case 'returned':
      return ts.isReturnStatement(node) ? taken(true, node.expression) : undefined;
    case 'initial':
      if (!ts.isVariableDeclaration(node) && !ts.isPropertyDeclaration(node)) return undefined;
      return taken(text(node.name) === head, node.initializer);
    case 'declared':
      return taken(ts.isBindingElement(node) && text(node.name) === head, node);
    case 'access':
      return taken(ts.isElementAccessExpression(node) || ts.isPropertyAccessExpression(node), node);
    case 'literal':
      return taken(ts.isNumericLiteral(node) && text(node) === head, node);
  }
}

function calledName(ts: Ts, { expression }: TypeScript.CallExpression, text: (node: Node) => string): string {
  return ts.isPropertyAccessExpression(expression) ? text(expression.name) : text(expression);
}

/** Whether a match that has another match in it is left out. */
function isInnermost({ kind }: Selector): boolean {
  return ['statement', 'loop', 'binary', 'operand', 'access'].includes(kind);
}

function isInside(inner: Node, outer: Node): boolean {
  return inner.pos >= outer.pos && inner.end <= outer.end;
}
