/**
 * Explained differences of the interval timer.
 *
 * Called by: pit.ts.
 */

import type { Difference, ExplainedDifference } from '../compared-device.js';
import type { Step } from '../step.js';

const SHEET = 'Intel 8254 data sheet (231164)';
// Offsets of the control word, and of port 0x61.
const CONTROL = 3;
const GATE_PORT = 0x21;
// Bits of port 0x61.
const REFRESH = 0x10;
const OUT_2 = 0x20;
const TICK_NS = 1e9 / 1_193_182;
/** In ticks: the two of the difference, and one for rounding on either side. */
const SHIFTS = [-3, -2, -1, 1, 2, 3] as const;
/** Of a command in the control word: what it does, without the counters for which it does so. */
const COMMAND_BITS = 0xf0;
/** A read-back of the status alone. */
const READ_BACK_STATUS = 0xe0;
// Bits of a status byte.
const NULL_COUNT = 0x40;
const OUT = 0x80;

/** What a list of steps says about a counter, without times: a count is taken as loaded at once. */
interface CounterState {
  /** Bits 1 to 3 of the control word. 6 and 7 are modes 2 and 3. */
  mode: number;
  isBcd: boolean;
  /** The last one that was written. */
  count: number;
  /** Whether the gate was low, or moved, since the mode was written. */
  gateMoved: boolean;
  /** Counts that were written since the mode was. */
  counts: number;
}

export const PIT_EXPLAINED: readonly ExplainedDifference[] = [
  {
    what: 'a count, OUT or an interrupt, by at most two ticks of the clock',
    right: 'upcall',
    source: `${SHEET}, Counter, Mode Definitions`,
    because:
      'a count is loaded at the next CLK pulse after it was written, and in mode 4 OUT rises a tick after the end of the count. QEMU loads it at once, and its OUT rises at the end',
    goesOn: true,
    matches: (difference) =>
      SHIFTS.some((ticks) => {
        const later = difference.oursLater(ticks * TICK_NS);
        return difference.of === 'value'
          ? later.value === difference.reference.value
          : later.rises === difference.reference.rises;
      }),
  },
  {
    what: 'the interrupt at a write to the timer itself',
    right: 'upcall',
    source: `${SHEET}, Mode Definitions`,
    because: 'OUT takes the first state of its mode with the control word. In QEMU it follows the count',
    goesOn: true,
    matches: ({ of, step }) => of === 'line' && step.kind === 'write' && (step.offset === 0 || step.offset === CONTROL),
  },
  {
    what: 'OUT and null count in a status byte, and OUT2 of port 0x61',
    right: 'upcall',
    source: `${SHEET}, Read-Back Command; Modes 2 and 4`,
    because:
      'null count is set from the control word until the count is loaded, and OUT is low in the last tick only. QEMU has no null count, and shows OUT of these modes inverted',
    goesOn: true,
    matches: (difference) => {
      const { mode } = counterState(difference.steps, isGatePort(difference) ? 2 : (readsCounter(difference) ?? 0));
      const isInverted = mode === 2 || mode === 4 || mode === 5;
      if (isStatus(difference)) return (differing(difference) & ~(NULL_COUNT | (isInverted ? OUT : 0))) === 0;
      return isGatePort(difference) && isInverted && (differing(difference) & ~(REFRESH | OUT_2)) === 0;
    },
  },
  {
    what: 'counter 2 after its gate has moved',
    right: 'upcall',
    source: `${SHEET}, Gate`,
    because: 'a low gate holds the count in modes 0, 2, 3 and 4, and a rising one starts modes 1 and 5. QEMU counts on',
    goesOn: true,
    matches: (difference) => {
      const { gateMoved, mode } = counterState(difference.steps, 2);
      if (!gateMoved && mode !== 1 && mode !== 5) return false;
      return (
        readsCounter(difference) === 2 || (isGatePort(difference) && (differing(difference) & ~(REFRESH | OUT_2)) === 0)
      );
    },
  },
  {
    what: 'a counter in BCD',
    right: 'upcall',
    source: `${SHEET}, Control Word, bit 0`,
    because: 'it counts four decimal digits. QEMU counts in binary',
    goesOn: true,
    matches: ofCounter(({ isBcd }) => isBcd),
  },
  {
    what: 'mode 3 with an odd count',
    right: 'upcall',
    source: `${SHEET}, Mode 3`,
    because: 'the count falls by two from an even number in both halves. QEMU counts down from the odd number',
    goesOn: true,
    matches: ofCounter(({ mode, count }) => (mode & 3) === 3 && count % 2 === 1),
  },
  {
    what: 'a new count in mode 2 or 3',
    right: 'upcall',
    source: `${SHEET}, Modes 2 and 3`,
    because: 'it is loaded at the end of the current cycle, or half cycle. QEMU loads it at once',
    goesOn: true,
    matches: ofCounter(({ mode, counts }) => (mode & 2) !== 0 && counts > 1),
  },
  {
    what: 'refresh bit (4) of port 0x61',
    right: 'upcall',
    source: 'Intel 82371SB (PIIX3) data sheet, NMI status and control',
    because: 'it toggles with each refresh of the memory. In QEMU it toggles with each read',
    goesOn: true,
    matches: (difference) => isGatePort(difference) && (differing(difference) & ~REFRESH) === 0,
  },
];

/** The counter after all of `steps`. */
function counterState(steps: readonly Step[], counter: number): CounterState {
  const state: CounterState = { mode: 0, isBcd: false, count: 0, gateMoved: false, counts: 0 };
  let low = 0;
  let highIsNext = false;
  // Only counter 2 has a gate that moves. It is low until port 0x61 is written.
  let isGateLow = counter === 2;
  for (const step of steps) {
    if (step.kind !== 'write') continue;
    if (step.offset === GATE_PORT && counter === 2) {
      const isLow = (step.value & 1) === 0;
      if (isLow !== isGateLow) state.gateMoved = true;
      isGateLow = isLow;
      // A control word of this counter, but not a latch command (bits 4 and 5 clear).
    } else if (step.offset === CONTROL && step.value >>> 6 === counter && (step.value & 0x30) !== 0) {
      state.mode = (step.value >>> 1) & 7;
      state.isBcd = (step.value & 1) !== 0;
      state.counts = 0;
      state.gateMoved = isGateLow;
      highIsNext = false;
    } else if (step.offset === counter) {
      // Every count is two writes: pit.ts uses LOW_THEN_HIGH only.
      if (highIsNext) {
        state.count = low | (step.value << 8);
        state.counts++;
      } else low = step.value;
      highIsNext = !highIsNext;
    }
  }
  return state;
}

/** Whether the step reads port 0x61. */
function isGatePort({ of, step }: Difference): boolean {
  return of === 'value' && step.kind === 'read' && step.offset === GATE_PORT;
}

function differing({ ours, reference }: Difference): number {
  return (ours.value ?? 0) ^ (reference.value ?? 0);
}

/** The counter whose port the step reads. */
function readsCounter({ of, step }: Difference): number | undefined {
  return of === 'value' && step.kind === 'read' && step.offset < CONTROL ? step.offset : undefined;
}

/** Whether the step reads a status byte: the step before it is a read-back of the status alone. */
function isStatus(difference: Difference): boolean {
  const last = difference.steps.at(-2);
  return (
    readsCounter(difference) !== undefined &&
    last?.kind === 'write' &&
    last.offset === CONTROL &&
    (last.value & COMMAND_BITS) === READ_BACK_STATUS
  );
}

/** Matches the counter that is read, counter 0 for its interrupt, counter 2 for port 0x61. */
function ofCounter(condition: (state: CounterState) => boolean): (difference: Difference) => boolean {
  return (difference) => {
    const counter = difference.of === 'line' ? 0 : isGatePort(difference) ? 2 : readsCounter(difference);
    return counter !== undefined && condition(counterState(difference.steps, counter));
  };
}
