import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { ManualClock } from '../clock.js';
import { CmosRtc } from './cmos-rtc.js';
import type { CmosRtcOptions } from './cmos-rtc-options.js';
import { CmosIndex, periodOfRate, RtcInterrupt } from './cmos-rtc-registers.js';

const MIB = 1024 * 1024;
const START = Date.UTC(2026, 2, 4, 12, 34, 56);
const { UPDATE, ALARM, PERIODIC, ANY } = RtcInterrupt;

function machine(options: Partial<CmosRtcOptions> = {}) {
  const clock = new ManualClock(START);
  let level = false;
  let edges = 0;
  const interrupt = {
    set: (high: boolean) => {
      if (high && !level) edges++;
      level = high;
    },
  };
  const rtc = new CmosRtc({ clock, memoryBytes: 64 * MIB, interrupt, ...options });
  const get = (index: number): number => {
    rtc.write(0, 1, index);
    return rtc.read(1, 1);
  };
  const set = (index: number, value: number): void => {
    rtc.write(0, 1, index);
    rtc.write(1, 1, value);
  };
  const time = (): string =>
    [CmosIndex.HOURS, CmosIndex.MINUTES, CmosIndex.SECONDS].map((i) => get(i).toString(16).padStart(2, '0')).join(':');
  return { clock, rtc, get, set, time, line: () => level, edges: () => edges };
}

describe('the time', () => {
  test('is the wall time in UTC, in BCD and 24 hours', () => {
    const { clock, get, time } = machine();
    assert.equal(time(), '12:34:56');
    assert.deepEqual(
      [CmosIndex.DAY, CmosIndex.MONTH, CmosIndex.YEAR, CmosIndex.CENTURY, CmosIndex.DAY_OF_WEEK].map(get),
      [0x04, 0x03, 0x26, 0x20, 4],
    );
    clock.advance(4_000);
    assert.equal(time(), '12:35:00');
  });

  test('keeps the distance that the guest set', () => {
    const { clock, get, set, time } = machine();
    set(CmosIndex.B, 0x82);
    set(CmosIndex.YEAR, 0x99);
    set(CmosIndex.CENTURY, 0x19);
    set(CmosIndex.MONTH, 0x12);
    set(CmosIndex.DAY, 0x31);
    set(CmosIndex.HOURS, 0x23);
    set(CmosIndex.MINUTES, 0x59);
    set(CmosIndex.SECONDS, 0x58);
    clock.advance(10_000);
    assert.equal(time(), '23:59:58', 'SET halts it');
    set(CmosIndex.B, 0x02);
    clock.advance(3_000);
    assert.equal(time(), '00:00:01');
    assert.deepEqual([CmosIndex.DAY, CmosIndex.YEAR, CmosIndex.CENTURY].map(get), [0x01, 0x00, 0x20]);
    clock.advance(3_600_000);
    assert.equal(time(), '01:00:01');
  });

  test('can be set byte by byte while it runs, through dates that do not exist', () => {
    const { get, set } = machine();
    set(CmosIndex.MONTH, 0x02);
    set(CmosIndex.DAY, 0x31);
    set(CmosIndex.MONTH, 0x03);
    assert.deepEqual([get(CmosIndex.DAY), get(CmosIndex.MONTH)], [0x31, 0x03]);
  });

  test('survives a reset, as if by battery', () => {
    const { clock, rtc, set, time } = machine();
    set(CmosIndex.B, 0x86);
    set(CmosIndex.HOURS, 20);
    set(CmosIndex.MINUTES, 59);
    set(CmosIndex.SECONDS, 58);
    set(CmosIndex.B, 0x06);
    clock.advance(1_000);
    rtc.reset();
    assert.equal(time(), '20:59:59', 'in BCD again');
    clock.advance(1_000);
    assert.equal(time(), '21:00:00');
  });

  test('goes on after a reset in the middle of setting it', () => {
    const { clock, rtc, set, time } = machine();
    set(CmosIndex.A, 0x76);
    set(CmosIndex.B, 0x82);
    rtc.reset();
    clock.advance(2_000);
    assert.equal(time(), '12:34:58');
  });

  test('follows a wall time that steps back, without an update', () => {
    let wall = START;
    const clock = { now: () => 0, wallTimeMs: () => wall, schedule: () => ({ cancel: () => undefined }) };
    const { get, time } = machine({ clock });
    wall -= 60_000;
    assert.equal(time(), '12:33:56');
    assert.equal(get(CmosIndex.C), 0);
  });
});

describe('a guest that sets the clock', () => {
  function recording(): ReturnType<typeof machine> & { readonly changes: [number, number][] } {
    const changes: [number, number][] = [];
    return { ...machine({ onTimeSet: (lastTime, delta) => changes.push([lastTime, delta]) }), changes };
  }
  const START_S = START / 1000;

  test('with SET is reported once, when the clock goes on', () => {
    const { set, changes, clock } = recording();
    set(CmosIndex.B, 0x82);
    set(CmosIndex.HOURS, 0x13);
    set(CmosIndex.MINUTES, 0x04);
    assert.deepEqual(changes, []);
    set(CmosIndex.B, 0x02);
    assert.deepEqual(changes, [[START_S, 1800]]);
    clock.advance(60_000);
    set(CmosIndex.MINUTES, 0x00);
    assert.deepEqual(changes[1], [START_S + 1860, -300], 'counted from the time that was set before');
  });

  test('with SET and the divider held, as Linux does it, is reported when both have ended', () => {
    const { set, changes } = recording();
    set(CmosIndex.B, 0x82);
    set(CmosIndex.A, 0x76);
    set(CmosIndex.DAY, 0x05);
    set(CmosIndex.B, 0x02);
    assert.deepEqual(changes, []);
    set(CmosIndex.A, 0x26);
    assert.deepEqual(changes, [[START_S, 86_400]]);
  });

  test('while it runs is reported with each byte', () => {
    const { set, changes } = recording();
    set(CmosIndex.SECONDS, 0x00);
    set(CmosIndex.MINUTES, 0x35);
    assert.deepEqual(changes, [
      [START_S, -56],
      [START_S - 56, 60],
    ]);
  });

  test('to the same time, or a write to other bytes, is not reported', () => {
    const { set, changes, clock } = recording();
    for (const index of [CmosIndex.SECONDS_ALARM, CmosIndex.SHUTDOWN, CmosIndex.DAY_OF_WEEK]) set(index, 0x01);
    set(CmosIndex.B, 0x82);
    set(CmosIndex.SECONDS, 0x56);
    set(CmosIndex.B, 0x02);
    clock.advance(3600_000);
    set(CmosIndex.B, 0x42);
    assert.deepEqual(changes, []);
  });

  test('and keeps it standing has set it back', () => {
    const { set, changes, clock } = recording();
    set(CmosIndex.B, 0x82);
    clock.advance(5000);
    set(CmosIndex.B, 0x02);
    assert.deepEqual(changes, [[START_S + 5, -5]]);
  });

  test('and resets the machine meanwhile has set it', () => {
    const { rtc, set, changes } = recording();
    set(CmosIndex.B, 0x82);
    set(CmosIndex.YEAR, 0x27);
    rtc.reset();
    assert.deepEqual(changes, [[START_S, 365 * 86_400]]);
  });
});

describe('updates', () => {
  test('UIP is set from 2.228 ms before the second to its end', () => {
    const { clock, get } = machine();
    assert.equal(get(CmosIndex.A), 0x26);
    clock.advance(997.7);
    assert.equal(get(CmosIndex.A), 0x26);
    clock.advance(0.1);
    assert.equal(get(CmosIndex.A), 0xa6);
    clock.advance(2.1);
    assert.equal(get(CmosIndex.A), 0xa6);
    clock.advance(0.1);
    assert.equal(get(CmosIndex.A), 0x26);
    assert.equal(get(CmosIndex.SECONDS), 0x57);
  });

  test('SET keeps UIP low', () => {
    const { clock, get, set } = machine();
    set(CmosIndex.B, 0x82);
    clock.advance(999);
    assert.equal(get(CmosIndex.A), 0x26);
  });

  test('the first one comes half a second after the divider’s reset', () => {
    const { clock, get, set } = machine();
    clock.advance(123);
    set(CmosIndex.A, 0x76);
    clock.advance(5_000);
    assert.equal(get(CmosIndex.SECONDS), 0x56, 'held');
    set(CmosIndex.A, 0x26);
    clock.advance(499);
    assert.equal(get(CmosIndex.SECONDS), 0x56);
    clock.advance(1);
    assert.equal(get(CmosIndex.SECONDS), 0x57);
    clock.advance(1_000);
    assert.equal(get(CmosIndex.SECONDS), 0x58);
  });

  test('each one interrupts when enabled, until register C is read', () => {
    const { clock, get, set, line, edges } = machine();
    clock.advance(250);
    set(CmosIndex.B, 0x02 | UPDATE);
    clock.advance(749);
    assert.equal(line(), false);
    clock.advance(1);
    assert.equal(line(), true);
    clock.advance(10_000);
    assert.equal(edges(), 1, 'not acknowledged');
    assert.equal(get(CmosIndex.C) & (ANY | UPDATE), ANY | UPDATE);
    assert.equal(line(), false);
    assert.equal(get(CmosIndex.C), 0);
    clock.advance(1_000);
    assert.equal(edges(), 2);
  });

  test('SET clears the enable', () => {
    const { get, set } = machine();
    set(CmosIndex.B, 0x02 | UPDATE | ALARM);
    set(CmosIndex.B, 0x82 | UPDATE | ALARM);
    assert.equal(get(CmosIndex.B), 0x82 | ALARM);
  });
});

describe('the periodic interrupt', () => {
  test('has the rates of the data sheet', () => {
    assert.equal(periodOfRate(0), 0);
    assert.equal(periodOfRate(1), 3.90625);
    assert.equal(periodOfRate(2), 7.8125);
    assert.equal(periodOfRate(3), 0.1220703125);
    assert.equal(periodOfRate(6), 0.9765625);
    assert.equal(periodOfRate(15), 500);
  });

  test('does not drift, however late the guest reads register C', () => {
    const { clock, get, set, line } = machine();
    set(CmosIndex.A, 0x2a);
    set(CmosIndex.B, 0x02 | PERIODIC);
    for (let i = 1; i <= 100; i++) {
      clock.advance(i * 15.625 - 0.01 - clock.now());
      assert.equal(line(), false);
      clock.advance(0.02);
      assert.equal(line(), true);
      clock.advance(i % 15);
      assert.equal(get(CmosIndex.C) & (ANY | PERIODIC), ANY | PERIODIC);
    }
  });

  test('sets its flag without being enabled, and without a timer', () => {
    const { clock, get } = machine();
    assert.equal(get(CmosIndex.C), 0);
    clock.advance(1);
    assert.equal(clock.pending, 0);
    assert.equal(get(CmosIndex.C), PERIODIC);
  });

  test('enabled while its flag is set, it interrupts at once', () => {
    const { clock, set, line } = machine();
    clock.advance(2);
    set(CmosIndex.B, 0x02 | PERIODIC);
    assert.equal(line(), true);
  });

  test('rate 0 and a held divider give no ticks', () => {
    const { clock, get, set, edges } = machine();
    for (const a of [0x20, 0x66, 0x76]) {
      set(CmosIndex.A, a);
      get(CmosIndex.C);
      set(CmosIndex.B, 0x02 | PERIODIC);
      assert.equal(clock.pending, 0);
      clock.advance(700);
      assert.equal(edges(), 0);
    }
  });
});

describe('the alarm', () => {
  test('fires once a day at its time', () => {
    const { clock, get, set, line } = machine();
    set(CmosIndex.HOURS_ALARM, 0x12);
    set(CmosIndex.MINUTES_ALARM, 0x35);
    set(CmosIndex.SECONDS_ALARM, 0x10);
    set(CmosIndex.B, 0x02 | ALARM);
    clock.advance(13_999);
    assert.equal(line(), false);
    clock.advance(1);
    assert.equal(line(), true);
    assert.equal(get(CmosIndex.C) & (ANY | ALARM), ANY | ALARM);
    clock.advance(86_399_000);
    assert.equal(line(), false);
    clock.advance(1_000);
    assert.equal(line(), true);
  });

  test('a byte of 0xC0 to 0xFF matches any', () => {
    const { clock, get, set, edges } = machine();
    set(CmosIndex.HOURS_ALARM, 0xc0);
    set(CmosIndex.MINUTES_ALARM, 0xff);
    set(CmosIndex.SECONDS_ALARM, 0x00);
    set(CmosIndex.B, 0x02 | ALARM);
    for (let minute = 1; minute <= 5; minute++) {
      clock.advance(60_000);
      assert.equal(edges(), minute);
      get(CmosIndex.C);
    }
  });

  test('sets its flag for a guest that reads register C late', () => {
    const { clock, get, set } = machine();
    set(CmosIndex.HOURS_ALARM, 0x13);
    set(CmosIndex.MINUTES_ALARM, 0x00);
    set(CmosIndex.SECONDS_ALARM, 0x00);
    clock.advance(1_503_000);
    assert.equal(get(CmosIndex.C) & ALARM, 0);
    clock.advance(3_000_000);
    assert.equal(get(CmosIndex.C) & ALARM, ALARM);
  });

  test('waits with one timer, which close cancels', () => {
    const { clock, rtc, set } = machine();
    set(CmosIndex.B, 0x02 | ALARM | UPDATE | PERIODIC);
    assert.equal(clock.pending, 1);
    rtc.close();
    assert.equal(clock.pending, 0);
  });
});

describe('the CMOS', () => {
  test('holds the size of memory', () => {
    const word = (get: (index: number) => number, index: number): number => get(index) | (get(index + 1) << 8);
    const { get } = machine();
    assert.equal(word(get, CmosIndex.BASE_MEMORY), 640);
    assert.equal(word(get, CmosIndex.EXTENDED_MEMORY), 63 * 1024);
    assert.equal(word(get, CmosIndex.EXTENDED_MEMORY_FOUND), 63 * 1024);
    assert.equal(word(get, CmosIndex.MEMORY_ABOVE_16_MIB), 48 * 16);
    const small = machine({ memoryBytes: MIB / 2 });
    assert.equal(word(small.get, CmosIndex.BASE_MEMORY), 512);
    assert.equal(word(small.get, CmosIndex.EXTENDED_MEMORY), 0);
    const large = machine({ memoryBytes: 3 * 1024 * MIB });
    assert.equal(word(large.get, CmosIndex.EXTENDED_MEMORY), 0xffff);
    assert.equal(word(large.get, CmosIndex.MEMORY_ABOVE_16_MIB), 3056 * 16);
  });

  test('has a checksum that holds, also with bytes of the operator', () => {
    const { get } = machine({ contents: { 0x2d: 0xff, 0x3d: 0x02 } });
    let sum = 0;
    for (let index = 0x10; index <= 0x2d; index++) sum += get(index);
    assert.equal((get(CmosIndex.CHECKSUM) << 8) | get(CmosIndex.CHECKSUM + 1), sum);
    assert.equal(get(0x3d), 0x02);
  });

  test('keeps the shutdown code over a reset', () => {
    const { rtc, get, set } = machine();
    set(CmosIndex.SHUTDOWN, 0x0a);
    rtc.reset();
    assert.equal(get(CmosIndex.SHUTDOWN), 0x0a);
  });

  test('registers C and D cannot be written, and the battery is good', () => {
    const { get, set } = machine();
    set(CmosIndex.C, 0xff);
    set(CmosIndex.D, 0x00);
    assert.equal(get(CmosIndex.C), 0);
    assert.equal(get(CmosIndex.D), 0x80);
  });

  test('bit 7 of the index masks NMI and selects nothing', () => {
    const { rtc, get } = machine();
    assert.equal(get(0x80 | CmosIndex.D), 0x80);
    assert.equal(rtc.isNmiMasked, true);
    assert.equal(get(CmosIndex.D), 0x80);
    assert.equal(rtc.isNmiMasked, false);
  });

  test('a 16-bit write is an index and its data; the index port reads as all ones', () => {
    const { rtc, get } = machine();
    rtc.write(0, 2, 0x5a40);
    assert.equal(get(0x40), 0x5a);
    assert.equal(rtc.read(0, 1), 0xff);
    assert.equal(rtc.read(0, 2), 0x5aff);
  });

  test('a reset lowers the line and turns interrupts off', () => {
    const { clock, rtc, get, set, line } = machine();
    set(CmosIndex.B, 0x02 | PERIODIC);
    clock.advance(10);
    assert.equal(line(), true);
    rtc.reset();
    assert.equal(line(), false);
    assert.equal(clock.pending, 0);
    assert.equal(get(CmosIndex.B), 0x02);
    assert.equal(get(CmosIndex.C), 0);
  });
});
