/**
 * CodeBase: the compiled modules that programs are made of, each read and lowered
 * (lowered-module.ts) once.
 *
 * Called by: users of `upcall/exploration`, who pass it to ExploredProgram; RewrittenModules.
 *
 * The text comes from the shipped files: what is explored is what is shipped, and a change there is
 * followed without further work.
 */

import { readFileSync } from 'node:fs';
import { applyChange, type CodeChange } from '../change/code-change.js';
import type { Compiler } from '../compiler.js';
import { gettersOf, lowerModule } from './lowered-module.js';

export interface CodeOptions {
  /** The folder of the compiled modules; names of modules are paths from there, without `.js`. */
  readonly root: { readonly href: string };
  /**
   * Modules that only compute, and access no shared memory. They run as they are, which is faster.
   * They must not call a function that they are given: it may be rewritten.
   */
  readonly plain?: readonly string[];
  /** Modules whose top level is the main function of a thread. It becomes their export `main`. */
  readonly mains?: readonly string[];
  /**
   * Names under which the code imports the probes: `note`, `offer` and `threadEnd` of probe.ts,
   * which the explorer replaces. Default: `upcall/exploration`.
   */
  readonly probes?: readonly string[];
  /** Changes that every program has: they make times and long counts small. */
  readonly adaptations?: readonly CodeChange[];
  /**
   * Functions that may read or write a word by plain accesses although other threads use atomic
   * ones. Anywhere else that breaks a rule.
   */
  readonly relaxed?: readonly RelaxedPlace[];
}

/** A function whose plain accesses are relaxed ones: each of its callers must not need an order. */
export interface RelaxedPlace {
  readonly module: string;
  /** Its path, as in a CodeChange. */
  readonly in: string;
}

export interface LoweredModule {
  readonly text: string;
  /** Names of modules (see CodeOptions.root). Those of Node and of packages are as in the code. */
  readonly imports: readonly string[];
  /** Names of its getters: a read of such a property is a call after rewriting. */
  readonly getters: readonly string[];
}

export class CodeBase {
  readonly compiler: Compiler;
  readonly probes: readonly string[];
  /**
   * Rewritten texts, by the module's name, the names of all getters of a program, and the lowered
   * text. RewrittenModules fills it, so that programs with different changes share what neither
   * changes.
   */
  readonly rewritten = new Map<string, string>();
  readonly #options: CodeOptions;
  readonly #modules = new Map<string, LoweredModule>();

  constructor(compiler: Compiler, options: CodeOptions) {
    this.compiler = compiler;
    this.#options = options;
    this.probes = options.probes ?? ['upcall/exploration'];
  }

  /** Paths of the module's functions whose plain accesses are relaxed ones (RelaxedPlace). */
  relaxedOf(module: string): string[] {
    return (this.#options.relaxed ?? []).filter((place) => place.module === module).map((place) => place.in);
  }

  isPlain(name: string): boolean {
    return this.#options.plain?.includes(name) === true;
  }

  /**
   * A module with its adaptations and those of `changes` that are for it. Throws an Error that
   * begins with GONE for a change that does not fit.
   */
  read(name: string, changes: readonly CodeChange[]): LoweredModule {
    const own = changes.filter(({ module }) => module === name);
    const known = own.length === 0 ? this.#modules.get(name) : undefined;
    if (known !== undefined) return known;
    const module = this.#lower(name, own);
    if (own.length === 0) this.#modules.set(name, module);
    return module;
  }

  #lower(name: string, changes: readonly CodeChange[]): LoweredModule {
    const { root, adaptations = [], mains } = this.#options;
    const adapted = adaptations.filter(({ module }) => module === name);
    const shipped = readFileSync(new URL(`${name}.js`, root.href), 'utf8');
    const changed = [...adapted, ...changes].reduce(
      (text, change) => applyChange(this.compiler, text, change),
      shipped,
    );
    const lowered = lowerModule(this.compiler, `${name}.js`, changed);
    const text = mains?.includes(name) === true ? `exports.main = async function () {\n${lowered}\n};` : lowered;
    const imports = [...text.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, target = '']) => resolve(name, target));
    return { text, imports, getters: gettersOf(this.compiler, text) };
  }
}

/** The name of a module that `from` imports as `target`. */
export function resolve(from: string, target: string): string {
  if (!target.startsWith('.')) return target;
  return new URL(target, new URL(from, 'root:/')).pathname.replace(/^\//, '').replace(/\.js$/, '');
}
