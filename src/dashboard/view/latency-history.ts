/**
 * LatencyHistory: p50 and p99 of each stage of requests over the last five minutes, as the columns
 * of a plot. It keeps at most MAX_POINTS. An interval without requests is a gap.
 *
 * Called by: Live, with each `tables` message; LatencyPanel, for the columns.
 */

import type { Percentiles, Tables } from '../protocol.js';

/** Four per second for five minutes. */
export const MAX_POINTS = 1200;
export const PLOTTED_STAGES = ['total', 'wait', 'work', 'wake'] as const;
export type PlottedStage = (typeof PLOTTED_STAGES)[number];

/** Three columns: seconds, p50 in ns, p99 in ns. */
export type PlotColumns = [number[], (number | null)[], (number | null)[]];

interface Point {
  readonly seconds: number;
  readonly latency: Readonly<Record<PlottedStage, Percentiles | null>>;
}

export class LatencyHistory {
  #points: Point[] = [];

  add({ timeMs, latency }: Pick<Tables, 'timeMs' | 'latency'>): void {
    const seconds = timeMs / 1000;
    // The time goes back if the page has connected to another process.
    if (seconds < (this.#points.at(-1)?.seconds ?? 0)) this.#points = [];
    this.#points.push({ seconds, latency });
    if (this.#points.length > MAX_POINTS) this.#points = this.#points.slice(-MAX_POINTS);
  }

  /** The columns for the plot of one stage. */
  columns(stage: PlottedStage): PlotColumns {
    const of = (key: keyof Percentiles): (number | null)[] =>
      // A logarithmic scale has no 0.
      this.#points.map(({ latency }) => (latency[stage] === null ? null : Math.max(1, latency[stage][key])));
    return [this.#points.map(({ seconds }) => seconds), of('p50Ns'), of('p99Ns')];
  }
}
