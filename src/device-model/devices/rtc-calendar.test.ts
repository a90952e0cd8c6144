import assert from 'node:assert/strict';
import test from 'node:test';

import fc from 'fast-check';

import { CmosIndex } from './cmos-rtc-registers.js';
import { advanceTime, loadTime, secondsToAlarm, storeTime } from './rtc-calendar.js';
import type { RtcFormat } from './rtc-calendar.js';

const BCD: RtcFormat = { isBinary: false, is24Hour: true };
const FORMATS: readonly RtcFormat[] = [
  BCD,
  { isBinary: true, is24Hour: true },
  { isBinary: false, is24Hour: false },
  { isBinary: true, is24Hour: false },
];
const format = fc.constantFrom(...FORMATS);
const YEAR_9999 = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000;
/** From the year 0, which JavaScript's own Date.UTC takes for 1900. */
const YEAR_0 = -62_167_219_200;

function seconds(...date: Parameters<typeof Date.UTC>): number {
  return Date.UTC(...date) / 1000;
}

function stored(time: number, as: RtcFormat = BCD): Uint8Array {
  const bytes = new Uint8Array(128);
  storeTime(bytes, time, as);
  return bytes;
}

test('a time is stored in BCD and 24 hours as the data sheet has it', () => {
  const bytes = stored(seconds(2026, 6, 31, 17, 8, 59));
  assert.deepEqual([...bytes.subarray(0, 10)], [0x59, 0, 0x08, 0, 0x17, 0, 6, 0x31, 0x07, 0x26]);
  assert.equal(bytes[CmosIndex.CENTURY], 0x20);
});

test('twelve-hour mode has 12 for midnight and noon, and bit 7 for PM', () => {
  const hour = (h: number, isBinary: boolean): number | undefined =>
    stored(seconds(2000, 0, 1, h), { isBinary, is24Hour: false })[CmosIndex.HOURS];
  assert.equal(hour(0, false), 0x12);
  assert.equal(hour(11, false), 0x11);
  assert.equal(hour(12, false), 0x92);
  assert.equal(hour(23, false), 0x91);
  assert.equal(hour(0, true), 12);
  assert.equal(hour(23, true), 0x8b);
});

test('every time of four-digit years is read back as it was stored, in all formats', () => {
  fc.assert(
    fc.property(fc.integer({ min: YEAR_0, max: YEAR_9999 }), format, (time, as) => {
      assert.equal(loadTime(stored(time, as), as), time);
    }),
  );
});

test('the calendar knows leap years and centuries', () => {
  const bytes = stored(seconds(2000, 1, 28, 23, 59, 59));
  advanceTime(bytes, 1, BCD);
  assert.equal(loadTime(bytes, BCD), seconds(2000, 1, 29));
  const century = stored(seconds(2099, 11, 31, 23, 59, 59));
  advanceTime(century, 1, BCD);
  assert.equal(century[CmosIndex.CENTURY], 0x21);
  assert.equal(century[CmosIndex.YEAR], 0x00);
});

test('the day of the week is counted from the one that the guest set', () => {
  const bytes = stored(seconds(2000, 0, 1, 23, 59, 59));
  bytes[CmosIndex.DAY_OF_WEEK] = 3;
  advanceTime(bytes, 1, BCD);
  assert.equal(bytes[CmosIndex.DAY_OF_WEEK], 4);
  advanceTime(bytes, 4 * 86_400, BCD);
  assert.equal(bytes[CmosIndex.DAY_OF_WEEK], 1);
});

test('bytes that are not a valid time become one at the next update', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 128, maxLength: 128 }), format, (bytes, as) => {
      advanceTime(bytes, 1, as);
      const time = loadTime(bytes, as);
      assert.ok(Number.isInteger(time));
      advanceTime(bytes, 1, as);
      assert.equal(loadTime(bytes, as), time + 1);
    }),
  );
});

test('the alarm fires at the second that a check of every second would find', () => {
  const anyOr = (limit: number): fc.Arbitrary<number> =>
    fc.oneof(fc.integer({ min: 0xc0, max: 0xff }), fc.integer({ min: 0, max: limit - 1 }));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 86_399 }),
      anyOr(24),
      anyOr(60),
      anyOr(60),
      fc.constantFrom(...FORMATS.filter((f) => f.isBinary && f.is24Hour)),
      (now, hour, minute, second, as) => {
        const bytes = stored(now, as);
        bytes[CmosIndex.HOURS_ALARM] = hour;
        bytes[CmosIndex.MINUTES_ALARM] = minute;
        bytes[CmosIndex.SECONDS_ALARM] = second;
        const matches = (t: number): boolean =>
          (hour >= 0xc0 || Math.floor(t / 3600) === hour) &&
          (minute >= 0xc0 || Math.floor(t / 60) % 60 === minute) &&
          (second >= 0xc0 || t % 60 === second);
        let expected = 1;
        while (!matches((now + expected) % 86_400)) expected++;
        assert.equal(secondsToAlarm(bytes, as), expected);
      },
    ),
    { numRuns: 200 },
  );
});

test('an alarm is compared in the format of the clock', () => {
  const as: RtcFormat = { isBinary: false, is24Hour: false };
  const bytes = stored(seconds(2000, 0, 1, 13, 29, 0), as);
  bytes[CmosIndex.HOURS_ALARM] = 0x81;
  bytes[CmosIndex.MINUTES_ALARM] = 0x30;
  bytes[CmosIndex.SECONDS_ALARM] = 0x00;
  assert.equal(secondsToAlarm(bytes, as), 60);
  bytes[CmosIndex.HOURS_ALARM] = 0x01;
  assert.equal(secondsToAlarm(bytes, as), 43_260, 'at night');
});

test('an alarm byte outside of the valid times never matches', () => {
  const bytes = stored(0);
  bytes[CmosIndex.HOURS_ALARM] = 0xff;
  bytes[CmosIndex.MINUTES_ALARM] = 0xff;
  bytes[CmosIndex.SECONDS_ALARM] = 0x6a;
  assert.equal(secondsToAlarm(bytes, BCD), undefined);
});
