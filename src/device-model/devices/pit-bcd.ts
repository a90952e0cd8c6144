/**
 * Counts of the 8254 as four decimal digits, which is how a counter in BCD mode reads and writes
 * them.
 *
 * Called by: PitCounter.
 */

export function toBcd(value: number): number {
  return (
    (Math.floor(value / 1000) << 12) |
    ((Math.floor(value / 100) % 10) << 8) |
    ((Math.floor(value / 10) % 10) << 4) |
    (value % 10)
  );
}

/** Digits above 9 are undefined. Here they count by their weight, modulo four digits. */
export function fromBcd(value: number): number {
  return ((value >>> 12) * 1000 + ((value >>> 8) & 15) * 100 + ((value >>> 4) & 15) * 10 + (value & 15)) % 10_000;
}
