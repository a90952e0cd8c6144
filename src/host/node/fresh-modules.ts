/**
 * importAnew: loads a module, and what it imports by relative paths, as if for the first time.
 * Packages are loaded once, as always.
 *
 * Called by: node-host.ts, on demand, for devices that are reloaded while their VM runs.
 *
 * Node keeps each module that `import()` has loaded until the process ends. So jiti translates each
 * file to the body of a function, without types, and the functions are called here. Lines keep
 * their numbers, and each file has a source map for debuggers.
 */

import { readFile, realpath } from 'node:fs/promises';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, extname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runInThisContext } from 'node:vm';
import { createJiti, type Jiti } from 'jiti';

type Exports = Record<string, unknown>;

interface Module {
  exports: unknown;
}

type Evaluate = (
  exports: unknown,
  require: NodeJS.Require,
  module: Module,
  filename: string,
  folder: string,
  importModule: (name: string) => Promise<unknown>,
  resolve: (name: string) => string,
) => Promise<void>;

/** What jiti's translation expects in its scope, in the order of Evaluate. */
const PARAMETERS = 'exports, require, module, __filename, __dirname, jitiImport, jitiESMResolve';
/** A line in front of the file's first one would shift all others. */
const BEFORE = `(async function (${PARAMETERS}) {`;
const TYPESCRIPT = /\.[cm]?tsx?$/;

let translator: Jiti | undefined;

/**
 * `module`: a path or URL. Calls `onFile` with the path of each file before it is read, so also of
 * one that is missing or has an error. Rejects as `import()` does.
 */
export async function importAnew(module: string, onFile: (file: string) => void): Promise<Exports> {
  translator ??= createJiti(import.meta.url, { fsCache: false, moduleCache: false, sourceMaps: true });
  const path = module.startsWith('file:') ? fileURLToPath(module) : module;
  const file = await realpath(path).catch(() => path);
  return new FreshGraph(translator, onFile).load(file, new Set());
}

/** The modules of one load. */
class FreshGraph {
  readonly #jiti: Jiti;
  readonly #onFile: (file: string) => void;
  readonly #modules = new Map<string, Module>();
  readonly #loads = new Map<string, Promise<void>>();

  constructor(jiti: Jiti, onFile: (file: string) => void) {
    this.#jiti = jiti;
    this.#onFile = onFile;
  }

  /** `importers`: the files whose evaluation waits for this one. */
  async load(file: string, importers: ReadonlySet<string>): Promise<Exports> {
    const module = this.#modules.get(file) ?? { exports: {} };
    this.#modules.set(file, module);
    // In a cycle the importer gets what is exported so far.
    if (!importers.has(file)) {
      const load = this.#loads.get(file) ?? this.#evaluate(file, module, new Set([...importers, file]));
      this.#loads.set(file, load);
      await load;
    }
    return namespaceOf(module.exports);
  }

  async #evaluate(file: string, module: Module, importers: ReadonlySet<string>): Promise<void> {
    this.#onFile(file);
    const source = await readFile(file, 'utf8');
    if (extname(file) === '.json') {
      module.exports = { __esModule: true, default: JSON.parse(source) as unknown };
      return;
    }
    const ts = TYPESCRIPT.test(file);
    const code = this.#jiti.transform({ source, filename: file, ts, async: true, interopDefault: true });
    const evaluate = runInThisContext(`${BEFORE}${code}\n})`, {
      filename: file,
      columnOffset: -BEFORE.length,
    }) as Evaluate;
    await evaluate(
      module.exports,
      createRequire(file),
      module,
      file,
      dirname(file),
      (name) => this.#import(name, file, importers),
      (name) => this.#resolve(name, file),
    );
    throwSyntaxError(module.exports, file);
  }

  async #import(name: string, importer: string, importers: ReadonlySet<string>): Promise<Exports> {
    if (isBuiltin(name) || name.startsWith('data:')) return interop((await import(name)) as Exports);
    const url = this.#resolve(name, importer);
    const isOwn = /^(?:[./#]|file:)/.test(name) || (TYPESCRIPT.test(url) && !url.includes('/node_modules/'));
    if (isOwn && /\.(?:[cm]?[jt]sx?|json)$/.test(url)) return this.load(fileURLToPath(url), importers);
    return interop((await import(url)) as Exports);
  }

  /** The URL of what `importer` imports as `name`. */
  #resolve(name: string, importer: string): string {
    try {
      return this.#jiti.esmResolve(name, { parentURL: pathToFileURL(importer).href });
    } catch (error) {
      // So that its creation is noticed.
      if (/^[./]/.test(name)) this.#onFile(fileURLToPath(new URL(name, pathToFileURL(importer))));
      throw error;
    }
  }
}

/** What jiti leaves in the exports of a file that it cannot parse. */
interface ParseFailure {
  readonly line: number;
  readonly column: number;
  readonly message?: string;
}

function throwSyntaxError(exports: unknown, file: string): void {
  const failure = (exports as { __JITI_ERROR__?: ParseFailure }).__JITI_ERROR__;
  if (failure === undefined) return;
  const { line, column, message = 'the file cannot be parsed' } = failure;
  throw new SyntaxError(`${message.replace(`${file}: `, '').trim()} (at ${file}:${line}:${column + 1})`);
}

/** The exports as `import()` would give them. CommonJS modules have one, the default. */
function namespaceOf(exports: unknown): Exports {
  const isObject = (typeof exports === 'object' && exports !== null) || typeof exports === 'function';
  if (isObject && '__esModule' in exports) return exports as Exports;
  return { ...(isObject ? exports : {}), default: exports };
}

/**
 * A namespace of Node's as translated code expects it: it reads `default` where `__esModule` is.
 */
function interop(namespace: Exports): Exports {
  return new Proxy(namespace, {
    get: (target, name, receiver) => (name === '__esModule' ? true : (Reflect.get(target, name, receiver) as unknown)),
    has: (target, name) => name === '__esModule' || Reflect.has(target, name),
  });
}
