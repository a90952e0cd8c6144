/**
 * play: runs a program on a bench and compares what it gives with what is expected.
 *
 * Called by: an author's tests, and checkRegisters for its `prepare`. The random programs call
 * `playStep`.
 */

import { hex } from '../io-request/io-request.js';
import type { AccessSize } from '../device-model/device.js';
import type { Bench } from './bench.js';
import { parseProgram, programText, stepText, type Expectation, type Step } from './program.js';

/**
 * A step that did not give what was expected, or at which the device or the bench threw (`cause`).
 */
export class PlayError extends Error {
  override readonly name = 'PlayError';
  /** The index of the step. */
  readonly step: number;

  constructor(step: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.step = step;
  }
}

/**
 * Plays `program`, a text (program.ts has its form) or steps. Resolves with the values of its
 * reads, peeks and loads, in order. Rejects with PlayError at the first step that does not give
 * what is expected, or at which the device or the bench throws, and with OPTION_INVALID for a text
 * that is not a program.
 */
export async function play(bench: Bench, program: string | readonly Step[]): Promise<readonly (number | undefined)[]> {
  const steps = typeof program === 'string' ? parseProgram(program, bench.registers) : program;
  const values: (number | undefined)[] = [];
  for (const [index, step] of steps.entries()) {
    let value: number | undefined;
    try {
      value = await playStep(bench, step);
    } catch (error) {
      throw new PlayError(
        index,
        `${bench.name}: ${stepText(step)} failed${after(steps, index)}: ${text(error)}`,
        error,
      );
    }
    if (step.kind === 'read' || step.kind === 'peek' || step.kind === 'load') values.push(value);
    const expected = 'expected' in step ? step.expected : undefined;
    if (expected !== undefined && !isAsExpected(value, expected)) {
      const found = value === undefined ? 'nothing' : hex(value);
      throw new PlayError(index, `${bench.name}: ${stepText(step)}, but it is ${found}${after(steps, index)}`);
    }
  }
  return values;
}

/**
 * Makes one step, and does not compare its value with `expected`. Returns undefined for a step that
 * has no value.
 */
export async function playStep(bench: Bench, step: Step): Promise<number | undefined> {
  switch (step.kind) {
    case 'write': {
      const { offset, size, bar } = step.place;
      await bench.write(offset, size, step.value, bar);
      return undefined;
    }
    case 'read':
      return bench.read(step.place.offset, step.place.size, step.place.bar);
    case 'peek':
      return bench.peek(step.place.offset, step.place.size, step.place.name, step.place.bar);
    case 'wait':
      bench.clock.advance(step.ms);
      return undefined;
    case 'line':
      return bench.level(step.number) ? 1 : 0;
    case 'raised':
      return bench.raised(step.number);
    case 'store':
      store(bench, step.address, step.size, step.value);
      return undefined;
    case 'load':
      return load(bench, step.address, step.size);
    case 'reset':
      bench.reset();
      return undefined;
  }
}

function isAsExpected(value: number | undefined, { value: wanted, mask }: Expectation): boolean {
  return value !== undefined && ((value ^ wanted) & mask) === 0;
}

function store({ memory }: Bench, address: number, size: AccessSize, value: number): void {
  if (size === 1) memory.writeU8(address, value);
  else if (size === 2) memory.writeU16(address, value);
  else memory.writeU32(address, value);
}

function load({ memory }: Bench, address: number, size: AccessSize): number {
  return size === 1 ? memory.readU8(address) : size === 2 ? memory.readU16(address) : memory.readU32(address);
}

/**
 * The text of the steps before `index`. With it, a message has all that is needed to repeat the
 * failure.
 */
function after(steps: readonly Step[], index: number): string {
  return index === 0 ? '' : `, after ${programText(steps.slice(0, index))}`;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
