// A copy of the compiled sources in the system's temporary folder, in which one module at a time is
// exchanged, and the tests of that copy.

import { spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What tests read beside the compiled sources. */
const SHARED = ['node_modules', 'conformance', 'examples', 'guests', 'native', 'package.json', 'src', 'templates'];
/** Runs test files one after the other in one process, which is quicker than a process for each. */
const RUNNER = 'for (const file of process.argv.slice(2)) await import(file);\n';

/**
 * @typedef {{ passed: boolean, by: string, seconds: number }} TestResult
 */

export class MutatedCopy {
  #folder = mkdtempSync(join(tmpdir(), 'upcall-mutants-'));
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #running;

  /**
   * @param {string} root of the package
   * @param {string} dist the compiled sources
   */
  constructor(root, dist) {
    // Tests run programs of it as another user.
    chmodSync(this.#folder, 0o755);
    cpSync(dist, join(this.#folder, 'dist'), { recursive: true });
    for (const shared of SHARED) symlinkSync(join(root, shared), join(this.#folder, shared));
    writeFileSync(join(this.#folder, 'runner.mjs'), RUNNER);
  }

  /** @type {(module: string) => string} The JavaScript of a module. */
  textOf(module) {
    return readFileSync(join(this.#folder, `dist/${module}.js`), 'utf8');
  }

  /**
   * Runs tests while `module` has another text. The first failure ends the run.
   * @param {string} module without `.js`
   * @param {string} text JavaScript
   * @param {readonly string[]} tests files of dist/
   * @param {number} limitMs
   * @returns {Promise<TestResult>}
   */
  async runWith(module, text, tests, limitMs) {
    const target = join(this.#folder, `dist/${module}.js`);
    const before = readFileSync(target, 'utf8');
    writeFileSync(target, text);
    try {
      return await this.run(tests, limitMs);
    } finally {
      writeFileSync(target, before);
    }
  }

  /**
   * @param {readonly string[]} tests files of dist/
   * @param {number} limitMs
   * @param {NodeJS.ProcessEnv} env
   * @returns {Promise<TestResult>}
   */
  run(tests, limitMs, env = {}) {
    const started = performance.now();
    const files = tests.map((test) => join(this.#folder, 'dist', test));
    const child = spawn(process.execPath, ['--test-reporter=tap', join(this.#folder, 'runner.mjs'), ...files], {
      stdio: ['ignore', 'pipe', 'ignore'],
      // The runner of a surrounding test must not read this one's results.
      env: { ...process.env, NODE_TEST_CONTEXT: '', ...env },
    });
    this.#running = child;
    return new Promise((resolve) => {
      let by = '';
      let output = '';
      const timer = setTimeout(() => end('time'), limitMs);
      /** @type {(why: string) => void} */
      const end = (why) => {
        by ||= why;
        child.kill('SIGKILL');
      };
      child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ chunk) => {
        output += chunk;
        const failure = /^\s*not ok \d+ - (?!.*# (?:TODO|SKIP))(.*)\n/m.exec(output)?.[1];
        if (failure !== undefined) end(failure);
        output = output.slice(output.lastIndexOf('\n') + 1);
      });
      child.on('close', (status) => {
        clearTimeout(timer);
        this.#running = undefined;
        const passed = status === 0 && by === '';
        resolve({ passed, by: by || 'the run failed', seconds: (performance.now() - started) / 1000 });
      });
    });
  }

  close() {
    this.#running?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** @type {(ts: import('typescript'), path: string, text: string) => string} */
export const javaScript = (ts, path, text) =>
  ts.transpileModule(text, {
    fileName: path,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
  }).outputText;
