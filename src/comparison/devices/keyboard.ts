/**
 * The i8042 keyboard controller under comparison, with its keyboard: ports 0x60 and 0x64, line 1 of
 * a PC.
 *
 * Called by: compared-devices.ts.
 *
 * Left out are the commands that reset the machine or move the A20 gate, and those for a mouse:
 * upcall has no port for one.
 */

import { I8042 } from '../../device-model/devices/i8042.js';
import type { Chance } from '../chance.js';
import type { ComparedDevice } from '../compared-device.js';
import { read, write, type Action, type Step } from '../step.js';
import { KEYBOARD_EXPLAINED } from './keyboard-explained.js';

// Offsets of the two ports. A read of COMMAND is the status.
const DATA = 0;
const COMMAND = 4;
// Commands to the controller.
const READ_CONFIG = 0x20;
const WRITE_CONFIG = 0x60;
const SELF_TEST = 0xaa;
const TEST_KEYBOARD_PORT = 0xab;
const DISABLE_KEYBOARD = 0xad;
const ENABLE_KEYBOARD = 0xae;
const WRITE_OUTPUT_BUFFER = 0xd2;
// Commands to the keyboard.
const SET_LEDS = 0xed;
const ECHO = 0xee;
const IDENTIFY = 0xf2;
const SET_TYPEMATIC = 0xf3;
const ENABLE_SCANNING = 0xf4;
const DISABLE_SCANNING = 0xf5;
const SET_DEFAULTS = 0xf6;
/** More than the bytes that keyboard and controller can have waiting: 16 and 1. */
const ALL_WAITING = 18;
// Bits of the command byte.
const INTERRUPT = 0x01;
const SYSTEM_FLAG = 0x04;
const NO_MOUSE = 0x20;
const TRANSLATION = 0x40;
const CONFIG = INTERRUPT | SYSTEM_FLAG | NO_MOUSE | TRANSLATION;

export const KEYBOARD: ComparedDevice = {
  name: 'i8042',
  title: 'i8042 keyboard controller with keyboard',
  port: 0x60,
  line: { number: 1, compare: 'level' },
  create: (_clock, interrupt) => {
    const nothing = (): void => undefined;
    const controller = new I8042({ power: { powerOff: nothing, reset: nothing }, interrupt });
    const at = (offset: number): typeof controller.data => (offset === DATA ? controller.data : controller.command);
    return {
      // The I8042 answers at once, never by a promise.
      read: (offset, size) => at(offset).read(0, size) as number,
      write: (offset, size, value) => void at(offset).write(0, size, value),
    };
  },
  prologue: [
    // What a program before this one has left, and a keyboard with its defaults. Each of the
    // keyboard's commands has one answer, ACK. The second read is to spare.
    ...drained(ALL_WAITING),
    ...[write(COMMAND, SELF_TEST), read(DATA)],
    ...[write(COMMAND, WRITE_CONFIG), write(DATA, CONFIG), write(DATA, SET_DEFAULTS), ...drained(2)],
    ...[write(DATA, ENABLE_SCANNING), ...drained(2)],
  ],
  action,
  anyValue: false,
  explained: KEYBOARD_EXPLAINED,
};

/** Reads bytes whether they are there or not. */
function drained(bytes: number): Step[] {
  return Array.from({ length: bytes }, () => read(DATA));
}

function action(chance: Chance): Action {
  // The status, the answer if there is one, and the status after it.
  const rest = [read(COMMAND), read(DATA), read(COMMAND)];
  switch (chance.below(6)) {
    case 0:
      return [
        write(COMMAND, chance.pick([READ_CONFIG, SELF_TEST, TEST_KEYBOARD_PORT, DISABLE_KEYBOARD, ENABLE_KEYBOARD])),
        ...rest,
      ];
    case 1: {
      const changed = chance.pick([0, INTERRUPT, TRANSLATION, INTERRUPT | TRANSLATION]);
      return [write(COMMAND, WRITE_CONFIG), write(DATA, SYSTEM_FLAG | NO_MOUSE | changed), read(COMMAND)];
    }
    case 2:
      return [write(COMMAND, WRITE_OUTPUT_BUFFER), write(DATA, chance.byte()), ...rest];
    case 3:
      // Commands to the keyboard, with their parameter, and all bytes that it answers.
      return [
        ...chance
          .pick([
            [SET_LEDS, 0x02],
            [IDENTIFY],
            [SET_TYPEMATIC, 0x20],
            [ENABLE_SCANNING],
            [DISABLE_SCANNING],
            [SET_DEFAULTS],
            [ECHO],
          ])
          .flatMap((byte) => [write(DATA, byte), ...rest, read(DATA), read(DATA), read(COMMAND)]),
      ];
    case 4:
      return [read(DATA)];
    default:
      return [read(COMMAND)];
  }
}
