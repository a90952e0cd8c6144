/**
 * LatencyPanel: a plot (uPlot) of p50 and p99 of one stage of requests over the last minutes, on a
 * logarithmic scale.
 */

import { useSignal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { shortTime } from '../../view/amounts.js';
import { PLOTTED_STAGES, type PlottedStage } from '../../view/latency-history.js';
import { useApp } from '../parts/app-context.js';
import { shownTheme, strings } from '../settings.js';

export function LatencyPanel(): JSX.Element {
  const { live } = useApp();
  const place = useRef<HTMLDivElement>(null);
  const stage = useSignal<PlottedStage>('total');
  const { latency: words } = strings();

  useSignalEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    // A plot has one theme and one language: a change creates a new plot.
    const plot = new uPlot(options(element, shownTheme.value, strings().latency.time), [[], [], []], element);
    const sizes = new ResizeObserver(() => plot.setSize(sizeOf(element)));
    sizes.observe(element);
    const shown = stage.value;
    plot.setData(live.history.columns(shown));
    const stop = live.tables.subscribe(() => plot.setData(live.history.columns(shown)));
    return () => {
      stop();
      sizes.disconnect();
      plot.destroy();
    };
  });

  return (
    <div class="table-panel">
      <div class="toolbar">
        <label>
          <span class="visually-hidden">{words.stage}</span>
          <select
            class="stage"
            value={stage.value}
            onChange={({ currentTarget }) => (stage.value = currentTarget.value as PlottedStage)}
          >
            {PLOTTED_STAGES.map((one) => (
              <option key={one} value={one}>
                {words.stages[one]}
              </option>
            ))}
          </select>
        </label>
        <LatestPercentiles stage={stage.value} />
      </div>
      <div class="plot" ref={place} role="img" aria-label={`${words.title}: ${words.stages[stage.value]}`} />
    </div>
  );
}

function LatestPercentiles({ stage }: { readonly stage: PlottedStage }): JSX.Element {
  const { live } = useApp();
  const now = live.tables.value?.latency[stage];
  return (
    <span class="legend mono">
      <span class="key key-p50" /> p50 <b>{now ? shortTime(now.p50Ns) : '–'}</b>
      <span class="key key-p99" /> p99 <b>{now ? shortTime(now.p99Ns) : '–'}</b>
    </span>
  );
}

/**
 * `distr` 3 is logarithmic. uPlot's types declare an enum that does not exist at run time: hence
 * the cast.
 */
const SCALES = {
  x: { time: false, range: (_: uPlot, min: number | null, max: number | null) => minutes(min, max) },
  y: { distr: 3, range: (_: uPlot, min: number | null, max: number | null) => decades(min, max) },
} as unknown as uPlot.Scales;

/** The plot's options. uPlot's own title and legend are off. */
function options(element: HTMLElement, theme: 'light' | 'dark', timeName: string): uPlot.Options {
  // The effect that sets the document's theme may run later than this.
  document.documentElement.dataset['theme'] = theme;
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const rem = parseFloat(style.fontSize);
  const font = `${Math.round(rem * 0.85)}px ${colour('--sans')}`;
  const axis: uPlot.Axis = {
    stroke: colour('--dim'),
    font,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
  };
  return {
    ...sizeOf(element),
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 5 } },
    scales: SCALES,
    axes: [
      {
        ...axis,
        label: `${timeName} (s)`,
        labelFont: font,
        labelSize: rem * 1.3,
        size: rem * 2.5,
        values: wholeSeconds,
      },
      {
        ...axis,
        size: rem * 5,
        splits: (_, __, min, max) => decadesBetween(min, max),
        // Show all of them: uPlot hides some on a logarithmic scale.
        filter: (_, splits) => splits,
        values: (_, ticks) => ticks.map(decadeTime),
      },
    ],
    series: [
      {},
      { label: 'p50', stroke: colour('--processing'), width: 1.5, points: { show: false } },
      { label: 'p99', stroke: colour('--pending'), width: 1.5, dash: [5, 3], points: { show: false } },
    ],
  };
}

function wholeSeconds(_: uPlot, ticks: number[]): string[] {
  return ticks.map((seconds) => `${Number(seconds.toFixed(2))}`);
}

/**
 * The limits of the time axis, in seconds: everything, but at least one minute, so that the scale
 * does not change at the start.
 */
function minutes(min: number | null, max: number | null): [number, number] {
  const last = max ?? 0;
  const first = Math.max(0, Math.min(min ?? last, last - 60));
  return [first, Math.max(last, first + 60)];
}

/**
 * The limits of the latency axis, in ns: whole decades, at least two, so that it changes rarely.
 */
function decades(min: number | null, max: number | null): [number, number] {
  const low = 10 ** Math.floor(Math.log10(Math.max(1, min ?? 1000)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(10, max ?? 1e6)));
  return [low, Math.max(high, low * 100)];
}

/** The powers of ten from `min` to `max`, both inclusive. */
function decadesBetween(min: number, max: number): number[] {
  const first = Math.round(Math.log10(min));
  return Array.from({ length: Math.round(Math.log10(max)) - first + 1 }, (_, i) => 10 ** (first + i));
}

/** A power of ten as text: `10 ms`, not `10.0 ms`. */
function decadeTime(ns: number): string {
  return shortTime(ns).replace(/\.0+(?= )/, '');
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: Math.max(100, element.clientWidth), height: Math.max(60, element.clientHeight) };
}
