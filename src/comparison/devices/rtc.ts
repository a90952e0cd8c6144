/**
 * The MC146818A real-time clock under comparison: index and data port, line 8 of a PC.
 *
 * Called by: compared-devices.ts.
 *
 * Within the data sheet the time is set while SET halts the clock, and completely after the data
 * mode (DM, 24/12) has changed. What differs is in rtc-explained.ts.
 */

import { CmosRtc } from '../../device-model/devices/cmos-rtc.js';
import type { Chance } from '../chance.js';
import type { ComparedDevice } from '../compared-device.js';
import { read, wait, write, type Action, type Step } from '../step.js';
import { RTC_EXPLAINED } from './rtc-explained.js';

/** The RAM that the CMOS reports, as much as the reference has. */
const MEMORY_BYTES = 16 << 20;
const [A, B, C, D] = [0x0a, 0x0b, 0x0c, 0x0d] as const;
// Register B: SET halts the clock.
const SET = 0x80;
const HOURS_24 = 0x02;
// Register A: the time base and the state of the divider, beside the rate (bits 0 to 3).
const BASE_32KHZ = 0x20;
const DIVIDER_RESET = 0x60;
/** 1024 Hz. */
const RATE = 6;
/** An alarm register that matches every value. */
const ANY_TIME = 0xc0;
const CENTURY = 0x32;
/** A byte of the battery-backed memory that has no meaning. */
const FREE_BYTE = 0x50;

/** In decimal. */
interface Time {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

const NEW_YEARS_EVE: Time = { year: 1999, month: 12, day: 31, weekday: 6, hour: 23, minute: 59, second: 58 };

export const RTC: ComparedDevice = {
  name: 'rtc',
  title: 'MC146818A real-time clock',
  port: 0x70,
  line: { number: 8, compare: 'level' },
  create: (clock, interrupt) => new CmosRtc({ clock, interrupt, memoryBytes: MEMORY_BYTES }),
  prologue: [
    // The divider's reset gives both the same phase: the first update is half a second later.
    ...[...store(B, SET | HOURS_24), ...store(A, DIVIDER_RESET | RATE), ...time(NEW_YEARS_EVE)],
    ...[...alarm({ hour: 0, minute: 0, second: 0 }), ...store(FREE_BYTE, 0), ...store(B, HOURS_24)],
    ...[...store(A, BASE_32KHZ | RATE), ...load(C)],
  ],
  action,
  anyValue: false,
  explained: RTC_EXPLAINED,
};

/** Writes a register: its index, then its value. */
function store(index: number, value: number): Step[] {
  return [write(0, index), write(1, value)];
}

/** Reads a register. */
function load(index: number): Step[] {
  return [write(0, index), read(1)];
}

function encodeBcd(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}

/** Sets the clock, which must be halted. All in BCD. */
function time({ year, month, day, weekday, hour, minute, second }: Time): Step[] {
  return [
    ...[...store(0, encodeBcd(second)), ...store(2, encodeBcd(minute)), ...store(4, encodeBcd(hour))],
    ...[...store(6, encodeBcd(weekday)), ...store(7, encodeBcd(day)), ...store(8, encodeBcd(month))],
    ...[...store(9, encodeBcd(year % 100)), ...store(CENTURY, encodeBcd(Math.floor(year / 100)))],
  ];
}

/** Sets the alarm to values of the registers: BCD or ANY_TIME. */
function alarm({ hour, minute, second }: Pick<Time, 'hour' | 'minute' | 'second'>): Step[] {
  return [...store(1, second), ...store(3, minute), ...store(5, hour)];
}

function action(chance: Chance): Action {
  switch (chance.below(8)) {
    case 0:
      return setTime(chance);
    case 1:
      // The choices are made in this order.
      return alarm({
        second: chance.pick([ANY_TIME, encodeBcd(chance.below(60))]),
        minute: chance.pick([ANY_TIME, ANY_TIME, 0]),
        hour: chance.pick([ANY_TIME, ANY_TIME, 0]),
      });
    case 2:
      // The rate of the periodic interrupt. 1 and 2 are those of 8 and 9.
      return store(A, BASE_32KHZ | chance.pick([0, 1, 2, 3, 6, 10, 13, 14, 15]));
    case 3:
      // Any interrupt enables, with SET or without, then without: SET clears UIE.
      return [
        ...store(B, HOURS_24 | (chance.below(16) << 4)),
        ...load(B),
        ...store(B, HOURS_24 | (chance.below(8) << 4)),
      ];
    case 4:
      return load(C);
    case 5:
      return load(chance.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, A, B, D, CENTURY, FREE_BYTE]));
    case 6:
      return store(FREE_BYTE, chance.byte());
    default:
      return [wait(chance.pick([300, 5000, 100_000, 1_000_000, chance.between(1, 2_000_000)]))];
  }
}

/** A whole time in BCD, with an interesting carry ahead. */
function setTime(chance: Chance): Step[] {
  const year = chance.pick([1999, 2000, 2004, 2023, 2099]);
  const month = chance.between(1, 12);
  const second = chance.pick([57, 58, 59, chance.below(60)]);
  const minute = chance.pick([59, chance.below(60)]);
  const hour = chance.pick([11, 23, chance.below(24)]);
  const day = chance.pick([1, 28, chance.between(1, 28)]);
  const weekday = chance.between(1, 7);
  return [
    ...store(B, SET | HOURS_24),
    ...time({ year, month, day, weekday, hour, minute, second }),
    ...store(B, HOURS_24),
  ];
}
