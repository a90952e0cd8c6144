/**
 * Amounts: counts and times as short text, the same in every language. Its width hardly changes: a
 * number that changes sixty times per second must not change the layout.
 *
 * Called by: the views of the live page.
 */

/** The units of counts, the greatest first. */
const STEPS = [
  { from: 1e9, unit: 'G' },
  { from: 1e6, unit: 'M' },
  { from: 1e3, unit: 'k' },
] as const;

/** A count with at most three digits: `7`, `2.5`, `982`, `1.23k`, `45.6k`, `1.02M`. */
export function shortCount(count: number): string {
  const step = STEPS.find(({ from }) => roundedTo3(count) >= from);
  if (step === undefined)
    return count >= 99.5 || Number.isInteger(count) ? Math.round(count).toString() : tenths(count);
  return `${threeDigits(count / step.from)}${step.unit}`;
}

/**
 * A time with at most three digits, and its unit: `850 ns`, `12.3 µs`, `4.51 ms`, `1.20 s`, `3
 * min`. A dash if `ns` is negative or not a number.
 */
export function shortTime(ns: number): string {
  if (!(ns >= 0)) return '–';
  if (ns < 999.5) return `${Math.round(ns)} ns`;
  if (ns < 999.5e3) return `${threeDigits(ns / 1e3)} µs`;
  if (ns < 999.5e6) return `${threeDigits(ns / 1e6)} ms`;
  if (ns < 59.95e9) return `${threeDigits(ns / 1e9)} s`;
  if (ns < 3570e9) return `${Math.round(ns / 60e9)} min`;
  return `${Math.round(ns / 3600e9)} h`;
}

/** The age of something that continues: like `shortTime`, but seconds have tenths only. */
export function shortAge(ns: number): string {
  const isSeconds = ns >= 999.5e6 && ns < 59.95e9;
  return isSeconds ? `${(ns / 1e9).toFixed(1)} s` : shortTime(ns);
}

/** Seconds since the start of the VM's trace, to the microsecond: `12.345678`. */
export function traceTime(ns: number): string {
  return (ns / 1e9).toFixed(6);
}

/** A count with all its digits, in groups of three with a thin space between. */
export function wholeCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

/** A value below 1000 with three digits. The limits are those where rounding adds a digit. */
function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

function roundedTo3(value: number): number {
  return Number(value.toPrecision(3));
}

function tenths(value: number): string {
  return value < 0.05 ? '0' : value.toFixed(1);
}
