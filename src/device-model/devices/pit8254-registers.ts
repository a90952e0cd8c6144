/**
 * Registers, commands and time base of the Intel 8254. The PC's interval timer counts a twelfth of
 * the 14.31818 MHz crystal.
 *
 * Called by: the timer (pit8254.ts), its parts, and system-control-port.ts.
 *
 * The counters work in ticks, not in milliseconds. A tick is one CLK pulse, numbered from the start
 * of the Clock.
 */

import type { RegisterMap } from '../register-map.js';

/** 1.193182 MHz, exactly a third of the ACPI timer's 3.579545 MHz. */
export const PIT_TICKS_PER_MS = 14_318.18 / 12;

/** The last tick at or before `ms` of the Clock. */
export function tickAt(ms: number): number {
  return Math.floor(ms * PIT_TICKS_PER_MS);
}

/**
 * The time of `tick` in ms, a little late: by a thousandth of a tick, or by what a number of this
 * size loses to rounding if that is more. So `tickAt` of it never is the tick before.
 */
export function msOfTick(tick: number): number {
  return (tick + Math.max(0.001, tick * 2 ** -51)) / PIT_TICKS_PER_MS;
}

export const PIT_COUNTERS = 3;
export const CONTROL_PORT = 3;

/** Bits 7 and 6 of a control word: the counter, or the read-back command. */
export const READ_BACK = 3;
/** Bits of the read-back command, which latches what has a 0 here. */
export const ReadBack = { NOT_COUNT: 0x20, NOT_STATUS: 0x10 } as const;

/**
 * Bits 5 and 4 of a control word: the bytes of the count to access, or the counter latch command.
 */
export const Access = { LATCH: 0, LOW_BYTE: 1, HIGH_BYTE: 2, LOW_THEN_HIGH: 3 } as const;

/** Bits 7 and 6 of a status byte. The other bits are the control word. */
export const PitStatus = { OUT: 0x80, NULL_COUNT: 0x40 } as const;

export const PIT8254_REGISTERS: RegisterMap = {
  source: 'Intel 8254 Programmable Interval Timer data sheet, order number 231164-005',
  registers: [
    {
      offset: 0,
      size: 1,
      name: 'COUNTER0',
      access: 'rw',
      meaning: 'count of the system timer, whose OUT is interrupt 0',
    },
    { offset: 1, size: 1, name: 'COUNTER1', access: 'rw', meaning: 'count of the memory refresh timer' },
    { offset: 2, size: 1, name: 'COUNTER2', access: 'rw', meaning: 'count of the speaker timer, gated by port 0x61' },
    {
      offset: CONTROL_PORT,
      size: 1,
      name: 'CONTROL',
      access: 'w',
      meaning: 'control word, counter latch command or read-back command',
      fields: [
        { bits: [0, 0], name: 'BCD', meaning: 'count in four decimal digits instead of 16 bits' },
        { bits: [1, 3], name: 'MODE', meaning: '0 to 5; 6 and 7 are 2 and 3' },
        { bits: [4, 5], name: 'RW', meaning: '0 latch the count, 1 low byte, 2 high byte, 3 low then high' },
        { bits: [6, 7], name: 'SC', meaning: 'counter, or 3: read-back of the counters in bits 1 to 3' },
      ],
    },
  ],
};

export const SYSTEM_CONTROL_REGISTERS: RegisterMap = {
  source: 'IBM PC AT Technical Reference; Intel 82371SB (PIIX3) data sheet, NMI status and control',
  registers: [
    {
      offset: 0,
      size: 1,
      name: 'NMISC',
      access: 'rw',
      meaning: 'port 0x61: speaker, refresh signal and speaker timer',
      isVolatile: true,
      fields: [
        { bits: [0, 0], name: 'GATE2', meaning: 'gate of counter 2', access: 'rw' },
        { bits: [1, 1], name: 'SPKR', meaning: 'lets OUT of counter 2 through to the speaker', access: 'rw' },
        { bits: [2, 2], name: 'SERRDIS', meaning: 'disables and clears parity error reports', access: 'rw' },
        { bits: [3, 3], name: 'IOCHKDIS', meaning: 'disables and clears channel check reports', access: 'rw' },
        { bits: [4, 4], name: 'REFRESH', meaning: 'toggles with each memory refresh; read only' },
        { bits: [5, 5], name: 'OUT2', meaning: 'OUT of counter 2; read only' },
        { bits: [6, 6], name: 'IOCHK', meaning: 'channel check; never set' },
        { bits: [7, 7], name: 'SERR', meaning: 'parity error; never set' },
      ],
    },
  ],
};
