/**
 * The 16550 serial port under comparison: COM1 of a PC. The guest sends, receives its own
 * characters in loopback, and programs every register.
 *
 * Called by: compared-devices.ts.
 *
 * What differs is in uart-explained.ts.
 */

import { Uart16550 } from '../../device-model/devices/uart16550.js';
import type { Chance } from '../chance.js';
import type { ComparedDevice } from '../compared-device.js';
import { read, wait, write, type Action } from '../step.js';
import { UART_EXPLAINED } from './uart-explained.js';

const [DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCRATCH] = [0, 1, 2, 2, 3, 4, 5, 6, 7] as const;
// LCR.
const DLAB = 0x80;
const WORD_8 = 0x03;
// MCR.
const OUT2 = 0x08;
const LOOPBACK = 0x10;

/** Four characters of 115200 baud take 347 us: some waits are shorter, some longer. */
const WAITS_US = [20, 100, 400, 1500] as const;

export const UART: ComparedDevice = {
  name: 'uart',
  title: '16550 serial port',
  port: 0x3f8,
  line: { number: 4, compare: 'level' },
  create: (clock, interrupt) => new Uart16550({ clock, interrupt }),
  prologue: [
    write(MCR, OUT2),
    // Divisor 1: 115200 baud.
    ...[write(LCR, DLAB | WORD_8), write(DATA, 1), write(IER, 0), write(LCR, WORD_8)],
    // Both FIFOs on and cleared, then off.
    ...[write(IER, 0), write(FCR, 0x07), write(FCR, 0), write(SCRATCH, 0)],
    // RBR keeps its last character: a 0 in both.
    ...[write(MCR, LOOPBACK), write(DATA, 0), write(MCR, OUT2)],
    ...[read(DATA), read(LSR), read(MSR), read(IIR)],
  ],
  action,
  anyValue: true,
  explained: UART_EXPLAINED,
};

function action(chance: Chance): Action {
  switch (chance.below(12)) {
    case 0:
      return [wait(chance.pick(WAITS_US))];
    case 1:
      return [write(MCR, LOOPBACK | chance.below(16))];
    case 2:
      return [write(MCR, OUT2 | chance.byte())];
    case 3:
      // A burst that fills a part of the FIFO, or all of it.
      return Array.from({ length: chance.between(1, 18) }, () => write(DATA, chance.byte()));
    case 4:
      return [write(FCR, chance.byte() | 1)];
    case 5:
      return [write(FCR, chance.byte())];
    case 6:
      return [write(IER, chance.byte())];
    case 7:
      return [write(LCR, chance.pick([WORD_8, WORD_8, DLAB | WORD_8, chance.byte()]))];
    case 8:
      return [write(chance.below(8), chance.byte())];
    default:
      return [read(chance.pick([DATA, IER, IIR, IIR, LCR, MCR, LSR, LSR, MSR, SCRATCH]))];
  }
}
