/**
 * findFailingProgram: plays random programs against a device until one fails, and shrinks it to the
 * steps that are needed.
 *
 * Called by: an author's tests. Needs fast-check, an optional package, which makes the programs and
 * shrinks them.
 *
 * A program fails if the device throws or gives what no guest can read, if an access makes more
 * work than limits.ts allows, if a reset does not restore what a new device has, if timers are left
 * after `close`, or if `holds` throws.
 */

import type { Arbitrary } from 'fast-check';
import { host } from '../host/current.js';
import { truncate } from '../io-request/io-request.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { AccessSize } from '../device-model/device.js';
import type { Bench } from './bench.js';
import { MAX_INTERRUPT_MOVES, MAX_TIMERS } from './limits.js';
import { playStep } from './play.js';
import { programText, stepText, type Step } from './program.js';
import { steadyValues } from './register-rule.js';
import { testFileText, type FailingProgram, type TestFile } from './test-file.js';

export interface RandomProgramOptions {
  /** How many programs. Default: 200. */
  readonly runs?: number;
  /** Steps of the longest program. Default: 30. */
  readonly maxSteps?: number;
  /** Default: one of the time, which `seed` of the result names. */
  readonly seed?: number;
  /** Called after each step. What it throws is a failure. */
  readonly holds?: (bench: Bench) => void | Promise<void>;
  /** Writes a test of the shrunk program to a file. Default: none is written. */
  readonly saveTo?: TestFile;
}

const VALUES = [0, 1, 2, 3, 0x7f, 0x80, 0xff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const SIZES: readonly AccessSize[] = [1, 2, 4];
/** A wait is this long at most: a bench's clock fires each timer in between. */
const MAX_WAIT_MS = 100_000;

/**
 * Returns the shortest failing program that was found, or undefined if all hold. Rejects with
 * TOOL_MISSING without fast-check, with what `create` rejects with, and with the host's error if
 * `saveTo` cannot be written.
 */
export async function findFailingProgram(
  create: () => Promise<Bench>,
  { runs = 200, maxSteps = 30, seed = Date.now() % 2 ** 31, holds, saveTo }: RandomProgramOptions = {},
): Promise<FailingProgram | undefined> {
  const fc = await fastCheck();
  const model = await create();
  const anyStep = stepsOf(fc, model);
  model.close();
  const property = fc.asyncProperty(fc.array(anyStep, { maxLength: maxSteps }), async (program) => {
    const problem = await problemOf(create, program, holds);
    if (problem !== undefined) throw new Error(problem);
  });
  const details = await fc.check(property, { numRuns: runs, seed });
  if (!details.failed) return undefined;
  const steps = await withFewBits(details.counterexample?.[0] ?? [], create, holds);
  const message = (await problemOf(create, steps, holds)) ?? 'the program fails only now and then';
  const failing = { program: programText(steps), message, seed };
  if (saveTo !== undefined) {
    const file = await host.createFile(saveTo.file);
    try {
      await file.write(new TextEncoder().encode(testFileText(failing, saveTo)));
    } finally {
      await file.close();
    }
  }
  return failing;
}

type FastCheck = (typeof import('fast-check'))['default'];

async function fastCheck(): Promise<FastCheck> {
  try {
    return (await import('fast-check')).default;
  } catch (error) {
    throw new UpcallError('TOOL_MISSING', 'random programs need the package fast-check', {
      remedy: 'Install it: npm install --save-dev fast-check',
      cause: error,
    });
  }
}

/**
 * Accesses to the device's registers and to any offset, waits, stores to guest memory, and now and
 * then a reset.
 */
function stepsOf(fc: FastCheck, { spaces, registers, memory }: Bench): Arbitrary<Step> {
  const value = fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(...VALUES),
    fc.integer({ min: 0, max: 0xffff_ffff }),
  );
  const named = (registers?.registers ?? []).map(({ name, offset, size, bar = 0 }) => ({ bar, offset, size, name }));
  const anywhere = fc
    .tuple(fc.constantFrom(...spaces), fc.nat(), fc.constantFrom(...SIZES))
    .filter(([{ length }, , size]) => size <= length)
    .map(([{ bar, length }, at, size]) => ({ bar, offset: at % (length - size + 1), size }));
  const place = named.length === 0 ? anywhere : fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...named) }, anywhere);
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(place, value)
        .map(([at, one]): Step => ({ kind: 'write', place: at, value: truncate(one, at.size) })),
    },
    { weight: 5, arbitrary: place.map((at): Step => ({ kind: 'read', place: at })) },
    {
      weight: 3,
      arbitrary: fc
        .oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: MAX_WAIT_MS }))
        .map((ms): Step => ({ kind: 'wait', ms })),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.integer({ min: 0, max: memory.size / 4 - 1 }), value)
        .map(([word, one]): Step => ({ kind: 'store', address: 4 * word, size: 4, value: one })),
    },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: 'reset' }) },
  );
}

/**
 * Clears each bit of a written value that the failure does not need. fast-check makes numbers
 * smaller, which often cannot reach a single bit.
 */
async function withFewBits(
  program: readonly Step[],
  create: () => Promise<Bench>,
  holds: RandomProgramOptions['holds'],
): Promise<readonly Step[]> {
  let best = program;
  for (let at = 0; at < program.length; at++)
    for (let bit = 31; bit >= 0; bit--) {
      const step = best[at];
      if (step?.kind !== 'write' && step?.kind !== 'store') break;
      if (((step.value >>> bit) & 1) === 0) continue;
      const candidate = best.with(at, { ...step, value: (step.value & ~(1 << bit)) >>> 0 });
      if ((await problemOf(create, candidate, holds)) !== undefined) best = candidate;
    }
  return best;
}

/** What a program shows to be wrong, or undefined. */
async function problemOf(
  create: () => Promise<Bench>,
  program: readonly Step[],
  holds: RandomProgramOptions['holds'],
): Promise<string | undefined> {
  const bench = await create();
  try {
    for (const step of program) {
      const moves = bench.interruptMoves;
      try {
        await playStep(bench, step);
        await holds?.(bench);
      } catch (error) {
        return `${stepText(step)}: ${error instanceof Error ? error.message : String(error)}`;
      }
      const isAccess = step.kind === 'read' || step.kind === 'write';
      if (isAccess && bench.interruptMoves - moves > MAX_INTERRUPT_MOVES)
        return `${stepText(step)} moves interrupts ${bench.interruptMoves - moves} times`;
      if (bench.clock.pending > MAX_TIMERS) return `${stepText(step)}: ${bench.clock.pending} timers wait`;
    }
    return await problemOfReset(bench, create);
  } finally {
    bench.close();
  }
}

async function problemOfReset(bench: Bench, create: () => Promise<Bench>): Promise<string | undefined> {
  bench.reset();
  if (bench.level()) return 'an interrupt line is high after a reset';
  const fresh = await create();
  const wanted = JSON.stringify([...steadyValues(fresh)]);
  fresh.close();
  const found = JSON.stringify([...steadyValues(bench)]);
  if (found !== wanted) return `after a reset the registers are ${found}, in a new device ${wanted}`;
  bench.close();
  return bench.clock.pending === 0 ? undefined : `${bench.clock.pending} timers are left after close()`;
}
