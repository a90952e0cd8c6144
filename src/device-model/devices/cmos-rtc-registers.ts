/**
 * Registers behind the index port of the CMOS real-time clock: the chip's 14 registers, then
 * battery-backed bytes to which PC firmware gives a meaning. CmosRtc uses the numbers, and the map
 * is for people and tools.
 */

import type { RegisterDescription, RegisterMap } from '../register-map.js';

export const CmosIndex = {
  SECONDS: 0x00,
  SECONDS_ALARM: 0x01,
  MINUTES: 0x02,
  MINUTES_ALARM: 0x03,
  HOURS: 0x04,
  HOURS_ALARM: 0x05,
  DAY_OF_WEEK: 0x06,
  DAY: 0x07,
  MONTH: 0x08,
  YEAR: 0x09,
  A: 0x0a,
  B: 0x0b,
  C: 0x0c,
  D: 0x0d,
  SHUTDOWN: 0x0f,
  EQUIPMENT: 0x14,
  BASE_MEMORY: 0x15,
  EXTENDED_MEMORY: 0x17,
  CHECKSUM: 0x2e,
  EXTENDED_MEMORY_FOUND: 0x30,
  CENTURY: 0x32,
  MEMORY_ABOVE_16_MIB: 0x34,
} as const;

/**
 * Bits of register A. DV 11x (DIVIDER_RESET) holds the divider in reset. On the chip, values other
 * than 010 make the clock wrong. Firmware leaves the time base 32.768 kHz and the rate 1024 Hz.
 */
export const RtcA = { UIP: 0x80, DIVIDER_RESET: 0x60, RATE: 0x0f, AFTER_FIRMWARE: 0x26 } as const;

/** Bits of register B. Firmware leaves 24-hour mode, BCD and no interrupts. */
export const RtcB = { SET: 0x80, DM: 0x04, HOURS_24: 0x02, AFTER_FIRMWARE: 0x02 } as const;

/** Bits of register D. */
export const RtcD = { VRT: 0x80 } as const;

/**
 * Registers B (enables) and C (flags) have the three sources in the same bits. ANY exists in C only
 * (IRQF): an enabled flag is set.
 */
export const RtcInterrupt = { UPDATE: 1 << 4, ALARM: 1 << 5, PERIODIC: 1 << 6, ANY: 1 << 7 } as const;

/**
 * Milliseconds between periodic interrupts, 0 for none. `rate`: RS of register A, 0 to 15. At
 * 32.768 kHz the rates 1 and 2 are those of 8 and 9 (data sheet, table 5).
 */
export function periodOfRate(rate: number): number {
  if (rate === 0) return 0;
  return (2 ** (rate < 3 ? rate + 6 : rate - 1) * 1000) / 32_768;
}

/** Registers that change with the time. */
const TIMED: readonly number[] = [
  ...[CmosIndex.SECONDS, CmosIndex.MINUTES, CmosIndex.HOURS, CmosIndex.DAY_OF_WEEK, CmosIndex.DAY],
  ...[CmosIndex.MONTH, CmosIndex.YEAR, CmosIndex.CENTURY, CmosIndex.A, CmosIndex.C],
];

function byte(
  offset: number,
  name: string,
  access: 'r' | 'rw',
  meaning: string,
  fields?: RegisterDescription['fields'],
): RegisterDescription {
  return {
    offset,
    size: 1,
    name,
    access,
    meaning,
    ...(TIMED.includes(offset) ? { isVolatile: true } : {}),
    ...(fields === undefined ? {} : { fields }),
  };
}

/** `offset` is the index that is written to port 0x70. */
export const CMOS_RTC_REGISTERS: RegisterMap = {
  source: 'Motorola MC146818A data sheet; IBM PC AT Technical Reference for the bytes from 0x0E',
  registers: [
    byte(CmosIndex.SECONDS, 'SEC', 'rw', 'seconds'),
    byte(CmosIndex.SECONDS_ALARM, 'SECALRM', 'rw', 'seconds of the alarm; 0xc0…0xff matches any'),
    byte(CmosIndex.MINUTES, 'MIN', 'rw', 'minutes'),
    byte(CmosIndex.MINUTES_ALARM, 'MINALRM', 'rw', 'minutes of the alarm'),
    byte(CmosIndex.HOURS, 'HOUR', 'rw', 'hours; bit 7 is PM in 12-hour mode'),
    byte(CmosIndex.HOURS_ALARM, 'HOURALRM', 'rw', 'hours of the alarm'),
    byte(CmosIndex.DAY_OF_WEEK, 'DOW', 'rw', 'day of the week, Sunday is 1'),
    byte(CmosIndex.DAY, 'DOM', 'rw', 'day of the month'),
    byte(CmosIndex.MONTH, 'MONTH', 'rw', 'month, January is 1'),
    byte(CmosIndex.YEAR, 'YEAR', 'rw', 'year within the century'),
    byte(CmosIndex.A, 'A', 'rw', 'divider and rate', [
      { bits: [0, 3], name: 'RS', meaning: 'rate of the periodic interrupt, 0 for no interrupt', access: 'rw' },
      {
        bits: [4, 6],
        name: 'DV',
        meaning: 'time base: 2 is 32.768 kHz, 6 and 7 hold the divider in reset',
        access: 'rw',
      },
      { bits: [7, 7], name: 'UIP', meaning: 'an update is in progress or less than 244 us away; read only' },
    ]),
    byte(CmosIndex.B, 'B', 'rw', 'modes and interrupt enables', [
      { bits: [0, 0], name: 'DSE', meaning: 'daylight saving; has no effect', access: 'rw' },
      { bits: [1, 1], name: '24/12', meaning: '24-hour mode', access: 'rw' },
      { bits: [2, 2], name: 'DM', meaning: 'binary (1) or BCD (0)', access: 'rw' },
      { bits: [3, 3], name: 'SQWE', meaning: 'square wave output; not connected on a PC', access: 'rw' },
      { bits: [4, 4], name: 'UIE', meaning: 'interrupt when an update ended; SET clears it' },
      { bits: [5, 5], name: 'AIE', meaning: 'alarm interrupt', access: 'rw' },
      { bits: [6, 6], name: 'PIE', meaning: 'periodic interrupt', access: 'rw' },
      { bits: [7, 7], name: 'SET', meaning: 'halts updates, so that the time can be set', access: 'rw' },
    ]),
    byte(CmosIndex.C, 'C', 'r', 'interrupt flags; a read clears them', [
      { bits: [4, 4], name: 'UF', meaning: 'an update ended', access: 'rc' },
      { bits: [5, 5], name: 'AF', meaning: 'the time matched the alarm', access: 'rc' },
      { bits: [6, 6], name: 'PF', meaning: 'a period of the rate ended', access: 'rc' },
      { bits: [7, 7], name: 'IRQF', meaning: 'an enabled flag is set: the interrupt line is high', access: 'rc' },
    ]),
    byte(CmosIndex.D, 'D', 'r', 'bit 7 (VRT): the battery is good'),
    byte(CmosIndex.SHUTDOWN, 'SHUTDOWN', 'rw', 'what firmware does after a processor reset'),
    byte(CmosIndex.EQUIPMENT, 'EQUIPMENT', 'rw', 'bit 1: there is a coprocessor'),
    byte(CmosIndex.BASE_MEMORY, 'BASEMEM', 'rw', 'two bytes: KiB below 640 KiB'),
    byte(CmosIndex.EXTENDED_MEMORY, 'EXTMEM', 'rw', 'two bytes: KiB above 1 MiB, at most 65535'),
    byte(CmosIndex.CHECKSUM, 'CHECKSUM', 'rw', 'two bytes, high first: sum of 0x10…0x2d'),
    byte(CmosIndex.EXTENDED_MEMORY_FOUND, 'EXTMEM2', 'rw', 'two bytes: as EXTMEM, found by the self-test'),
    byte(CmosIndex.CENTURY, 'CENTURY', 'rw', 'hundreds of the year'),
    byte(CmosIndex.MEMORY_ABOVE_16_MIB, 'MEM16M', 'rw', 'two bytes: units of 64 KiB above 16 MiB'),
  ],
};
