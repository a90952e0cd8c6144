/**
 * RTC calendar: the time and alarm registers of the real-time clock as bytes, in the format that
 * register B selects, and how seconds pass in them.
 *
 * Called by: CmosRtc. Pure functions on its bytes.
 *
 * The bytes are the state, as in the chip. A value that the guest stores reads back unchanged until
 * the next update, even if it is not a valid time. An update makes a valid time of it (on the chip
 * that is undefined).
 */

import { CmosIndex } from './cmos-rtc-registers.js';

export interface RtcFormat {
  /** Bit DM of register B: binary numbers, not BCD. */
  readonly isBinary: boolean;
  /** Bit 24/12 of register B: hours of 0 to 23, not of 1 to 12 with PM. */
  readonly is24Hour: boolean;
}

/** The last second of the year 9999, in seconds since 1970: two digits of a century end there. */
export const LAST_SECOND = 253_402_300_799;
const DAY_S = 86_400;
const HOUR_S = 3_600;
/** MC146818A: an alarm byte with both high bits set matches everything. */
const MATCHES_ANY = 0xc0;
/** Bit 7 of the hours in 12-hour mode. */
const PM = 0x80;

/** Stores `time`, in seconds since 1970. */
export function storeTime(bytes: Uint8Array, time: number, format: RtcFormat): void {
  const date = new Date(time * 1000);
  const year = date.getUTCFullYear();
  bytes[CmosIndex.SECONDS] = encode(date.getUTCSeconds(), format);
  bytes[CmosIndex.MINUTES] = encode(date.getUTCMinutes(), format);
  bytes[CmosIndex.HOURS] = encodeHour(date.getUTCHours(), format);
  bytes[CmosIndex.DAY_OF_WEEK] = encode(date.getUTCDay() + 1, format);
  bytes[CmosIndex.DAY] = encode(date.getUTCDate(), format);
  bytes[CmosIndex.MONTH] = encode(date.getUTCMonth() + 1, format);
  bytes[CmosIndex.YEAR] = encode(modulo(year, 100), format);
  bytes[CmosIndex.CENTURY] = encode(modulo(Math.floor(year / 100), 100), format);
}

/** The time in the bytes, in seconds since 1970. February 31 is March 2 or 3. */
export function loadTime(bytes: Uint8Array, format: RtcFormat): number {
  const at = (index: number): number => decode(bytes[index] ?? 0, format);
  const date = new Date(0);
  // Date.UTC would map the years 0 to 99 to 1900 to 1999.
  date.setUTCFullYear(at(CmosIndex.CENTURY) * 100 + at(CmosIndex.YEAR), at(CmosIndex.MONTH) - 1, at(CmosIndex.DAY));
  date.setUTCHours(decodeHour(bytes[CmosIndex.HOURS] ?? 0, format), at(CmosIndex.MINUTES), at(CmosIndex.SECONDS));
  return date.getTime() / 1000;
}

/**
 * Lets `seconds` pass, or takes them back if negative. The day of the week is counted, not
 * computed: the guest defines which day is the first.
 */
export function advanceTime(bytes: Uint8Array, seconds: number, format: RtcFormat): void {
  const before = loadTime(bytes, format);
  const after = before + seconds;
  const days = Math.floor(after / DAY_S) - Math.floor(before / DAY_S);
  const dayOfWeek = decode(bytes[CmosIndex.DAY_OF_WEEK] ?? 0, format);
  storeTime(bytes, after, format);
  bytes[CmosIndex.DAY_OF_WEEK] = encode(modulo(dayOfWeek - 1 + days, 7) + 1, format);
}

/** Seconds until the time next matches the alarm, 1 to 86400. Undefined if it never does. */
export function secondsToAlarm(bytes: Uint8Array, format: RtcFormat): number | undefined {
  const hours = matching(bytes[CmosIndex.HOURS_ALARM] ?? 0, 24, (hour) => encodeHour(hour, format));
  const minutes = matching(bytes[CmosIndex.MINUTES_ALARM] ?? 0, 60, (minute) => encode(minute, format));
  const seconds = matching(bytes[CmosIndex.SECONDS_ALARM] ?? 0, 60, (second) => encode(second, format));
  if (hours.length === 0 || minutes.length === 0 || seconds.length === 0) return undefined;
  const now = modulo(loadTime(bytes, format), DAY_S);
  // The rest of today. A minute that is over has no match, and the first match is the earliest,
  // because the lists ascend.
  for (const hour of hours) {
    if (hour < Math.floor(now / HOUR_S)) continue;
    for (const minute of minutes) {
      const start = hour * HOUR_S + minute * 60;
      // Even the last second of the minute is not after now.
      if (start + 59 <= now) continue;
      for (const second of seconds) if (start + second > now) return start + second - now;
    }
  }
  // The first match of tomorrow.
  return DAY_S - now + (hours[0] ?? 0) * HOUR_S + (minutes[0] ?? 0) * 60 + (seconds[0] ?? 0);
}

/**
 * The values below `limit` that an alarm byte matches, ascending. The chip compares the bytes
 * themselves.
 */
function matching(alarm: number, limit: number, encoded: (value: number) => number): number[] {
  const values: number[] = [];
  for (let value = 0; value < limit; value++) {
    if (alarm >= MATCHES_ANY || encoded(value) === alarm) values.push(value);
  }
  return values;
}

function encode(value: number, format: RtcFormat): number {
  return format.isBinary ? value : (Math.floor(value / 10) << 4) | (value % 10);
}

function decode(byte: number, format: RtcFormat): number {
  return format.isBinary ? byte : (byte >>> 4) * 10 + (byte & 15);
}

function encodeHour(hour: number, format: RtcFormat): number {
  if (format.is24Hour) return encode(hour, format);
  return encode(hour % 12 === 0 ? 12 : hour % 12, format) | (hour >= 12 ? PM : 0);
}

function decodeHour(byte: number, format: RtcFormat): number {
  if (format.is24Hour) return decode(byte, format);
  return (decode(byte & ~PM, format) % 12) + ((byte & PM) !== 0 ? 12 : 0);
}

function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}
