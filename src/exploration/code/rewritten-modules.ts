/**
 * RewrittenModules: loads compiled modules and everything they import, rewritten, into one explored program. The text
 * comes from the compiled files beside this one: what is explored is what is shipped, and a change there is followed.
 */

import { readFileSync } from 'node:fs';
import { compileFunction } from 'node:vm';
import type * as TypeScript from 'typescript';
import { applyChange, type CodeChange } from '../engine/change/code-change.js';
import { ADAPTATIONS } from './adaptations.js';
import { gettersOf, lowerModule } from './lowered-module.js';
import { rewriteModule } from './suspendable-code.js';

type Ts = typeof TypeScript;
type Exports = Record<string, unknown>;
type Evaluate = (...values: unknown[]) => void;

const root = new URL('../../', import.meta.url);

/** Modules that compute and share nothing: they need not stop. */
const PLAIN = new Set(
  ['layout', 'state', 'io-request', 'acrn-error', 'error-text']
    .map((name) => `io-request/${name}`)
    .concat(['address-map', 'address-range', 'range-index'].map((name) => `hsm/${name}`)),
);

/** Modules that are the beginning of a thread. */
const ENTRIES = new Set(['device-model/placement/device-thread']);

interface ModuleText {
  readonly text: string;
  readonly imports: readonly string[];
}

/** Read and lowered once for all programs; only changed modules are read again. */
const shared = new Map<string, ModuleText>();

/** By the getters' names and the lowered text. */
const rewritten = new Map<string, string>();

export class RewrittenModules {
  readonly #ts: Ts;
  readonly #texts = new Map<string, ModuleText>();
  readonly #exports = new Map<string, Exports>();
  readonly #getters: ReadonlySet<string>;
  readonly #getterKey: string;
  readonly #runtime: object;
  readonly #globals: Record<string, unknown>;
  readonly #replaced: ReadonlyMap<string, Exports>;

  /**
   * `replaced`: modules that are given instead of loaded. `changes` come after the adaptations. What a thread's entry
   * file (ENTRIES) does when it is loaded becomes its export `main`.
   */
  constructor(
    ts: Ts,
    entries: readonly string[],
    runtime: { readonly globals: Record<string, unknown> },
    replaced: ReadonlyMap<string, Exports>,
    changes: readonly CodeChange[],
  ) {
    this.#ts = ts;
    this.#runtime = runtime;
    this.#globals = runtime.globals;
    this.#replaced = replaced;
    for (const entry of entries) this.#read(entry, changes);
    for (const { module } of changes)
      if (!this.#texts.has(module)) throw new Error(`GONE: ${module} is not among the explored modules`);
    this.#getters = new Set([...this.#texts.values()].flatMap(({ text }) => gettersOf(ts, text)));
    this.#getterKey = [...this.#getters].sort().join();
  }

  get names(): readonly string[] {
    return [...this.#texts.keys()];
  }

  /** What a module exports, evaluated at the first time. */
  require(name: string): Exports {
    const known = this.#replaced.get(name) ?? this.#exports.get(name);
    if (known !== undefined) return known;
    const module = this.#texts.get(name);
    if (module === undefined) throw new Error(`${name} is imported but was not read`);
    const exports: Exports = {};
    this.#exports.set(name, exports);
    const text = PLAIN.has(name) ? module.text : this.#rewrite(name, module.text);
    const require = (target: string): Exports => this.require(resolve(name, target));
    const parameters = ['exports', 'require', '$', ...Object.keys(this.#globals)];
    const evaluate = compileFunction(text, parameters, { filename: `explored/${name}.js` }) as Evaluate;
    evaluate(exports, require, this.#runtime, ...Object.values(this.#globals));
    return exports;
  }

  #rewrite(name: string, lowered: string): string {
    const key = `${this.#getterKey} ${lowered}`;
    let text = rewritten.get(key);
    if (text === undefined) {
      const short = name.replace(/^.*\//, '');
      text = rewriteModule({ ts: this.#ts, name: short, text: lowered, getters: this.#getters });
      rewritten.set(key, text);
    }
    return text;
  }

  #read(name: string, changes: readonly CodeChange[]): void {
    if (this.#texts.has(name) || this.#replaced.has(name)) return;
    const own = changes.filter(({ module }) => module === name);
    let module = own.length === 0 ? shared.get(name) : undefined;
    if (module === undefined) {
      let text = readFileSync(new URL(`${name}.js`, root), 'utf8');
      for (const change of [...ADAPTATIONS.filter((adaptation) => adaptation.module === name), ...own])
        text = applyChange(this.#ts, text, change);
      const lowered = asMain(name, lowerModule(this.#ts, `${name}.js`, text));
      module = { text: lowered, imports: importsOf(lowered).map((target) => resolve(name, target)) };
      if (own.length === 0) shared.set(name, module);
    }
    this.#texts.set(name, module);
    for (const target of module.imports) this.#read(target, changes);
  }
}

function asMain(name: string, lowered: string): string {
  return ENTRIES.has(name) ? `exports.main = async function () {\n${lowered}\n};` : lowered;
}

function importsOf(lowered: string): string[] {
  return [...lowered.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, target]) => target ?? '');
}

function resolve(from: string, target: string): string {
  if (!target.startsWith('.')) return target;
  return new URL(target, new URL(from, 'root:/')).pathname.replace(/^\//, '').replace(/\.js$/, '');
}
