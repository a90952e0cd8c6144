/**
 * The rules of checkRegisters about what a hostile guest does: any offset, size and value. The
 * device must not throw, must bound its work, and a reset must bring back the state of a new one.
 *
 * Called by: checkRegisters, after the rules of single registers.
 */

import { hex, truncate } from '../io-request/io-request.js';
import type { AccessSize } from '../device-model/device.js';
import type { Bench } from './bench.js';
import { MAX_INTERRUPT_MOVES, MAX_TIMERS } from './limits.js';
import { programText, type Step } from './program.js';
import { steadyValues, type Rule } from './register-rule.js';

export const ACCESS_RULES: readonly Rule[] = [anyAccessIsAnswered, resetRestores];

const SIZES: readonly AccessSize[] = [1, 2, 4];
const VALUES = [0xffff_ffff, 0, 1, 0x8000_0000, 0x5a5a_5a5a];
/** Offsets of a range that are tried: of a longer one every n-th, and its last ones. */
const MAX_OFFSETS = 1024;

/**
 * No access throws, gives a value that no guest can read, or makes more work than limits.ts allows.
 */
async function anyAccessIsAnswered({ prepared, find }: Parameters<Rule>[0]): Promise<void> {
  const bench = await prepared();
  for (const step of hostileAccesses(bench)) {
    const moves = bench.interruptMoves;
    try {
      if (step.kind === 'read') await bench.read(step.place.offset, step.place.size, step.place.bar);
      else if (step.kind === 'write') await bench.write(step.place.offset, step.place.size, step.value, step.place.bar);
    } catch (error) {
      find(`${programText([step])} throws: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (bench.interruptMoves - moves > MAX_INTERRUPT_MOVES)
      find(`${programText([step])} moves interrupts ${bench.interruptMoves - moves} times`);
    if (bench.clock.pending > MAX_TIMERS) {
      find(`${programText([step])}: ${bench.clock.pending} timers wait`);
      return;
    }
  }
}

/** After writes of one value everywhere, a reset gives what a new device has. */
async function resetRestores({ fresh, prepared, find }: Parameters<Rule>[0]): Promise<void> {
  const wanted = steadyValues(await fresh());
  for (const value of VALUES) {
    const bench = await prepared();
    for (const step of hostileAccesses(bench, [value]))
      if (step.kind === 'write')
        await bench.write(step.place.offset, step.place.size, step.value, step.place.bar).catch(() => undefined);
    bench.reset();
    if (bench.level()) find('an interrupt line is high after a reset');
    const now = steadyValues(bench);
    for (const [key, first] of wanted) {
      const name = key.slice(key.indexOf(':') + 1);
      if (now.get(key) !== first)
        find(`${name}: it is ${text(now.get(key))} after a reset, and ${text(first)} in a new device`);
    }
  }
}

function* hostileAccesses({ spaces }: Bench, values: readonly number[] = VALUES): Generator<Step> {
  for (const { bar, length } of spaces) {
    const stride = Math.max(1, Math.ceil(length / MAX_OFFSETS));
    const offsets = Array.from({ length: Math.ceil(length / stride) }, (_, index) => index * stride);
    if (stride > 1) for (let offset = length - 4; offset < length; offset++) offsets.push(offset);
    for (const offset of offsets)
      for (const size of SIZES) {
        if (offset + size > length) continue;
        yield { kind: 'read', place: { bar, offset, size } };
        for (const value of values) yield { kind: 'write', place: { bar, offset, size }, value: truncate(value, size) };
        yield { kind: 'read', place: { bar, offset, size } };
      }
  }
}

function text(value: number | undefined): string {
  return value === undefined ? 'unknown' : hex(value);
}
