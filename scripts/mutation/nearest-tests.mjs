// The tests that are nearest to a module: its own, then those that import it, then those that
// import what imports it.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

/** Tests that start processes or browsers, explore, depend on time, or take long. */
const TOO_SLOW = new RegExp(
  [
    '^(?:cli|exploration|dashboard|fuzzing|acrn-hsm|hypervisor/v86)/',
    'soak|e2e|held-thread|hypervisor-suite|architecture|words\\.test|-conformance|node-eval|hostile-writer',
    '^conformance/(?:control-(?:model|process|thread)|hsm-script-main)',
    '^fault-injection/fault-injection|^hypervisor/(?:threaded-vm|boot/)|^vfio-user/qemu',
  ].join('|'),
);
/** Recorded and random scripts, which reach all of the dispatching code whatever they import. */
const SCRIPTS = ['hsm-script-edges', 'hsm-script', 'driver-model'].map((name) => `conformance/${name}.test.js`);
const HAS_SCRIPTS = /^(?:hsm|io-request)\//;
/** At most that many tests beside the scripts. */
const MOST = 16;

/** @type {(module: string) => string} */
export const ownTest = (module) => `${module}.test.js`;

export class NearestTests {
  /** @type {Map<string, readonly string[]>} */
  #importsOf = new Map();
  /** @type {readonly string[]} */
  #tests;

  /** @param {string} dist */
  constructor(dist) {
    const files = readdirSync(dist, { recursive: true }).map((file) => String(file).replaceAll('\\', '/'));
    for (const file of files.filter((name) => name.endsWith('.js'))) {
      const text = readFileSync(join(dist, file), 'utf8');
      const targets = [...text.matchAll(/(?:from|import) '(\.[^']+\.js)'|new URL\('(\.[^']+\.js)', import/g)];
      this.#importsOf.set(
        file,
        targets.map(([, a, b]) => posix.normalize(posix.join(dirname(file), a ?? b ?? ''))),
      );
    }
    this.#tests = [...this.#importsOf.keys()]
      .filter((file) => file.endsWith('.test.js') && !TOO_SLOW.test(file))
      .sort();
  }

  /**
   * The tests nearest first, then the scripts, as files of dist/.
   * @param {string} module its path in src/, without `.ts`
   * @returns {readonly string[]}
   */
  of(module) {
    const folder = posix.dirname(module);
    const near = this.#tests
      .map((test) => ({
        test,
        distance: test === ownTest(module) ? -1 : this.#distance(test, `${module}.js`),
        isFar: !test.startsWith(`${folder}/`),
      }))
      .filter(({ distance }) => distance < Infinity)
      .sort((a, b) => a.distance - b.distance || Number(a.isFar) - Number(b.isFar) || (a.test < b.test ? -1 : 1))
      .map(({ test }) => test)
      .slice(0, MOST);
    if (HAS_SCRIPTS.test(module)) near.push(...SCRIPTS.filter((test) => !near.includes(test)));
    return near;
  }

  /**
   * Imports between two files. Infinity: none.
   * @param {string} from
   * @param {string} to
   */
  #distance(from, to) {
    const seen = new Set([from]);
    let edge = [from];
    for (let distance = 0; edge.length > 0; distance++) {
      if (edge.includes(to)) return distance;
      edge = edge
        .flatMap((file) => this.#importsOf.get(file) ?? [])
        .filter((file) => !seen.has(file) && seen.add(file));
    }
    return Infinity;
  }
}
