/**
 * CodeChange: one change to the source text of a module, by function, selector and operator.
 *
 * Called by: the explorer for adaptations (CodeOptions.adaptations) and seeded defects,
 * scripts/mutants.mjs for mutants.
 * Callers must: name a node that matches alone, or with `nth` the nth of exactly `of`. Otherwise
 * `applyChange` throws an Error that begins with GONE, with what stands there instead: the code has
 * changed, and its author decides what the change becomes.
 */

import type * as TypeScript from 'typescript';
import { functionsOf, nearest } from './functions.js';
import { describeSelector, partsOf, select, tokensOf, type Selector } from './selector.js';

type Ts = typeof TypeScript;
type Node = TypeScript.Node;

export interface CodeChange {
  /** The module's path from the root of the sources, without an extension. */
  readonly module: string;
  /**
   * `function`, `Class.method`, `Class.#method`, `Class.get name`. Undefined: anywhere in the
   * module.
   */
  readonly in?: string;
  /** Several are made one after the other. */
  readonly edit: Edit | readonly Edit[];
}

export type Edit =
  | { readonly drop: Selector }
  | { readonly replace: Selector; readonly by: string }
  | { readonly move: Selector; readonly to: Target }
  | { readonly copy: Selector; readonly to: Target };

export type Target = { readonly before: Selector } | { readonly after: Selector } | 'start';

/** Removes a statement, or an operand together with its operator. */
export const drop = (target: Selector): Edit => ({ drop: target });

/**
 * Puts other code in the place of a node. `by` may have `$&` for the node's text and `$0`, `$1`, …
 * for its parts, which the selectors name (selector.ts): of a call `$0` is the receiver, `$1` the
 * first argument and `$*` all of them. Other names in `by` must occur in the module, so that a
 * rename is noticed. Example: `replace(call('notify'), 'log($1), $&')`.
 */
export const replace = (target: Selector, by: string): Edit => ({ replace: target, by });

/** Moves a statement before or after another one, or to the start of its function. */
export const move = (target: Selector, to: Target): Edit => ({ move: target, to });

/** Repeats a statement before or after another one, or at the start of its function. */
export const copy = (target: Selector, to: Target): Edit => ({ copy: target, to });

export const before = (target: Selector): Target => ({ before: target });
export const after = (target: Selector): Target => ({ after: target });

/** One line for people. */
export function describeChange({ module, in: path, edit }: CodeChange): string {
  const edits = [edit].flat().map(describeEdit).join(', then ');
  return `${module}${path === undefined ? '' : ` ${path}`}: ${edits}`;
}

/**
 * `text`, which is TypeScript or JavaScript, with the change made. Throws an Error that begins with
 * GONE if that is not possible.
 */
export function applyChange(ts: Ts, text: string, change: CodeChange): string {
  return [change.edit].flat().reduce((now, edit) => new Editor(ts, now, change).apply(edit), text);
}

function describeEdit(edit: Edit): string {
  if ('drop' in edit) return `drop ${describeSelector(edit.drop)}`;
  if ('replace' in edit) return `${describeSelector(edit.replace)} → ${edit.by}`;
  const where =
    edit.to === 'start'
      ? 'to the start'
      : 'before' in edit.to
        ? `before ${describeSelector(edit.to.before)}`
        : `after ${describeSelector(edit.to.after)}`;
  return 'move' in edit
    ? `move ${describeSelector(edit.move)} ${where}`
    : `copy ${describeSelector(edit.copy)} ${where}`;
}

/** Makes edits of one change in one text. */
class Editor {
  readonly #ts: Ts;
  readonly #text: string;
  readonly #change: CodeChange;
  readonly #file: TypeScript.SourceFile;

  constructor(ts: Ts, text: string, change: CodeChange) {
    this.#ts = ts;
    this.#text = text;
    this.#change = change;
    this.#file = ts.createSourceFile('module.ts', text, ts.ScriptTarget.ES2022, true);
  }

  apply(edit: Edit): string {
    const text = this.#apply(edit);
    const { diagnostics = [] } = this.#ts.transpileModule(text, { reportDiagnostics: true });
    const [error] = diagnostics;
    if (error !== undefined)
      throw this.#gone(`the result is not a program: ${this.#ts.flattenDiagnosticMessageText(error.messageText, ' ')}`);
    return text;
  }

  /** The text with the edit made. It may have syntax errors. */
  #apply(edit: Edit): string {
    if ('drop' in edit) return this.#drop(this.#find(edit.drop));
    if ('replace' in edit) {
      const node = this.#find(edit.replace);
      const by = this.#filled(edit.by, node);
      return this.#ts.isBindingElement(node) ? this.#dropFromPattern(node, by) : this.#splice(node, by);
    }
    const node = this.#find('move' in edit ? edit.move : edit.copy);
    const own = node.getText(this.#file);
    const at = this.#position(edit.to, node);
    const parts: [number, number, string][] = [[at, at, ` ${own} `]];
    if ('move' in edit) parts.push([node.getStart(this.#file), node.end, this.#nothing(node)]);
    // From the end on, so that positions before it stay valid.
    return parts
      .sort(([one], [other]) => other - one)
      .reduce((text, [from, to, by]) => text.slice(0, from) + by + text.slice(to), this.#text);
  }

  #drop(node: Node): string {
    const { parent } = node;
    if (this.#ts.isBinaryExpression(parent))
      return this.#splice(parent, (parent.left === node ? parent.right : parent.left).getText(this.#file));
    if (!this.#ts.isStatement(node)) throw this.#gone('only statements and operands can be dropped');
    return this.#splice(node, this.#nothing(node));
  }

  /**
   * `const { a, b } = x` with `a` replaced by `value` becomes `const { b } = x; const a = value;`.
   */
  #dropFromPattern(node: TypeScript.BindingElement, value: string): string {
    const ts = this.#ts;
    const pattern = node.parent;
    const others = pattern.elements.filter((element) => element !== node).map((element) => element.getText(this.#file));
    let owner: Node = pattern;
    while (!ts.isVariableStatement(owner)) {
      if (ts.isSourceFile(owner)) throw this.#gone('the pattern is not a variable’s');
      owner = owner.parent;
    }
    const declaration = ` const ${node.name.getText(this.#file)} = ${value};`;
    const rest = this.#text.slice(pattern.end, owner.end) + declaration + this.#text.slice(owner.end);
    return `${this.#text.slice(0, pattern.getStart(this.#file))}{ ${others.join(', ')} }${rest}`;
  }

  /**
   * What stands in place of a dropped statement: an arm of an `if` or a loop needs an empty one.
   */
  #nothing({ parent }: Node): string {
    const ts = this.#ts;
    return ts.isBlock(parent) || ts.isSourceFile(parent) || ts.isCaseOrDefaultClause(parent) ? '' : ';';
  }

  #splice(node: Node, by: string): string {
    return this.#text.slice(0, node.getStart(this.#file)) + by + this.#text.slice(node.end);
  }

  #position(to: Target, moved: Node): number {
    if (to === 'start') {
      const body = this.#ts.findAncestor(
        moved.parent,
        (at) => this.#ts.isBlock(at) && this.#ts.isFunctionLike(at.parent),
      );
      if (body === undefined) throw this.#gone('there is no function around it');
      return body.getStart(this.#file) + 1;
    }
    return 'before' in to ? this.#find(to.before).getStart(this.#file) : this.#find(to.after).end;
  }

  /**
   * `template` with the parts of `node` put in. Throws GONE if the template has a name that does
   * not occur in the module, or names a part that the node does not have.
   */
  #filled(template: string, node: Node): string {
    const ts = this.#ts;
    const parts = partsOf(ts, this.#file, node);
    const known = tokensOf(ts, this.#file, this.#file);
    for (const name of namesIn(ts, template))
      if (!known.has(name)) throw this.#gone(`the replacement names ${name}, which does not occur in the module`);
    return template.replace(/\$(?:([&*])|(\d))/g, (_, sign: string | undefined, digit: string) => {
      if (sign === '&') return node.getText(this.#file);
      if (sign === '*') return parts.slice(1).join(', ');
      const part = parts[Number(digit)];
      if (part === undefined) throw this.#gone(`the node has no part $${digit}: ${node.getText(this.#file)}`);
      return part;
    });
  }

  #find(selector: Selector): Node {
    const ts = this.#ts;
    const found = select(ts, this.#file, this.#function(), selector);
    const [n, of] = selector.nth ?? [1, 1];
    const node = found[n - 1];
    if (node !== undefined && found.length === of) return node;
    const seen = found.map((one) => `  line ${this.#lineOf(one)}: ${one.getText(this.#file).replace(/\s+/g, ' ')}`);
    const elsewhere = functionsOf(ts, this.#file)
      .filter(({ node: fn }) => select(ts, this.#file, fn, selector).length > 0)
      .map(({ path }) => path);
    const hint = found.length > 0 || elsewhere.length === 0 ? '' : `\n  It is in: ${elsewhere.join(', ')}`;
    throw this.#gone(
      `${found.length} nodes, not ${of}, match: ${describeSelector(selector)}${hint}${seen.map((line) => `\n${line}`).join('')}`,
    );
  }

  /** The node in which the change finds its places. */
  #function(): Node {
    const { in: path } = this.#change;
    if (path === undefined) return this.#file;
    const functions = functionsOf(this.#ts, this.#file);
    const [found, another] = functions.filter((one) => one.path === path);
    if (found !== undefined && another === undefined) return found.node;
    if (found !== undefined) throw this.#gone('two functions have this name');
    const names = functions.map((one) => one.path);
    throw this.#gone(`there is no such function. Nearest: ${nearest(path, names).join(', ')}`);
  }

  #lineOf(node: Node): number {
    return this.#file.getLineAndCharacterOfPosition(node.getStart(this.#file)).line + 1;
  }

  #gone(why: string): Error {
    const { module, in: path } = this.#change;
    return new Error(`GONE: ${module}${path === undefined ? '' : `, ${path}`}: ${why}`);
  }
}

/**
 * The names in a replacement that must occur in its module: all private names and identifiers,
 * except those of globals and those after a `.` that does not follow `this`.
 */
function namesIn(ts: Ts, template: string): string[] {
  const scanner = ts.createScanner(ts.ScriptTarget.ES2022, true);
  scanner.setText(template.replace(/\$[&*\d]/g, '(0)'));
  const names: string[] = [];
  let last = '';
  let beforeLast = '';
  for (let kind = scanner.scan(); kind !== ts.SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    const token = scanner.getTokenText();
    const isOther = last === '.' && beforeLast !== 'this';
    if (kind === ts.SyntaxKind.PrivateIdentifier) names.push(token);
    else if (kind === ts.SyntaxKind.Identifier && !isOther && !(token in globalThis)) names.push(token);
    beforeLast = last;
    last = token;
  }
  return names;
}
