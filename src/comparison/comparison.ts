/**
 * Comparison: plays random programs against our model of a device and against the reference, finds
 * the first observation that differs, and shrinks the program that shows it.
 *
 * Called by: the command `upcall compare`, and its tests.
 *
 * A program is made from its own seed, `seed` plus its number, so each can be repeated alone.
 */

import { Bench } from './bench.js';
import { Chance } from './chance.js';
import type { ComparedDevice, Difference, ExplainedDifference } from './compared-device.js';
import type { DeviceUnderComparison, Observation } from './device-under-comparison.js';
import { shrinkProgram } from './shrink-program.js';
import type { Action, Program } from './step.js';

export interface ComparisonOptions {
  readonly seed: number;
  readonly programs: number;
  /** Actions of a program. */
  readonly length: number;
  /** Called before each program. Ends the comparison if it returns false. Default: never. */
  readonly goOn?: (programsDone: number) => boolean;
}

export interface Finding {
  /** The seed of the one program that shows it. */
  readonly seed: number;
  /** Shrunk. Its last step differs. */
  readonly difference: Difference;
}

export interface ComparisonResult {
  readonly device: ComparedDevice;
  /** Programs that were played. */
  readonly programs: number;
  /** Observations that were compared, without those of the prologue. */
  readonly observations: number;
  /** How often each explained difference occurred. */
  readonly explained: ReadonlyMap<ExplainedDifference, number>;
  /** Undefined if every difference is explained. */
  readonly finding: Finding | undefined;
}

export class Comparison {
  readonly #device: ComparedDevice;
  readonly #ours: Bench;
  readonly #reference: DeviceUnderComparison;
  readonly #explained = new Map<ExplainedDifference, number>();
  #observations = 0;

  constructor(device: ComparedDevice, reference: DeviceUnderComparison) {
    this.#device = device;
    this.#ours = new Bench(device.create);
    this.#reference = reference;
  }

  /** Stops at the first difference that is not explained. Rejects as the reference's `play`. */
  async run({ seed, programs, length, goOn }: ComparisonOptions): Promise<ComparisonResult> {
    let done = 0;
    let finding: Finding | undefined;
    for (; done < programs && finding === undefined && goOn?.(done) !== false; done++) {
      const program = this.randomProgram(seed + done, length);
      if ((await this.#firstUnexplained(program, { isCounted: true })) !== undefined)
        finding = await this.#shrink(program, seed + done);
    }
    return {
      device: this.#device,
      programs: done,
      observations: this.#observations,
      explained: this.#explained,
      finding,
    };
  }

  randomProgram(seed: number, length: number): Program {
    const chance = new Chance(seed);
    const program: Action[] = [];
    while (program.length < length) program.push(this.#device.action(chance, program));
    return program;
  }

  /** The first difference of a program that is not explained. Undefined if every one is. */
  firstUnexplained(program: Program): Promise<Difference | undefined> {
    return this.#firstUnexplained(program, { isCounted: false });
  }

  /** Reduces a program that differs. `seed` is the program's own. */
  async #shrink(program: Program, seed: number): Promise<Finding> {
    let difference = await this.#firstUnexplained(program, { isCounted: false });
    await shrinkProgram(this.#device, program, async (candidate) => {
      const found = await this.#firstUnexplained(candidate, { isCounted: false });
      if (found === undefined) return false;
      difference = found;
      return true;
    });
    if (difference !== undefined) return { seed, difference };
    // QEMU counts instructions and our clock is manual, so this is a fault of the comparison.
    throw new Error(`program ${seed} of ${this.#device.name} differed once and not again`);
  }

  /** `isCounted`: whether observations and explained differences go into the result. */
  async #firstUnexplained(
    program: Program,
    { isCounted }: { readonly isCounted: boolean },
  ): Promise<Difference | undefined> {
    const { prologue, line, explained } = this.#device;
    const steps = [...prologue, ...program.flat()];
    const starts = actionStarts(prologue.length, program);
    const reference = await this.#reference.play(steps);
    const times = reference.map(({ timeNs }) => timeNs);
    const ours = this.#ours.playNow(steps, times);
    /** How often the line rises in one step. */
    const risen = (all: readonly Observation[], index: number): number =>
      (all[index]?.rises ?? 0) - (all[index - 1]?.rises ?? 0);
    const sameLine = (index: number): boolean => {
      if (line === undefined) return true;
      if (line.compare === 'level') return ours[index]?.level === reference[index]?.level;
      return risen(ours, index) === risen(reference, index);
    };
    for (let index = prologue.length; index < steps.length; index++) {
      const [one, other] = [ours[index], reference[index]] as [Observation, Observation];
      if (isCounted) this.#observations++;
      for (const of of ['value', 'line'] as const) {
        if (of === 'value' ? one.value === other.value : sameLine(index)) continue;
        const actionStart = starts[index] as number;
        const difference: Difference = {
          steps: steps.slice(0, index + 1),
          step: steps[index] as Difference['step'],
          ours: { ...one, rises: risen(ours, index) },
          reference: { ...other, rises: risen(reference, index) },
          allOurs: ours.slice(0, index + 1),
          allReference: reference.slice(0, index + 1),
          of,
          actionStart,
          // Plays our device again, with the action and all steps after it moved by `ns`.
          oursLater: (ns) => {
            const later = times.map((time, at) => (at < actionStart ? time : time + ns));
            const all = this.#ours.playNow(steps.slice(0, index + 1), later);
            return { ...(all[index] as Observation), rises: risen(all, index) };
          },
        };
        const explanation = explained.find((one) => one.matches(difference));
        if (explanation === undefined) return difference;
        if (isCounted) this.#explained.set(explanation, (this.#explained.get(explanation) ?? 0) + 1);
        // The devices are in different states now: the rest would differ without a meaning.
        if (!explanation.goesOn) return undefined;
      }
    }
    return undefined;
  }
}

/** For each step, the index of its action's first step. */
function actionStarts(first: number, program: Program): number[] {
  const starts = Array.from({ length: first }, (_, index) => index);
  for (const action of program) {
    const start = starts.length;
    for (let within = 0; within < action.length; within++) starts.push(start);
  }
  return starts;
}
