/**
 * A campaign: coverage-guided fuzzing of one target until a limit, an abort or a finding.
 *
 * - Called by: `npm run fuzz` for long runs, and a test for a short run of each target.
 * - Inputs that reach new code are kept and mutated further. A finding is shrunk before it is
 *   returned.
 */

import { BlockCoverage } from './block-coverage.js';
import type { FuzzTarget } from './fuzz-target.js';
import { mutate, seededChance } from './mutator.js';
import { Player } from './player.js';

/** Corpus limit in memory: the oldest inputs are evicted. */
const MAX_KEPT = 4000;
/**
 * Inputs between two readings of the coverage, if inputs are quick. A reading takes milliseconds.
 * If it shows new code, all inputs since the last one are kept.
 */
const BATCH = 16;
/**
 * Inputs are quick if they take less than this on average. After slow ones the coverage is read
 * each time: so only the input that reached new code is kept.
 */
const QUICK_MS = 2;

export interface CampaignOptions {
  readonly target: FuzzTarget;
  /** Played first, and mutated into new inputs. */
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  /** New inputs, without those of the corpus. Default: no limit. */
  readonly maxInputs?: number;
  readonly maxMs?: number;
  readonly signal?: AbortSignal;
  /** Called with each input before it is played, for a watchdog of hangs. */
  readonly playing?: (input: Uint8Array) => void;
  /** Called after each input. `finding` is then the input as it was found: shrinking takes long. */
  readonly onProgress?: (report: CampaignReport) => void;
}

export interface Finding {
  /**
   * In the campaign's result, the input after shrinking. Empty for a finding at the end
   * (OpenTarget.close).
   */
  readonly input: Uint8Array;
  readonly message: string;
}

export interface CampaignReport {
  readonly target: string;
  readonly seed: number;
  /** How many inputs were played, with those of the corpus and without those of shrinking. */
  inputs: number;
  elapsedMs: number;
  /** Source characters reached (BlockCoverage). */
  reached: number;
  /** The batches that reached new code, without the corpus: the newest MAX_KEPT inputs. */
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
    report.elapsedMs = performance.now() - started;
    if (message !== undefined) report.finding = { input, message };
    onProgress?.(report);
    if (message === undefined) return;
    report.finding = { input: await player.shrink(input), message };
    report.elapsedMs = performance.now() - started;
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

/** Returns the inputs that reach code which neither `corpus` nor a shorter input reaches. */
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

/** Whether `url` is the project's code, without this folder and tests. */
function isOurs(url: string): boolean {
  return url.startsWith(ROOT) && !url.startsWith(import.meta.resolve('./')) && !url.endsWith('.test.js');
}

const ROOT = import.meta.resolve('../');
