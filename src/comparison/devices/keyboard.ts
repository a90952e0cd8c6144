/**
 * The i8042 keyboard controller under comparison, with its keyboard: ports 0x60 and 0x64, line 1 of
 * a PC.
 *
 * Left out are the commands that reset the machine or move the A20 gate, and those for a mouse:
 * upcall has no port for one.
 */

import { I8042 } from '../../device-model/devices/i8042.js';
import type { Chance } from '../chance.js';
import type { ComparedDevice } from '../compared-device.js';
import { read, write, type Action, type Step } from '../step.js';
import { KEYBOARD_EXPLAINED } from './keyboard-explained.js';

const DATA = 0;
const COMMAND = 4;
const WRITE_CONFIG = 0x60;
const SELF_TEST = 0xaa;
/** Interrupt of the keyboard, system flag, no mouse, translation. */
const CONFIG = 0x65;

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
      read: (offset, size) => at(offset).read(0, size) as number,
      write: (offset, size, value) => void at(offset).write(0, size, value),
    };
  },
  prologue: [
    // What a program before this one has left, and a keyboard with its defaults.
    ...drained(18),
    ...[write(COMMAND, SELF_TEST), read(DATA)],
    ...[write(COMMAND, WRITE_CONFIG), write(DATA, CONFIG), write(DATA, 0xf6), ...drained(2)],
    ...[write(DATA, 0xf4), ...drained(2)],
  ],
  action,
  anyValue: false,
  explained: KEYBOARD_EXPLAINED,
};

function drained(bytes: number): Step[] {
  return Array.from({ length: bytes }, () => read(DATA));
}

function action(chance: Chance): Action {
  const rest = [read(COMMAND), read(DATA), read(COMMAND)];
  switch (chance.below(6)) {
    case 0:
      return [write(COMMAND, chance.pick([0x20, 0xaa, 0xab, 0xad, 0xae])), ...rest];
    case 1:
      return [write(COMMAND, WRITE_CONFIG), write(DATA, 0x24 | chance.pick([0, 1, 0x40, 0x41])), read(COMMAND)];
    case 2:
      return [write(COMMAND, 0xd2), write(DATA, chance.byte()), ...rest];
    case 3:
      // Commands to the keyboard, with their parameter, and all bytes that it answers.
      return [
        ...chance
          .pick([[0xed, 0x02], [0xf2], [0xf3, 0x20], [0xf4], [0xf5], [0xf6], [0xee]])
          .flatMap((byte) => [write(DATA, byte), ...rest, read(DATA), read(DATA), read(COMMAND)]),
      ];
    case 4:
      return [read(DATA)];
    default:
      return [read(COMMAND)];
  }
}
