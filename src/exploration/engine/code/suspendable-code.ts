/**
 * Suspendable code: a compiled module, rewritten so that it can stop wherever it may touch shared
 * memory. What the code computes, and in which order, stays as it is.
 *
 * A method and what becomes of it (site names shortened):
 *
 *     take(by) {
 *       const old = Atomics.add(this.#words, 0, by);
 *       return old + twice(by);
 *     }
 *
 *     *take(by) {
 *       const $f = $.enter("m:3", () => [$.known(() => this)]);
 *       try {
 *         const old = ($f.t.length = 0,
 *           yield* $.method($f, "m:1", () => [by], Atomics, "add", [this.$p_words, 0, by]));
 *         return ($f.t.length = 0, old + (yield* $.call($f, "m:2", () => [old, by], twice, [by])));
 *       } finally { $.leave($f); }
 *     }
 *
 * The input is lowered (lowered-module.ts: `#words` is `$p_words`). The rules:
 *
 * - A function in which something may stop (stops.ts) becomes a generator function, each call in it
 *   a `yield*` through `$`, the runtime (machine/runtime.ts), and a getter a method `$get_NAME`.
 * - Constructors, setters, parameter defaults and the top level of a module cannot stop. What they
 *   call runs through (`$.methodNow`, `$.callNow`), and must not touch shared words.
 * - At each stop the code gives its frame `$f` the name of the place and a closure over the
 *   variables that are visible there (names-in-scope.ts). A generator hides both, and the heap's
 *   fingerprint has to cover them: two runs are in one state only if these agree.
 * - `$f.t` has the results of the stops of the current expression. They are state too: in
 *   `f() + g()`, f's result is in no variable while g runs. What else the expression has read is
 *   not kept, because its variable or property still has it. So explored code must not read one in
 *   an expression whose later part changes it and then stops, as in `this.n + this.setN(2)`.
 * - Captured variables are read through `$.known`, because the one that a closure captures may be
 *   declared further down and have no value yet. Visible ones are declared before the stop.
 * - `$this` is the `this` of an arrow function, which a generator function does not inherit.
 *
 * Generator functions in the input are not supported.
 *
 * Called by: RewrittenModules.
 */

import type * as TypeScript from 'typescript';
import { capturedNames, enclosingFunction, iteratorName, usesThis, visibleNames } from './names-in-scope.js';
import { relaxedFunctions, type NodeTest } from './relaxed-functions.js';
import { Stops } from './stops.js';

type Ts = typeof TypeScript;
type Node = TypeScript.Node;

export interface RewriteOptions {
  readonly ts: Ts;
  /**
   * The module's name, the prefix of its sites: the names of places in the code. Two places of a
   * program must not have one name, or the fingerprints take two states for one.
   */
  readonly name: string;
  readonly text: string;
  /** Names that are getters in any of the modules that are rewritten together. */
  readonly getters: ReadonlySet<string>;
  /** Functions whose plain accesses are relaxed ones, by path. Default: none. */
  readonly relaxed?: readonly string[];
}

/**
 * Returns the body of a function of `exports`, `require`, `$` (the runtime) and the simulated
 * globals. `text` is lowered.
 */
export function rewriteModule({ ts, name, text, getters, relaxed = [] }: RewriteOptions): string {
  const file = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true);
  return new Rewriting(ts, name, file, getters, relaxedFunctions(ts, file, relaxed)).text();
}

/** The context of a piece of code: whether it may stop there, and what it calls `this`. */
interface Place {
  readonly maySuspend: boolean;
  readonly self: string;
}

class Rewriting {
  readonly #ts: Ts;
  readonly #name: string;
  readonly #file: TypeScript.SourceFile;
  readonly #stops: Stops;
  readonly #isRelaxed: NodeTest;
  /** Places named so far: stops, functions and closures. */
  #sites = 0;

  constructor(ts: Ts, name: string, file: TypeScript.SourceFile, getters: ReadonlySet<string>, isRelaxed: NodeTest) {
    this.#ts = ts;
    this.#name = name;
    this.#file = file;
    this.#stops = new Stops(ts, file, getters);
    this.#isRelaxed = isRelaxed;
  }

  text(): string {
    return this.#emit(this.#file, { maySuspend: false, self: 'this' });
  }

  /** Rewrites `node`, without the white space in front of it. */
  #emit(node: Node, place: Place): string {
    const ts = this.#ts;
    if (node.kind === ts.SyntaxKind.ThisKeyword) return place.self;
    if (ts.isFunctionLike(node)) return this.#function(node, place);
    if (ts.isBlock(node)) return this.#block(node, place);
    if (ts.isCallExpression(node)) return this.#call(node, place) ?? this.#splice(node, place);
    if (ts.isPropertyAccessExpression(node) && this.#stops.isGetter(node))
      return place.maySuspend
        ? `(yield* $.get(${this.#stop(node, place)}, ${this.#emit(node.expression, place)}, "${node.name.text}"))`
        : `$.getNow(${this.#emit(node.expression, place)}, "${node.name.text}")`;
    if (!place.maySuspend) return this.#splice(node, place);
    if (ts.isAwaitExpression(node))
      return `(yield* $.await(${this.#stop(node, place)}, ${this.#emit(node.expression, place)}))`;
    if (this.#stops.isIndexWrite(node)) return this.#indexWrite(node, place);
    if (ts.isElementAccessExpression(node) && this.#stops.isIndexRead(node))
      return `(yield* $.index(${this.#stop(node, place)}, ${this.#isRelaxed(node)}, ${this.#emit(node.expression, place)}, ${this.#emit(node.argumentExpression, place)}))`;
    if (ts.isVariableDeclaration(node)) return this.#declaration(node, place);
    if (ts.isForOfStatement(node)) return this.#forOf(node, place);
    return this.#splice(node, place);
  }

  /**
   * The node's own text with its children rewritten. An expression that is the whole of a statement
   * part begins with empty temporaries (#top).
   */
  #splice(node: Node, place: Place): string {
    let out = '';
    let at = node.getStart(this.#file);
    const isStatement = this.#ts.isStatement(node) || this.#ts.isArrowFunction(node);
    this.#ts.forEachChild(node, (child) => {
      const start = child.getStart(this.#file);
      const isTop = isStatement && place.maySuspend && this.#ts.isExpression(child);
      out += this.#file.text.slice(at, start) + (isTop ? this.#top(child, place) : this.#emit(child, place));
      at = child.end;
    });
    return out + this.#file.text.slice(at, node.end);
  }

  /**
   * Functions that are declared in a block become closures at its beginning, as hoisting has it.
   */
  #block(node: TypeScript.Block, place: Place): string {
    const ts = this.#ts;
    const closures = node.statements.filter((statement) => ts.isFunctionDeclaration(statement));
    if (closures.length === 0) return this.#splice(node, place);
    const first = closures.map((fn) => `const ${fn.name?.text} = ${this.#closure(fn, this.#function(fn, place))};`);
    const rest = node.statements
      .filter((statement) => !ts.isFunctionDeclaration(statement))
      .map((statement) => this.#emit(statement, place));
    return `{ ${[...first, ...rest].join('\n')} }`;
  }

  /** A complete expression of a statement: it forgets the intermediate results of earlier ones. */
  #top(expression: Node, place: Place): string {
    const text = this.#emit(expression, place);
    return place.maySuspend && this.#stops.isIn(expression) ? `($f.t.length = 0, ${text})` : text;
  }

  /** Undefined for calls that stay as they are: `super()`, `import()` and `require()`. */
  #call(node: TypeScript.CallExpression, place: Place): string | undefined {
    const ts = this.#ts;
    let callee: Node = node.expression;
    if (callee.kind === ts.SyntaxKind.SuperKeyword || callee.kind === ts.SyntaxKind.ImportKeyword) return undefined;
    if (ts.isIdentifier(callee) && callee.text === 'require') return undefined;
    const values = `[${node.arguments.map((argument) => this.#emit(argument, place)).join(', ')}]`;
    const start = place.maySuspend ? `(yield* $.NAME(${this.#stop(node, place)}, ` : '($.NAMENow(';
    const as = (name: string): string => start.replace('NAME', name);
    // `(0, module.name)(…)` is how CommonJS calls an imported function.
    if (ts.isParenthesizedExpression(callee) && ts.isBinaryExpression(callee.expression))
      callee = callee.expression.right;
    else if (ts.isPropertyAccessExpression(callee))
      return `${as('method')}${this.#emit(callee.expression, place)}, "${callee.name.text}", ${values}))`;
    return `${as('call')}${this.#emit(callee, place)}, ${values}))`;
  }

  #indexWrite(node: TypeScript.BinaryExpression, place: Place): string {
    const left = node.left as TypeScript.ElementAccessExpression;
    const parts = [left.expression, left.argumentExpression, node.right].map((part) => this.#emit(part, place));
    return `(yield* $.setIndex(${this.#stop(node, place)}, ${this.#isRelaxed(node)}, ${parts.join(', ')}))`;
  }

  /** A pattern that reads getters is taken apart, because a getter is a method now. */
  #declaration(node: TypeScript.VariableDeclaration, place: Place): string {
    const ts = this.#ts;
    const { name, initializer } = node;
    if (initializer === undefined) return this.#splice(node, place);
    const value = this.#top(initializer, place);
    const elements = ts.isObjectBindingPattern(name) ? [...name.elements] : [];
    const keyOf = (element: TypeScript.BindingElement): string =>
      (element.propertyName ?? element.name).getText(this.#file);
    if (!elements.some((element) => this.#stops.isGetterName(keyOf(element))))
      return `${this.#emit(name, place)} = ${value}`;
    // `const { a, b } = x`, where a is a getter, becomes `$d = x, a = (a read of $d.a), b = $d.b`.
    const complete = `$d${node.pos}`;
    const parts = elements.map((element) => {
      const key = keyOf(element);
      if (element.dotDotDotToken !== undefined || !ts.isIdentifier(element.name))
        throw new Error(`${this.#name}: cannot rewrite the pattern ${name.getText(this.#file)}`);
      const read = this.#stops.isGetterName(key)
        ? `(yield* $.get(${this.#stop(node, place)}, ${complete}, "${key}"))`
        : `${complete}.${key}`;
      const fallback =
        element.initializer === undefined
          ? ''
          : `, () => ${this.#emit(element.initializer, { ...place, maySuspend: false })}`;
      return `${element.name.text} = ${fallback === '' ? read : `$.or(${read}${fallback})`}`;
    });
    return [`${complete} = ${value}`, ...parts].join(', ');
  }

  /** The position in the list is state too, so the iterator becomes a variable. */
  #forOf(node: TypeScript.ForOfStatement, place: Place): string {
    const iterator = iteratorName(node);
    const list = node.initializer as TypeScript.VariableDeclarationList;
    const name = list.declarations[0]?.name as TypeScript.BindingName;
    const keyword = (list.flags & this.#ts.NodeFlags.Const) !== 0 ? 'const' : 'let';
    return `{ const ${iterator} = $.iterate(${this.#top(node.expression, place)}); while (${iterator}.step()) { ${keyword} ${this.#emit(name, place)} = ${iterator}.value; ${this.#emit(node.statement, place)} } }`;
  }

  #function(node: TypeScript.SignatureDeclaration, place: Place): string {
    const ts = this.#ts;
    if (ts.isConstructorDeclaration(node) || ts.isSetAccessor(node))
      return this.#splice(node, { maySuspend: false, self: 'this' });
    const fn = node as TypeScript.FunctionLikeDeclaration;
    const isArrow = ts.isArrowFunction(fn);
    const isAsync = fn.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword) === true;
    const isClosure = isArrow || ts.isFunctionExpression(fn);
    const { body } = fn;
    if (body === undefined || fn.asteriskToken !== undefined) return this.#splice(fn, place);
    const becomesGenerator = isAsync || ts.isGetAccessor(fn) || this.#stops.isIn(body);
    const self = isArrow ? (becomesGenerator ? '$this' : place.self) : 'this';
    if (!becomesGenerator) {
      const text = this.#splice(fn, { maySuspend: false, self });
      if (ts.isMethodDeclaration(fn) && ts.isObjectLiteralExpression(fn.parent)) {
        const parameters = fn.parameters.map((one) => one.getText(this.#file)).join(', ');
        const inside = this.#splice(body, { maySuspend: false, self });
        return `${fn.name.getText(this.#file)}: ${this.#closure(fn, `function (${parameters}) ${inside}`)}`;
      }
      return isClosure ? this.#closure(fn, `(${text})`) : text;
    }
    const parameters = fn.parameters.map((one) => this.#emit(one, { maySuspend: false, self })).join(', ');
    const inner = this.#body(body, fn, self);
    const complete = isAsync
      ? `{ return yield* $.async(function* () ${inner}${isArrow ? '()' : '.call(this)'}); }`
      : inner;
    if (isClosure) {
      const text = this.#closure(fn, `(function* (${parameters}) ${complete})`);
      return isArrow && place.self !== '$this' && usesThis(ts, fn) ? `(($this) => ${text})(${place.self})` : text;
    }
    const name = fn.name?.getText(this.#file) ?? '';
    // A method of an object literal may use variables around it, as a closure does.
    if (ts.isMethodDeclaration(fn) && ts.isObjectLiteralExpression(fn.parent))
      return `${name}: ${this.#closure(fn, `function* (${parameters}) ${complete}`)}`;
    if (ts.isFunctionDeclaration(fn)) return `function* ${name}(${parameters}) ${complete}`;
    const isStatic = fn.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword) === true;
    return `${isStatic ? 'static ' : ''}*${ts.isGetAccessor(fn) ? '$get_' : ''}${name}(${parameters}) ${complete}`;
  }

  /** The body of a function that may stop: its frame exists from `enter` to `leave`. */
  #body(body: Node, fn: TypeScript.FunctionLikeDeclaration, self: string): string {
    const place = { maySuspend: true, self };
    const isBlock = this.#ts.isBlock(body);
    const inside = isBlock ? this.#emit(body, place) : `{ return ${this.#top(body, place)}; }`;
    const captured = this.#captured(fn, usesThis(this.#ts, fn) ? [self] : []);
    return `{ const $f = $.enter("${this.#site()}", ${captured}); try ${inside} finally { $.leave($f); } }`;
  }

  /** Registers a closure with its captured variables, which its own frame does not have. */
  #closure(fn: Node, text: string): string {
    const self =
      this.#ts.isArrowFunction(fn) && usesThis(this.#ts, fn) ? [text.includes('$this') ? '$this' : 'this'] : [];
    return `$.closure("${this.#site()}", ${this.#captured(fn, self)}, ${text})`;
  }

  #captured(fn: Node, more: readonly string[]): string {
    const names = [...capturedNames(this.#ts, fn), ...more];
    return `() => [${names.map((name) => `$.known(() => ${name})`).join(', ')}]`;
  }

  /** The arguments of each stop: the frame, the place, and the variables. */
  #stop(node: Node, place: Place): string {
    const fn = enclosingFunction(this.#ts, node);
    if (fn === undefined || !place.maySuspend) throw new Error(`${this.#name}: a stop outside of a function`);
    return `$f, "${this.#site()}", () => [${visibleNames(this.#ts, node, fn).join(', ')}]`;
  }

  #site(): string {
    return `${this.#name}:${++this.#sites}`;
  }
}
