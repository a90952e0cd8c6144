import assert from 'node:assert/strict';
import { test } from 'node:test';

import { countAfter, isOutHigh, nextRise, risesBetween } from './pit-waveform.js';
import type { PitMode } from './pit-waveform.js';

const MODES: readonly PitMode[] = [0, 1, 2, 3, 4, 5];
const TICKS = 60;

/**
 * The counting element and OUT as the data sheet's prose moves them, one CLK pulse after the other.
 */
function* simulate(mode: PitMode, count: number): Generator<{ value: number; out: boolean }> {
  let value = count;
  let out = mode >= 2;
  const even = count - (count % 2);
  if (mode === 3) value = even;
  for (;;) {
    yield { value: value & 0xffff, out };
    switch (mode) {
      case 0:
      case 1:
        value--;
        if (value === 0) out = true;
        break;
      case 2:
        value = value === 1 ? count : value - 1;
        out = value !== 1;
        break;
      case 3: {
        // An even count ends its halves where it reaches 0; an odd one goes low a pulse after.
        const isLast = out && count % 2 === 1 ? value === 0 : value === 2;
        if (isLast) out = !out;
        value = isLast ? even : value - 2;
        break;
      }
      case 4:
      case 5:
        value--;
        out = value !== 0;
        break;
    }
  }
}

test('each mode counts and moves OUT as a pulse-by-pulse simulation of the data sheet does', () => {
  for (const mode of MODES) {
    for (let count = 2; count <= 13; count++) {
      const simulation = simulate(mode, count);
      for (let elapsed = 0; elapsed < TICKS; elapsed++) {
        const expected = simulation.next().value as { value: number; out: boolean };
        const found = { value: countAfter(mode, count, elapsed, 65_536), out: isOutHigh(mode, count, elapsed) };
        assert.deepEqual(found, expected, `mode ${mode}, count ${count}, ${elapsed} after the load`);
      }
    }
  }
});

test('rises are where OUT is high and was low the tick before', () => {
  const start = 1000;
  for (const mode of MODES) {
    for (let count = 1; count <= 13; count++) {
      const loaded = { start, count };
      const isRise = (tick: number): boolean =>
        isOutHigh(mode, count, tick - start) && !isOutHigh(mode, count, tick - 1 - start);
      let total = 0;
      for (let tick = start + 1; tick < start + TICKS; tick++) {
        const rises = risesBetween(mode, loaded, tick - 1, tick);
        assert.equal(rises, isRise(tick) ? 1 : 0, `mode ${mode}, count ${count}, tick ${tick - start}`);
        assert.equal(nextRise(mode, loaded, tick - 1) === tick, isRise(tick));
        total += rises;
      }
      assert.equal(risesBetween(mode, loaded, start, start + TICKS - 1), total);
      assert.equal(risesBetween(mode, loaded, start - 50, start), 0, 'nothing before the load');
    }
  }
});

test('the longest count is 65536, which reads as 0, and years cost no more than a moment', () => {
  assert.equal(countAfter(2, 65_536, 0, 65_536), 0);
  assert.equal(countAfter(0, 65_536, 1, 65_536), 65_535);
  const years = 1e14;
  assert.equal(risesBetween(2, { start: 0, count: 100 }, 0, years), years / 100);
  assert.equal(nextRise(2, { start: 0, count: 100 }, years + 1), years + 100);
});
