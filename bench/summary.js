// @ts-check
/** Summarises the numbers of the rounds: medians, spread, and ratios with their targets. */

import { keyOf } from './process.js';

/**
 * @typedef {{ to: string, times: number, ratio: number | undefined, min?: number, max?: number, isMet: boolean | undefined }} Ratio
 *   `isMet`: whether the ratio is within its target; undefined without a ratio or a target
 *
 * @typedef {object} RowSummary
 * @property {string} name
 * @property {string} unit
 * @property {number | undefined} median
 * @property {number | undefined} lowest
 * @property {number | undefined} highest
 * @property {(number | null)[]} values by round
 * @property {number} [max] target for the value
 * @property {boolean | undefined} isMet whether the value meets it
 * @property {Ratio[]} ratios
 * @property {string} [missing] why there is no value
 */

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return undefined;
  const upper = Number(sorted[middle]);
  return sorted.length % 2 === 1 ? upper : (Number(sorted[middle - 1]) + upper) / 2;
}

/**
 * @param {readonly import('./rows.js').Row[]} rows
 * @param {import('./rounds.js').Results} results
 * @returns {RowSummary[]}
 */
export function summarise(rows, results) {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const valuesOf = (/** @type {import('./rows.js').Row | undefined} */ row) =>
    row === undefined
      ? []
      : Array.from(results.values.get(keyOf(row.process)) ?? [], (values) => values?.[row.value ?? 'value']);
  return rows.map((row) => {
    const values = valuesOf(row);
    const known = values.filter((value) => value !== undefined);
    const middle = median(known);
    const ratios = (row.compare ?? [])
      .filter(({ to }) => byName.has(to))
      .map(({ to, times = 1, min, max }) => {
        const others = valuesOf(byName.get(to));
        // The median of the rounds' ratios, not the ratio of the medians: in a slow round both are
        // slow.
        const ratio = median(
          values.flatMap((value, round) => {
            const other = others[round];
            return value === undefined || other === undefined || other === 0 ? [] : [value / (other * times)];
          }),
        );
        const isMet =
          ratio === undefined || (min ?? max) === undefined
            ? undefined
            : ratio >= (min ?? -Infinity) && ratio <= (max ?? Infinity);
        return {
          to,
          times,
          ratio,
          ...(min === undefined ? {} : { min }),
          ...(max === undefined ? {} : { max }),
          isMet,
        };
      });
    const reason = results.missing.get(keyOf(row.process))?.reason;
    return {
      name: row.name,
      unit: row.unit,
      median: middle,
      lowest: known.length === 0 ? undefined : Math.min(...known),
      highest: known.length === 0 ? undefined : Math.max(...known),
      values: values.map((value) => value ?? null),
      ...(row.max === undefined ? {} : { max: row.max }),
      isMet: row.max === undefined || middle === undefined ? undefined : middle <= row.max,
      ratios,
      ...(reason === undefined ? {} : { missing: reason }),
    };
  });
}
