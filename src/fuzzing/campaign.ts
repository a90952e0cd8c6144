/**
 * A campaign: one target, inputs without end. It keeps those that reach new code and makes the next
 * ones of them, until its limit, a finding or somebody's wish. A finding is made small before it is
 * reported. `npm run fuzz` runs campaigns for long, a test each of them for a moment.
 */

import { BlockCoverage } from './block-coverage.js';
import type { FuzzTarget } from './fuzz-target.js';
import { mutate, seededChance } from './mutator.js';
import { Player } from './player.js';

/** Kept inputs beyond which the oldest make room. */
const MAX_KEPT = 4000;
/** To look at the coverage takes milliseconds: quick inputs share a look, and are kept together. */
const BATCH = 16;
const QUICK_MS = 2;

export interface CampaignOptions {
  readonly target: FuzzTarget;
  /** Played first, and what new inputs are made of. */
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  /** Beside those of the corpus. */
  readonly maxInputs?: number;
  readonly maxMs?: number;
  readonly signal?: AbortSignal;
  /** Told of each input before it is played: whoever ends a hung process wants to know it. */
  readonly playing?: (input: Uint8Array) => void;
  readonly onProgress?: (report: CampaignReport) => void;
}

export interface Finding {
  /** Small. */
  readonly input: Uint8Array;
  readonly message: string;
}

export interface CampaignReport {
  readonly target: string;
  readonly seed: number;
  inputs: number;
  elapsedMs: number;
  /** Bytes of source that were reached. */
  reached: number;
  /** Inputs that reached something new, without those of the corpus. */
  readonly kept: Uint8Array[];
  finding: Finding | undefined;
}

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { target, corpus, seed, maxInputs = Infinity, maxMs = Infinity, signal, onProgress } = options;
  const chance = seededChance(seed);
  const started = performance.now();
  const report: CampaignReport = {
    target: target.name,
    seed,
    inputs: 0,
    elapsedMs: 0,
    reached: 0,
    kept: [],
    finding: undefined,
  };
  const coverage = new BlockCoverage(isOurs);
  const player = new Player(target, options.playing);
  const play = async (input: Uint8Array): Promise<void> => {
    const message = await player.play(input);
    report.inputs++;
    if (message !== undefined) {
      report.finding = { input, message };
      onProgress?.(report);
      report.finding = { input: await player.shrink(input), message };
    }
    report.elapsedMs = performance.now() - started;
    onProgress?.(report);
  };
  const isOver = (): boolean => report.finding !== undefined || report.elapsedMs >= maxMs || signal?.aborted === true;
  try {
    for (const input of corpus) if (!isOver()) await play(input);
    coverage.take();
    for (let left = maxInputs; left > 0 && !isOver();) {
      const isQuick = report.elapsedMs < QUICK_MS * report.inputs;
      const parents = [...corpus, ...report.kept];
      const batch: Uint8Array[] = [];
      for (const size = isQuick ? BATCH : 1; batch.length < size && left > 0 && !isOver(); left--) {
        const input = mutate(parents, chance, target.maxBytes);
        batch.push(input);
        await play(input);
      }
      if (coverage.take() === 0) continue;
      report.reached = coverage.reached;
      report.kept.push(...batch);
      report.kept.splice(0, report.kept.length - MAX_KEPT);
    }
  } finally {
    report.reached = coverage.reached;
    coverage.close();
    const message = await player.close();
    if (message !== undefined) report.finding ??= { input: new Uint8Array(0), message: `at the end: ${message}` };
  }
  return report;
}

/**
 * Those of `inputs` that reach what neither `corpus` nor the ones before them do, short ones first.
 */
export async function distill(
  target: FuzzTarget,
  corpus: readonly Uint8Array[],
  inputs: readonly Uint8Array[],
): Promise<Uint8Array[]> {
  const coverage = new BlockCoverage(isOurs);
  const player = new Player(target);
  const distilled: Uint8Array[] = [];
  for (const input of corpus) await player.play(input);
  coverage.take();
  for (const input of inputs.toSorted((a, b) => a.length - b.length)) {
    await player.play(input);
    if (coverage.take() > 0) distilled.push(input);
  }
  coverage.close();
  await player.close();
  return distilled;
}

/** The project's own code, wherever it was built, without what makes and judges inputs. */
function isOurs(url: string): boolean {
  return url.startsWith(ROOT) && !url.startsWith(import.meta.resolve('./')) && !url.endsWith('.test.js');
}

const ROOT = import.meta.resolve('../');
