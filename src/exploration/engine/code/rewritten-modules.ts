/**
 * RewrittenModules: modules and everything that they import, rewritten and linked into one program.
 *
 * - A module is first lowered: compiled to CommonJS without newer syntax (lowered-module.ts).
 * - Then it is rewritten, so that its functions can stop (suspendable-code.ts). A plain module is
 *   not: it accesses no shared memory (CodeOptions.plain).
 * - A module in `replaced` is not loaded at all.
 *
 * Called by: ExploredProgram.
 */

import { compileFunction } from 'node:vm';
import type { CodeChange } from '../change/code-change.js';
import { resolve, type CodeBase, type LoweredModule } from './code-base.js';
import { rewriteModule } from './suspendable-code.js';

export type Exports = Record<string, unknown>;
type Evaluate = (...values: unknown[]) => void;

export class RewrittenModules {
  readonly #code: CodeBase;
  readonly #modules = new Map<string, LoweredModule>();
  readonly #exports = new Map<string, Exports>();
  /**
   * Names of the getters of all modules: the rewriter does not know the type of `x` in `x.name`.
   */
  readonly #getters: ReadonlySet<string>;
  /** The same as one text, for the keys of CodeBase.rewritten. */
  readonly #getterKey: string;
  /** `$` of the rewritten code. */
  readonly #runtime: object;
  readonly #globals: Record<string, unknown>;
  readonly #replaced: ReadonlyMap<string, Exports>;

  /**
   * `replaced`: modules that are given instead of loaded. Throws an Error that begins with GONE if
   * a change does not fit, or is for a module that is neither an entry nor imported by one.
   */
  constructor(
    code: CodeBase,
    entries: readonly string[],
    runtime: { readonly globals: Record<string, unknown> },
    replaced: ReadonlyMap<string, Exports>,
    changes: readonly CodeChange[],
  ) {
    this.#code = code;
    this.#runtime = runtime;
    this.#globals = runtime.globals;
    this.#replaced = replaced;
    for (const entry of entries) this.#read(entry, changes);
    for (const { module } of changes)
      if (!this.#modules.has(module)) throw new Error(`GONE: ${module} is not among the explored modules`);
    this.#getters = new Set([...this.#modules.values()].flatMap(({ getters }) => getters));
    this.#getterKey = [...this.#getters].sort().join();
  }

  /** What a module exports. The module is evaluated at the first call. */
  require(name: string): Exports {
    const known = this.#replaced.get(name) ?? this.#exports.get(name);
    if (known !== undefined) return known;
    const module = this.#modules.get(name);
    if (module === undefined) throw new Error(`${name} is imported but was not read`);
    const exports: Exports = {};
    this.#exports.set(name, exports);
    const text = this.#code.isPlain(name) ? module.text : this.#rewrite(name, module.text);
    const require = (target: string): Exports => this.require(resolve(name, target));
    const parameters = ['exports', 'require', '$', ...Object.keys(this.#globals)];
    const evaluate = compileFunction(text, parameters, { filename: `explored/${name}.js` }) as Evaluate;
    evaluate(exports, require, this.#runtime, ...Object.values(this.#globals));
    return exports;
  }

  /** Takes the text from CodeBase.rewritten if a program has made the same one. */
  #rewrite(name: string, lowered: string): string {
    const { compiler, rewritten } = this.#code;
    const key = `${name} ${this.#getterKey} ${lowered}`;
    let text = rewritten.get(key);
    if (text === undefined) {
      const relaxed = this.#code.relaxedOf(name);
      text = rewriteModule({ ts: compiler, name, text: lowered, getters: this.#getters, relaxed });
      rewritten.set(key, text);
    }
    return text;
  }

  #read(name: string, changes: readonly CodeChange[]): void {
    if (this.#modules.has(name) || this.#replaced.has(name)) return;
    const module = this.#code.read(name, changes);
    this.#modules.set(name, module);
    for (const target of module.imports) this.#read(target, changes);
  }
}
