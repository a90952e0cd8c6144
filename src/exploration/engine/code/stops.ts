/**
 * Stops: which nodes of lowered code may stop. Rewriting turns each of them into a `yield*`, and a
 * function that has one into a generator.
 *
 * A stop is a call, an `await`, a read of a property that is a getter in any module, and a read or
 * write of `list[index]` in a module that makes views of memory. Whether it does stop is decided
 * when it runs: most calls compute, and most lists are arrays (machine/runtime.ts).
 *
 * Not covered, and left as they are: `list[index] += x`, `list[index]++`, and assignments other
 * than `=` to a property with a getter. Explored code must not use them on shared words or on
 * getters: they would compute with undefined.
 *
 * Called by: Rewriting (suspendable-code.ts).
 */

import type * as TypeScript from 'typescript';

type Ts = typeof TypeScript;
type Node = TypeScript.Node;

export class Stops {
  readonly #ts: Ts;
  readonly #file: TypeScript.SourceFile;
  readonly #getters: ReadonlySet<string>;
  /**
   * Whether the module makes views of memory. Only there an index is taken for a possible stop,
   * which keeps all other loops over arrays fast. A module must not index a view that another one
   * has made: it would read undefined. (It may pass the view to Atomics.)
   */
  readonly #mayIndex: boolean;

  constructor(ts: Ts, file: TypeScript.SourceFile, getters: ReadonlySet<string>) {
    this.#ts = ts;
    this.#file = file;
    this.#getters = getters;
    this.#mayIndex = file.text.includes('Int32Array');
  }

  /** Whether there is a stop in `node`, apart from functions and classes inside it. */
  isIn(node: Node): boolean {
    const ts = this.#ts;
    if (ts.isFunctionLike(node) || ts.isClassLike(node)) return false;
    if (ts.isCallExpression(node) && node.expression.kind !== ts.SyntaxKind.SuperKeyword) return true;
    if (ts.isAwaitExpression(node) || this.isIndexWrite(node)) return true;
    if (ts.isPropertyAccessExpression(node) && this.isGetter(node)) return true;
    if (ts.isElementAccessExpression(node) && this.isIndexRead(node)) return true;
    if (ts.isBindingElement(node) && this.isGetterName((node.propertyName ?? node.name).getText(this.#file)))
      return true;
    return ts.forEachChild(node, (child) => (this.isIn(child) ? true : undefined)) === true;
  }

  isGetterName(name: string): boolean {
    return this.#getters.has(name);
  }

  /**
   * A read of a property that is a getter somewhere. `x.name()` is a call and no read of `name`.
   */
  isGetter(node: TypeScript.PropertyAccessExpression): boolean {
    const called = this.#ts.isCallExpression(node.parent) && node.parent.expression === node;
    return this.isGetterName(node.name.text) && !called && !this.#isTarget(node);
  }

  isIndexRead(node: TypeScript.ElementAccessExpression): boolean {
    return this.#mayIndex && !this.#isTarget(node);
  }

  /** `list[index] = value`. */
  isIndexWrite(node: Node): node is TypeScript.BinaryExpression {
    const ts = this.#ts;
    return (
      this.#mayIndex &&
      ts.isBinaryExpression(node) &&
      node.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
      ts.isElementAccessExpression(node.left)
    );
  }

  /** Whether the node is assigned to, by `=`, by `+=` and the like, or by `++` and `--`. */
  #isTarget(node: Node): boolean {
    const ts = this.#ts;
    const { parent } = node;
    if (ts.isBinaryExpression(parent) && parent.left === node)
      return (
        parent.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
        parent.operatorToken.kind <= ts.SyntaxKind.LastAssignment
      );
    return (
      ts.isPostfixUnaryExpression(parent) ||
      (ts.isPrefixUnaryExpression(parent) &&
        parent.operator >= ts.SyntaxKind.PlusPlusToken &&
        parent.operator <= ts.SyntaxKind.MinusMinusToken)
    );
  }
}
