/**
 * The rules of the source tree, checked by reading its imports and its types.
 *
 * This test is their documentation. To bend a rule, change it here and give the reason.
 */

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, normalize } from 'node:path/posix';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type * as TypeScript from 'typescript';

interface Import {
  readonly from: string;
  /** `import type`, or nothing but `type` names: erased at run time. */
  readonly isType: boolean;
}

interface SourceFile {
  /** From src/, e.g. `hsm/io-client.ts`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

// The compiled test lies in dist/; the sources lie beside it.
const src = new URL('../src/', import.meta.url);
const files = (readdirSync(src, { recursive: true }) as string[])
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => /\.tsx?$/.test(path))
  .sort()
  .map(read);
/** Tests and their fixtures may reach wherever they have to; products may not. */
const products = files.filter(({ path }) => !isTest(path));
const byPath = new Map(files.map((file) => [file.path, file]));

function read(path: string): SourceFile {
  const text = readFileSync(new URL(path, src), 'utf8');
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const imports: Import[] = [];
  const pattern =
    /^\s*(?:import|export)\s+(type\s+)?([\w*\s{},$]*?)\s*from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
  for (const [, type, names = '', from, bare, dynamic] of code.matchAll(pattern)) {
    const target = from ?? bare ?? dynamic ?? '';
    imports.push({ from: resolve(path, target), isType: type !== undefined || hasOnlyTypes(names) });
  }
  return { path, text, imports };
}

function hasOnlyTypes(names: string): boolean {
  const inner = /^\{([^}]*)\}$/.exec(names.trim())?.[1];
  if (inner === undefined) return false;
  const list = inner.split(',').map((name) => name.trim());
  return list.filter(Boolean).every((name) => name.startsWith('type '));
}

/** A relative import as a path from src/; anything else as it is. Only the page has .tsx files. */
function resolve(path: string, target: string): string {
  if (!target.startsWith('.')) return target;
  const file = normalize(join(dirname(path), target)).replace(/\.js$/, '.ts');
  return existsSync(new URL(`${file}x`, src)) ? `${file}x` : file;
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || path.includes('/fixtures/') || path.includes('/e2e/');
}

const isOwn = (from: string): boolean => byPath.has(from);

const FLOORS: readonly (readonly [folder: string, floor: number])[] = [
  ['host/', 0],
  ['io-request/', 0],
  ['sync/', 0],
  ['trace/', 1],
  ['hypervisor/', 2],
  ['hsm/', 3],
  ['device-model/', 4],
  ['fault-injection/', 4],
  ['debugging/', 4],
  ['vm/', 5],
  ['acrn-hsm/', 5],
  ['vfio-user/', 5],
  ['conformance/', 5],
  ['exploration/', 5],
  ['comparison/', 5],
  ['testing/', 5],
  ['acrn-programs/', 6],
  ['fuzzing/', 6],
  ['dashboard/', 6],
  ['cli/', 6],
];

function floorOf(path: string): number {
  if (!path.includes('/')) return 6;
  const floor = FLOORS.find(([folder]) => path.startsWith(folder));
  assert.ok(floor, `${path}: its folder has no floor`);
  return floor[1];
}

/** `hypervisor/NAME/…`: NAME, unless it is a part that all hypervisors share. */
/** Folders of `hypervisor/` that all hypervisors share. */
const SHARED_FOLDERS = ['boot', 'fixtures', 'interrupt-controllers'];

function hypervisorOf(path: string): string | undefined {
  const name = /^hypervisor\/([^/]+)\//.exec(path)?.[1];
  return name === undefined || SHARED_FOLDERS.includes(name) ? undefined : name;
}

/**
 * Applies `rule` to each import of the product files in `where`. It returns the fault, or
 * undefined.
 */
function checkImports(
  where: (path: string) => boolean,
  rule: (file: SourceFile, one: Import) => string | undefined,
): void {
  const wrong: string[] = [];
  for (const file of products.filter(({ path }) => where(path))) {
    for (const one of file.imports) {
      const why = rule(file, one);
      if (why !== undefined) wrong.push(`${file.path} imports ${one.from}: ${why}`);
    }
  }
  assert.deepEqual(wrong, []);
}

const inFolder =
  (...folders: string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(folder));
const everywhere = (): boolean => true;

test('the sources are parsed: files, imports, and type imports apart from others', () => {
  assert.ok(products.length > 100, `${products.length} product files`);
  const slot = byPath.get('io-request/slot.ts');
  assert.deepEqual(slot?.imports, [
    { from: 'io-request/layout.ts', isType: false },
    { from: 'io-request/request-fields.ts', isType: true },
    { from: 'io-request/slot-observer.ts', isType: true },
    { from: 'io-request/state.ts', isType: false },
  ]);
  const client = byPath.get('hsm/io-client.ts');
  assert.ok(client?.imports.every(({ isType }) => isType));
  assert.ok(byPath.get('index.ts')?.imports.some(({ from, isType }) => from === 'vm/user-vm.ts' && isType));
  const all = products.flatMap(({ imports }) => imports);
  for (const { from } of all) assert.ok(!from.startsWith('.') && (isOwn(from) || !from.endsWith('.ts')), from);
});

describe('imports point down', () => {
  test('a file imports from its own floor and from lower ones', () => {
    checkImports(everywhere, ({ path }, { from }) =>
      isOwn(from) && floorOf(from) > floorOf(path)
        ? `floor ${floorOf(path)} reaches up to ${floorOf(from)}`
        : undefined,
    );
  });

  test('the live page does not import the command line, which is on top of it', () => {
    checkImports(inFolder('dashboard/'), (_, { from }) =>
      from.startsWith('cli/') ? 'move what both need to dashboard/' : undefined,
    );
  });

  test('there is no cycle, of values or of types', () => {
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      if (done.has(path) || trail.includes(path)) return;
      for (const { from } of byPath.get(path)?.imports ?? []) if (isOwn(from)) visit(from, [...trail, path]);
      done.add(path);
    };
    for (const { path } of products) visit(path, []);
    assert.deepEqual(cycles, []);
  });

  test('no product file imports a test or its fixtures', () => {
    checkImports(everywhere, (_, { from }) => (isTest(from) ? 'that is a test' : undefined));
  });
});

describe('dependencies', () => {
  test('a hypervisor imports the shared files and never another hypervisor', () => {
    checkImports(
      (path) => hypervisorOf(path) !== undefined,
      ({ path }, { from }) => {
        const other = hypervisorOf(from);
        return other !== undefined && other !== hypervisorOf(path) ? 'that is another hypervisor' : undefined;
      },
    );
  });

  test('the files that all hypervisors share import no single hypervisor', () => {
    checkImports(
      (path) => path.startsWith('hypervisor/') && hypervisorOf(path) === undefined,
      (_, { from }) => (hypervisorOf(from) === undefined ? undefined : 'a single hypervisor'),
    );
  });

  test('only the command line, the conformance tests and index.ts name a hypervisor’s folder', () => {
    checkImports(
      // Random privileged state needs the core itself: a VM would add a thread to each input.
      (path) =>
        !inFolder('hypervisor/', 'cli/', 'conformance/')(path) &&
        path !== 'index.ts' &&
        path !== 'fuzzing/targets/privileged-state.ts',
      (_, { from }) => (hypervisorOf(from) === undefined ? undefined : 'a user of the library brings the hypervisor'),
    );
  });

  test('the HSM imports the upcall and the hypercalls at run time, and else only types of the hypervisor', () => {
    // The hypercalls of asynchronous I/O have their own file, because not every hypervisor offers
    // them.
    const arrows = ['upcall', 'hypercalls', 'async-io-hypercalls'].map((name) => `hypervisor/${name}.ts`);
    checkImports(inFolder('hsm/'), (_, { from, isType }) =>
      from.startsWith('hypervisor/') && !isType && !arrows.includes(from) ? 'not one of the two arrows' : undefined,
    );
  });

  test('a device imports the interfaces of devices and nothing else at run time', () => {
    const allowed = ['device', 'clock', 'register-map', 'byte-registers', 'pci-function'].map(
      (name) => `device-model/${name}.ts`,
    );
    checkImports(inFolder('device-model/devices/'), (_, { from, isType }) =>
      from.startsWith('device-model/devices/') ||
      allowed.includes(from) ||
      from === 'io-request/upcall-error.ts' ||
      // What a device saves it reads again, from a file that anyone may have written.
      from === 'io-request/saved-state.ts' ||
      isType
        ? undefined
        : 'a device may not',
    );
  });

  test('a device imports not even the type of a slot, a client or a request', () => {
    checkImports(inFolder('device-model/devices/'), (_, { from }) =>
      inFolder('hsm/', 'trace/', 'io-request/slot.ts', 'io-request/shared-buffer.ts')(from)
        ? 'a device may not'
        : undefined,
    );
  });
});

test('only the entry point of the package lies at the root', () => {
  const root = products.map(({ path }) => path).filter((path) => !path.includes('/'));
  assert.deepEqual(root, ['index.ts']);
});

describe('portability', () => {
  /** The one line that chooses the host. */
  const CHOICE = 'host/current.ts';
  const ofNode = inFolder('host/node/');
  /** Runs wherever a hypervisor does. */
  const SUITE = 'conformance/hypervisor-suite/';
  /** Programs, and the server of the page, run on Node only. */
  const program = (path: string): boolean =>
    (inFolder('acrn-programs/', 'cli/', 'comparison/qemu/', 'conformance/', 'exploration/', 'fuzzing/')(path) &&
      !path.startsWith(SUITE)) ||
    /^dashboard\/[^/]+$/.test(path);
  const portable = (path: string): boolean => !ofNode(path) && !program(path);
  /** Globals beside those of the language. Browsers and Node have them. */
  const WEB_GLOBALS = [
    ...['performance', 'setTimeout', 'clearTimeout', 'queueMicrotask', 'structuredClone', 'crypto', 'URL'],
    ...['atob', 'btoa'],
    ...['DecompressionStream', 'ReadableStream', 'TextDecoder', 'TextEncoder'],
  ];
  /** Packages that need Node, whose work belongs to the host. */
  const NODE_PACKAGES = ['jiti', 'koffi'];

  test('Node is imported below host/node and in programs only', () => {
    checkImports(portable, (_, { from }) =>
      from.startsWith('node:') || NODE_PACKAGES.includes(from) ? 'it has to run in a browser too' : undefined,
    );
  });

  test('the host imports nothing of the project', () => {
    checkImports(inFolder('host/'), (_, { from }) =>
      isOwn(from) && !from.startsWith('host/') ? 'the host is below everything' : undefined,
    );
  });

  /** Programs of other processes are a matter of Linux, and no other host could offer it. */
  const ofLinux = (path: string): boolean => path.startsWith('acrn-programs/') || path === 'cli/program-signals.ts';

  test('the calls of Linux are those of one folder', () => {
    checkImports(ofLinux, (_, { from }) =>
      ofNode(from) && !from.startsWith('host/node/linux/') ? `import { host } from ${CHOICE}` : undefined,
    );
  });

  test('the host is chosen in one file', () => {
    checkImports(
      (path) => !ofNode(path) && path !== CHOICE && !ofLinux(path),
      (_, { from }) => (ofNode(from) ? `import { host } from ${CHOICE}` : undefined),
    );
  });

  test('portable code uses only globals that browsers have, too', { timeout: 120_000 }, () => {
    const uses = [...globalsByFile()].filter(([path]) => portable(path));
    const wrong = uses.flatMap(([path, names]) =>
      [...names].filter((name) => !WEB_GLOBALS.includes(name)).map((name) => `${path} uses ${name}`),
    );
    const used = new Set(uses.flatMap(([, names]) => [...names]));
    const unused = WEB_GLOBALS.filter((name) => !used.has(name));
    assert.deepEqual([wrong, unused], [[], []]);
  });

  test('koffi is named in the folder of Linux only', () => {
    const wrong = products
      .filter(({ path }) => !path.startsWith('host/node/linux/'))
      .filter(({ text }) => /['"]koffi['"]/.test(text))
      .map(({ path }) => path);
    assert.deepEqual(wrong, []);
  });
});

// Only the page is compiled with the DOM's types (its own tsconfig.json), and without Node's.
describe('the dashboard’s page', () => {
  const page = inFolder('dashboard/page/');
  /** Shared by the page and its server: runs in a browser and in Node. */
  const shared = (path: string): boolean =>
    inFolder('dashboard/view/')(path) || /^dashboard\/(protocol|limits|server-messages|slot-frame)\.ts$/.test(path);
  const agreed = [
    ...['layout', 'state', 'io-request', 'pci-address'].map((name) => `io-request/${name}.ts`),
    'debugging/breakpoint-limits.ts',
  ];

  test('imports of the project only the files that it shares with its server, and those of floor 0', () => {
    checkImports(
      (path) => page(path) || shared(path),
      (file, { from, isType }) => {
        if (from.startsWith('node:')) return 'it runs in a browser';
        if (!isOwn(from) || isType || shared(from) || agreed.includes(from)) return undefined;
        return page(from) && page(file.path) ? undefined : 'that is not for the page';
      },
    );
  });

  test('is bundled: no other file imports it, and only it has .tsx files', () => {
    checkImports(
      (path) => !page(path),
      (_, { from }) => (page(from) ? 'the server only sends its files' : undefined),
    );
    const odd = files.map(({ path }) => path).filter((path) => path.endsWith('.tsx') && !page(path));
    assert.deepEqual(odd, []);
  });
});

describe('shared memory', () => {
  /**
   * The files that create typed arrays over it. Others use SharedWords. A review for a processor
   * that reorders stores reads these files and the users of `loadRelaxed`.
   */
  const VIEWING = [
    // The page of slots, its words, and what orders threads.
    'io-request/shared-buffer.ts',
    'io-request/slot.ts',
    'sync/doorbell.ts',
    'sync/shared-ring.ts',
    'sync/shared-words.ts',
    // Lanes of events and times.
    'trace/trace-ring.ts',
    // Rings, counters, the RAM, and the memory of the core in which it lies.
    'hypervisor/async-io.ts',
    'hypervisor/guest-memory.ts',
    'hypervisor/kvm/kvm-run.ts',
    'hypervisor/sparse-pages.ts',
    'hypervisor/v86/core-memory.ts',
    'hypervisor/vm-shared-state.ts',
    // Bytes of a caller, which may be shared.
    'acrn-hsm/address-space.ts',
    'hypervisor/boot/image-reader.ts',
    // Puts it into files.
    'host/node/linux/memory-files.ts',
    'fuzzing/hang-words.ts',
  ];
  const VIEW = /^(?:DataView|(?:Big)?(?:Int|Uint|Float)\d+(?:Clamped)?Array)$/;
  // The page and its decoders get copies; the explorer's shared memory is simulated, in one thread.
  const isApart = inFolder('dashboard/page/', 'dashboard/view/', 'exploration/');

  /** The typed arrays that a file creates over a buffer that is, or may be, a SharedArrayBuffer. */
  function viewsByFile(): Map<string, string[]> {
    const { ts, program, sources } = compiled();
    const checker = program.getTypeChecker();
    const views = new Map<string, string[]>();
    for (const [path, source] of sources) {
      if (isApart(path)) continue;
      const visit = (node: TypeScript.Node): void => {
        const buffer = ts.isNewExpression(node) && VIEW.test(node.expression.getText(source)) && node.arguments?.[0];
        if (buffer !== false && buffer !== undefined) {
          const type = checker.getTypeAtLocation(buffer);
          const isShared = (type.isUnion() ? type.types : [type]).some(
            ({ symbol }) => (symbol as TypeScript.Symbol | undefined)?.name === 'SharedArrayBuffer',
          );
          if (isShared) views.set(path, [...(views.get(path) ?? []), node.getText(source)]);
        }
        ts.forEachChild(node, visit);
      };
      visit(source);
    }
    return views;
  }

  test('is viewed by typed arrays only in files that argue its ordering', { timeout: 120_000 }, () => {
    const views = viewsByFile();
    const unnamed = [...views].filter(([path]) => !VIEWING.includes(path));
    assert.deepEqual(unnamed, [], 'pass SharedWords instead, or name the file here and argue its ordering in it');
    assert.deepEqual([...views.keys()].sort(), [...VIEWING].sort(), 'a file is named that views no shared memory');
    // The lanes are views of the ring.
    const silent = [...VIEWING, 'trace/lane.ts'].filter(
      (path) => !/^ \* Ordering[:,] \S/m.test(headOf(byPath.get(path)?.text ?? '')),
    );
    assert.deepEqual(silent, [], 'the head comment needs a paragraph "Ordering: …"');
  });
});

interface Compiled {
  readonly ts: typeof TypeScript;
  readonly program: TypeScript.Program;
  /** By their paths from src/. */
  readonly sources: ReadonlyMap<string, TypeScript.SourceFile>;
}

let compilation: Compiled | undefined;

/** All product files but the page's, without the types of packages, Node and browsers. */
function compiled(): Compiled {
  if (compilation !== undefined) return compilation;
  const ts = createRequire(import.meta.url)('typescript') as typeof TypeScript;
  const options: TypeScript.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2024.d.ts'],
    module: ts.ModuleKind.NodeNext,
    types: [],
    strict: true,
    noEmit: true,
  };
  const host = ts.createCompilerHost(options);
  host.resolveModuleNameLiterals = (names, from) =>
    names.map(({ text }) =>
      text.startsWith('.') ? ts.resolveModuleName(text, from, options, host) : { resolvedModule: undefined },
    );
  const paths = products.map(({ path }) => path).filter((path) => !path.startsWith('dashboard/page/'));
  const nameOf = (path: string): string => fileURLToPath(new URL(path, src));
  const program = ts.createProgram(paths.map(nameOf), options, host);
  const sources = new Map<string, TypeScript.SourceFile>();
  for (const path of paths) {
    const source = program.getSourceFile(nameOf(path));
    if (source !== undefined) sources.set(path, source);
  }
  assert.ok(sources.size > 100, `${sources.size} compiled files`);
  compilation = { ts, program, sources };
  return compilation;
}

/** The values that no file declares, and the language does not either: what a host gives. */
function globalsByFile(): Map<string, Set<string>> {
  const { ts, program, sources } = compiled();
  const checker = program.getTypeChecker();
  const globals = new Map<string, Set<string>>();
  for (const [path, source] of sources) {
    const names = new Set<string>();
    const visit = (node: TypeScript.Node): void => {
      ts.forEachChild(node, visit);
      if (!ts.isIdentifier(node)) return;
      const { parent } = node;
      const isProperty = ts.isPropertyAccessExpression(parent) && parent.name === node;
      if (isProperty || ts.isNamedTupleMember(parent) || ts.isImportSpecifier(parent)) return;
      const symbol = ts.isShorthandPropertyAssignment(parent)
        ? checker.getShorthandAssignmentValueSymbol(parent)
        : checker.getSymbolAtLocation(node);
      if (symbol === undefined) names.add(node.text);
    };
    visit(source);
    globals.set(path, names);
  }
  return globals;
}

/** The comment at the beginning of a file. */
function headOf(text: string): string {
  return /^(?:#!.*\n)?\s*(\/\*\*[\s\S]*?\*\/)/.exec(text)?.[1] ?? '';
}

interface NamedFile {
  /** The file with the comment. */
  readonly path: string;
  readonly name: string;
  /** From the root of the repository. Undefined if there is no such file. */
  readonly found: string | undefined;
}

/**
 * The files that a part of the head comments names. A name starts at the folder of the comment's
 * file, or at one above it.
 */
function filesInHeads(part = (head: string): string => head): NamedFile[] {
  const named: NamedFile[] = [];
  for (const { path, text } of products) {
    for (const [name] of part(headOf(text)).matchAll(
      /(?<![\w./*<-])(?:[\w.-]+\/)*[\w.-]+\.(?:tsx?|m?js|c|asm|asl|md)\b/g,
    ))
      named.push({ path, name, found: find(dirname(`src/${path}`), name) });
  }
  return named;
}

function find(folder: string, name: string): string | undefined {
  const path = normalize(join(folder, name));
  if (existsSync(new URL(`../${path}`, src))) return path;
  return folder === '.' ? undefined : find(dirname(folder), name);
}

describe('a file is a page', () => {
  test('Atomics is named in the four files that a review of the concurrency has to read', () => {
    const naming = products
      .filter(({ text }) => /\bAtomics\./.test(text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')))
      .map(({ path }) => path)
      // It quotes the texts that seeded defects change, and runs none of them.
      .filter((path) => path !== 'exploration/acrn/request-defects.ts');
    assert.deepEqual(naming, ['io-request/slot.ts', 'sync/doorbell.ts', 'sync/shared-words.ts', 'trace/lane.ts']);
  });

  test('no product file has more than 300 lines', () => {
    const long = products.filter(({ text }) => text.split('\n').length - 1 > 300).map(({ path }) => path);
    assert.deepEqual(long, []);
  });

  test('each product file starts with a head comment', () => {
    const bare = products
      .filter(({ text }) => !/^(?:#!.*\n)?\s*(?:\/\*\*[\s\S]{30,}?\*\/|\/\/ .{20,})/.test(text))
      .map(({ path }) => path);
    assert.deepEqual(bare, []);
  });

  test('each file that a head comment names exists', () => {
    const noFiles = ['Node.js', 'xterm.js', './my-device.js'];
    const missing = filesInHeads()
      .filter(({ name, found }) => found === undefined && !noFiles.includes(name))
      .map(({ path, name }) => `${path} names ${name}`);
    assert.deepEqual(missing, [], 'name it from its own folder, or from one that has both');
  });

  test('a file that a “Called by:” names imports the file, or another one that does', () => {
    const importsOf = (path: string): readonly Import[] => byPath.get(path)?.imports ?? [];
    // Without what is in parentheses: that explains, and does not name callers.
    const callersOf = (head: string): string => {
      const [callers = ''] = /^ \* Called by:[^]*?\n \*(?:\s*\n| [A-Z][\w ]*:|\/)/m.exec(head) ?? [];
      return callers.replace(/\([^)]*\)/g, '');
    };
    const wrong = filesInHeads(callersOf)
      .filter(({ path, found }) => {
        if (found?.startsWith('src/') !== true) return false;
        const direct = importsOf(found.slice('src/'.length)).map(({ from }) => from);
        return !direct.includes(path) && !direct.some((via) => importsOf(via).some(({ from }) => from === path));
      })
      .map(({ path, name }) => `${path} names ${name}`);
    assert.deepEqual(wrong, []);
  });

  test('files are named in kebab-case', () => {
    const odd = files
      .map(({ path }) => path)
      .filter((path) => !/^(?:[a-z0-9-]+\/)*[a-z0-9-]+(?:\.test|\.d)?\.tsx?$/.test(path));
    assert.deepEqual(odd, []);
  });
});
