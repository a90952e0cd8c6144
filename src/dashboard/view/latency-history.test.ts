import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Percentiles } from '../protocol.js';
import { LatencyHistory, MAX_POINTS, type PlottedStage } from './latency-history.js';

function latency(total: Percentiles | null): Record<PlottedStage, Percentiles | null> {
  return { total, wait: null, work: null, wake: null };
}

test('the columns are seconds, p50 and p99, and an interval without requests is a gap', () => {
  const history = new LatencyHistory();
  history.add({ timeMs: 1000, latency: latency({ p50Ns: 900, p99Ns: 4000 }) });
  history.add({ timeMs: 1250, latency: latency(null) });
  history.add({ timeMs: 1500, latency: latency({ p50Ns: 0, p99Ns: 5000 }) });
  assert.deepEqual(history.columns('total'), [
    [1, 1.25, 1.5],
    [900, null, 1],
    [4000, null, 5000],
  ]);
  assert.deepEqual(history.columns('work')[1], [null, null, null]);
});

test('the history keeps the last minutes and is cleared when the clock goes back', () => {
  const history = new LatencyHistory();
  for (let i = 0; i < MAX_POINTS + 10; i++) history.add({ timeMs: i * 250, latency: latency(null) });
  assert.equal(history.columns('total')[0].length, MAX_POINTS);
  history.add({ timeMs: 5, latency: latency(null) });
  assert.deepEqual(history.columns('total')[0], [0.005]);
});
