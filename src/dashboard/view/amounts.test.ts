import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortAge, shortCount, shortTime, traceTime, wholeCount } from './amounts.js';

test('a count has three digits and its unit', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [0.04, '0'],
    [0.25, '0.3'],
    [7, '7'],
    [12.34, '12.3'],
    [982, '982'],
    [999.7, '1.00k'],
    [1234, '1.23k'],
    [45_600, '45.6k'],
    [999_400, '999k'],
    [999_600, '1.00M'],
    [1_020_000, '1.02M'],
    [3e9, '3.00G'],
  ];
  for (const [count, text] of cases) assert.equal(shortCount(count), text, `${count}`);
});

test('a time has three digits and its unit, and an invalid time is a dash', () => {
  const cases: [number, string][] = [
    [0, '0 ns'],
    [850, '850 ns'],
    [999.6, '1.00 µs'],
    [12_340, '12.3 µs'],
    [4_512_000, '4.51 ms'],
    [999_600_000, '1.00 s'],
    [59e9, '59.0 s'],
    [180e9, '3 min'],
    [5 * 3600e9, '5 h'],
    [NaN, '–'],
    [-1, '–'],
  ];
  for (const [ns, text] of cases) assert.equal(shortTime(ns), text, `${ns}`);
});

test('an age in seconds has tenths only', () => {
  const cases: [number, string][] = [
    [0, '0 ns'],
    [12_340, '12.3 µs'],
    [999_400_000, '999 ms'],
    [999_600_000, '1.0 s'],
    [1_249_000_000, '1.2 s'],
    [59_940_000_000, '59.9 s'],
    [60e9, '1 min'],
    [-1, '–'],
  ];
  for (const [ns, text] of cases) assert.equal(shortAge(ns), text, `${ns}`);
});

test('no amount has four digits before its unit', () => {
  for (let exponent = 0; exponent < 13; exponent += 0.001) {
    const value = 10 ** exponent;
    if (value < 9.99e11) assert.match(shortCount(value), /^(\d{1,3}|\d{1,2}\.\d{1,2})[kMG]?$/, `${value}`);
    assert.match(shortTime(value), /^(\d{1,3}|\d{1,2}\.\d{1,2}) (ns|µs|ms|s|min|h)$/, `${value}`);
  }
});

test('whole counts are grouped, and trace times have microseconds', () => {
  assert.equal(wholeCount(1234567), '1\u2009234\u2009567');
  assert.equal(wholeCount(999), '999');
  assert.equal(traceTime(12_345_678_900), '12.345679');
});
