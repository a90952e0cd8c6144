/**
 * BlockCoverage: detects code that no earlier input reached. Called by: campaign.ts.
 *
 * It uses V8's block counts of this thread (the inspector's Profiler). Code in other threads is not
 * counted. V8 reports a function's blocks as ranges within the function, outer ones first. A map of
 * the function's source characters records what was reached. Nested functions have their own maps.
 */

import { Session, type Profiler } from 'node:inspector';

interface SeenFunction {
  /** By character of its source: 1 if it was reached. */
  readonly reached: Uint8Array;
  /** Characters that were not reached. */
  missing: number;
}

export class BlockCoverage {
  readonly #session = new Session();
  readonly #isCounted: (url: string) => boolean;
  readonly #functions = new Map<string, SeenFunction>();
  /** Characters of source reached so far. */
  reached = 0;

  /** `isCounted`: whether the script with this URL is counted. */
  constructor(isCounted: (url: string) => boolean) {
    this.#isCounted = isCounted;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Returns the number of source characters reached for the first time since the last call. */
  take(): number {
    let found = 0;
    // The inspector of the own thread calls back synchronously.
    this.#session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error;
      for (const { url, scriptId, functions } of result)
        if (this.#isCounted(url)) for (const one of functions) found += this.#add(scriptId, one);
    });
    this.reached += found;
    return found;
  }

  close(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /**
   * Records one function's counts. Returns how many of its characters were reached for the first
   * time.
   */
  #add(scriptId: string, { ranges }: Profiler.FunctionCoverage): number {
    const [whole, ...blocks] = ranges;
    if (whole === undefined || whole.count === 0) return 0;
    const { startOffset: start, endOffset: end } = whole;
    const key = `${scriptId} ${start} ${end}`;
    let known = this.#functions.get(key);
    if (known === undefined) {
      known = { reached: new Uint8Array(end - start), missing: end - start };
      this.#functions.set(key, known);
    }
    if (known.missing === 0) return 0;
    // A block inside another one comes later in the list, and its count replaces that of the outer
    // one.
    const now = new Uint8Array(end - start).fill(1);
    for (const { startOffset, endOffset, count } of blocks)
      now.fill(count > 0 ? 1 : 0, startOffset - start, endOffset - start);
    let found = 0;
    for (let at = 0; at < now.length; at++) {
      if (now[at] === 0 || known.reached[at] !== 0) continue;
      known.reached[at] = 1;
      found++;
    }
    known.missing -= found;
    return found;
  }
}
