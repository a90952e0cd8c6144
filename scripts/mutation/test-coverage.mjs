// What each test file runs, as V8 counts it in the process and its threads, and how long it takes.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * @typedef {{ startOffset: number, endOffset: number, count: number }} Range
 * @typedef {{ seconds: number, ranges: Map<string, Range[][]> }} Measured
 *   By module: the ranges of each process and thread that loaded it.
 */

/** For one test file. */
const LIMIT_MS = 300_000;
/** The module in the URL of a script. */
const MODULE = /\/dist\/(.+)\.js$/;

export class TestCoverage {
  #copy;
  #isMutated;
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** @type {Map<string, Promise<Measured>>} */
  #measured = new Map();

  /**
   * @param {import('./mutated-copy.mjs').MutatedCopy} copy closed with this
   * @param {(module: string) => boolean} isMutated
   */
  constructor(copy, isMutated) {
    this.#copy = copy;
    this.#isMutated = isMutated;
  }

  /**
   * Seconds that a test takes without a mutant.
   * @param {string} test
   */
  async secondsOf(test) {
    return (await this.#measure(test)).seconds;
  }

  /**
   * Whether a test runs the code at an offset of a module's JavaScript.
   * @param {string} test
   * @param {string} module
   * @param {number} offset
   */
  async runs(test, module, offset) {
    const { ranges } = await this.#measure(test);
    return (ranges.get(module) ?? []).some((list) => innermost(list, offset)?.count !== 0);
  }

  close() {
    this.#copy.close();
  }

  /** @type {(test: string) => Promise<Measured>} Measured one after the other. */
  #measure(test) {
    const known = this.#measured.get(test);
    if (known !== undefined) return known;
    const measured = this.#last.then(() => this.#run(test));
    this.#last = measured;
    this.#measured.set(test, measured);
    return measured;
  }

  /** @type {(test: string) => Promise<Measured>} */
  async #run(test) {
    const folder = mkdtempSync(join(tmpdir(), 'upcall-coverage-'));
    try {
      const env = { NODE_V8_COVERAGE: folder };
      let { passed, by, seconds } = await this.#copy.run([test], LIMIT_MS, env);
      // A machine that stalls for a moment is not a reason to leave a test out.
      if (!passed) ({ passed, by, seconds } = await this.#copy.run([test], LIMIT_MS, env));
      if (passed) return { seconds, ranges: this.#rangesIn(folder) };
      process.stdout.write(`LEFT OUT  ${test}, which fails without a mutant: ${by}\n`);
      return { seconds, ranges: new Map() };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  /** @type {(folder: string) => Map<string, Range[][]>} */
  #rangesIn(folder) {
    /** @type {Map<string, Range[][]>} */
    const ranges = new Map();
    for (const file of readdirSync(folder)) {
      /** @type {{ result: { url: string, functions: { ranges: Range[] }[] }[] }} */
      const { result } = JSON.parse(readFileSync(join(folder, file), 'utf8'));
      for (const { url, functions } of result) {
        const module = MODULE.exec(url)?.[1];
        if (module === undefined || !this.#isMutated(module)) continue;
        const lists = ranges.get(module) ?? [];
        ranges.set(module, [...lists, functions.flatMap((fn) => fn.ranges)]);
      }
    }
    return ranges;
  }
}

/**
 * The smallest range with the offset: V8 nests ranges, and the innermost one's count holds. Code
 * without a range counts as run.
 * @type {(ranges: readonly Range[], offset: number) => Range | undefined}
 */
function innermost(ranges, offset) {
  /** @type {Range | undefined} */
  let found;
  for (const range of ranges) {
    if (range.startOffset > offset || range.endOffset <= offset) continue;
    if (found === undefined || size(range) < size(found)) found = range;
  }
  return found;
}

/** @type {(range: Range) => number} */
const size = ({ startOffset, endOffset }) => endOffset - startOffset;
