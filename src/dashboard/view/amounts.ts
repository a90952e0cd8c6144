/**
 * How the page writes amounts: short, of a steady width, the same in every language. A number that is read sixty times a
 * second must not make the page jump.
 */

const STEPS = [
  { from: 1e9, unit: 'G' },
  { from: 1e6, unit: 'M' },
  { from: 1e3, unit: 'k' },
] as const;

/** A count with three digits: `7`, `982`, `1.23k`, `45.6k`, `1.02M`. */
export function shortCount(count: number): string {
  const step = STEPS.find(({ from }) => roundedTo3(count) >= from);
  if (step === undefined)
    return count >= 99.5 || Number.isInteger(count) ? Math.round(count).toString() : tenths(count);
  return `${threeDigits(count / step.from)}${step.unit}`;
}

/** A time with three digits and its unit, e.g. `850 ns`, `12.3 µs`, `4.51 ms`, `1.20 s`, `3 min`, `5 h`. */
export function shortTime(ns: number): string {
  if (!(ns >= 0)) return '–';
  if (ns < 999.5) return `${Math.round(ns)} ns`;
  if (ns < 999.5e3) return `${threeDigits(ns / 1e3)} µs`;
  if (ns < 999.5e6) return `${threeDigits(ns / 1e6)} ms`;
  if (ns < 59.95e9) return `${threeDigits(ns / 1e9)} s`;
  if (ns < 3570e9) return `${Math.round(ns / 60e9)} min`;
  return `${Math.round(ns / 3600e9)} h`;
}

/** How long something that goes on has lasted: as `shortTime`, but seconds with tenths. Nobody reads hundredths that run. */
export function shortAge(ns: number): string {
  const isSeconds = ns >= 999.5e6 && ns < 59.95e9;
  return isSeconds ? `${(ns / 1e9).toFixed(1)} s` : shortTime(ns);
}

/** Since the VM's trace was made, to the microsecond: `12.345678 s`. */
export function traceTime(ns: number): string {
  return (ns / 1e9).toFixed(6);
}

/** All digits, in groups of three that do not depend on the language. */
export function wholeCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, '\u2009');
}

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
