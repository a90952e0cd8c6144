/**
 * The 8254 interval timer under comparison, with port 0x61 (offset 0x21), which gates counter 2 and
 * shows its OUT. Line 0 of a PC.
 *
 * Called by: compared-devices.ts.
 *
 * Within the data sheet a counter has a control word and a complete count before it is used, and
 * the counts of modes 2 and 3 are at least 2. Counter 0 gets no short counts: its interrupts would
 * come faster than upcall delivers them. What differs is in pit-explained.ts.
 */

import { Pit8254 } from '../../device-model/devices/pit8254.js';
import { SystemControlPort } from '../../device-model/devices/system-control-port.js';
import type { Chance } from '../chance.js';
import type { ComparedDevice } from '../compared-device.js';
import { read, wait, write, type Action, type Program, type Step } from '../step.js';
import { PIT_EXPLAINED } from './pit-explained.js';

const CONTROL = 3;
const GATE_PORT = 0x21;

const LATCH = 0x00;
const LOW_THEN_HIGH = 0x30;
const READ_BACK = 0xc0;
/** Bits of a read-back command that say what is not latched. `2 << n` selects counter n. */
const NO_COUNT = 0x20;
const NO_STATUS = 0x10;
/** Mode 2 in bits 1 to 3 of a control word. */
const MODE_2 = 0x04;
/** The counter with a gate. */
const GATED = 2;

export const PIT: ComparedDevice = {
  name: 'pit',
  title: '8254 interval timer',
  port: 0x40,
  line: { number: 0, compare: 'rises' },
  create: (clock, interrupt) => {
    const pit = new Pit8254({ clock, interrupt });
    const port61 = new SystemControlPort(pit);
    return {
      read: (offset, size) => (offset === GATE_PORT ? port61.read(0, size) : pit.read(offset, size)),
      write: (offset, size, value) =>
        offset === GATE_PORT ? port61.write(0, size, value) : pit.write(offset, size, value),
    };
  },
  prologue: [
    ...[write(GATE_PORT, 1), ...programmed(0, 0, 0xffff), ...programmed(1, MODE_2, 18), ...programmed(2, 0, 0xffff)],
    wait(10),
  ],
  action,
  anyValue: false,
  explained: PIT_EXPLAINED,
};

/** A control word and a whole count. `mode`: bits 0 to 3 of the word. */
function programmed(counter: number, mode: number, count: number): Step[] {
  return [
    write(CONTROL, (counter << 6) | LOW_THEN_HIGH | mode),
    write(counter, count & 0xff),
    write(counter, (count >>> 8) & 0xff),
  ];
}

function action(chance: Chance, before: Program): Action {
  const counter = chance.below(3);
  switch (chance.below(8)) {
    case 0:
      // 1200 ticks are a millisecond.
      return programmed(counter, modeFor(chance, counter), chance.between(counter === 0 ? 1200 : 4, 0xffff));
    case 1:
      // A new count, for now or for the next cycle. The counter's mode is not known here, so the
      // count suits all modes.
      return before.length === 0
        ? [wait(10)]
        : [write(counter, chance.byte()), write(counter, chance.between(counter === 0 ? 6 : 1, 0xff))];
    case 2:
      return [write(CONTROL, (counter << 6) | LATCH), read(counter), read(counter)];
    case 3:
      return [write(CONTROL, READ_BACK | NO_COUNT | (2 << counter)), read(counter)];
    case 4:
      return [write(CONTROL, READ_BACK | NO_STATUS | (2 << counter)), read(counter), read(counter)];
    case 5:
      return [chance.oneIn(2) ? read(GATE_PORT) : write(GATE_PORT, chance.below(4))];
    default:
      return [wait(chance.pick([1, 5, 50, 500, 5000, chance.between(1, 30_000)]))];
  }
}

/**
 * A mode for `programmed`: BCD once in ten times. Modes 1 and 5 need a gate that rises, which only
 * counter 2 has.
 */
function modeFor(chance: Chance, counter: number): number {
  const mode = counter === GATED ? chance.below(6) : chance.pick([0, 2, 3, 4]);
  return (mode << 1) | (chance.oneIn(10) ? 1 : 0);
}
