import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../device-model/clock.js';
import type { InterruptLine } from '../device-model/device.js';
import { FaultInjection } from './fault-injection.js';

const nothing = (): void => undefined;

function createLine(...rules: string[]): {
  line: InterruptLine;
  levels: boolean[];
  clock: ManualClock;
  faults: FaultInjection;
} {
  const clock = new ManualClock();
  const faults = new FaultInjection({ seed: 1, rules }, { clock, emit: nothing, remove: nothing, fail: nothing });
  const levels: boolean[] = [];
  let level = false;
  const real: InterruptLine = {
    set: (high) => {
      if (high !== level) levels.push((level = high));
    },
  };
  return { line: faults.line(4, real), levels, clock, faults };
}

test('a line without a rule has the level that its device drives', () => {
  const { line, levels } = createLine('line=5: lose');
  for (const high of [true, true, false, true]) line.set(high);
  assert.deepEqual(levels, [true, false, true]);
});

test('every second rising edge is lost, and its falling edge has no effect', () => {
  const { line, levels, faults } = createLine('line=4: lose every=2');
  for (let edge = 0; edge < 4; edge++) for (const high of [true, false]) line.set(high);
  assert.deepEqual(levels, [true, false, true, false]);
  assert.deepEqual([faults.report()[0]?.matches, faults.report()[0]?.injected], [4, 2]);
});

test('a duplicate is a second edge later, and the line keeps its device’s level', () => {
  const low = createLine('line=4: duplicate=5ms');
  low.line.set(true);
  low.line.set(false);
  low.clock.advance(5);
  assert.deepEqual(low.levels, [true, false, true, false]);
  const high = createLine('line=4: duplicate=5ms');
  high.line.set(true);
  high.clock.advance(5);
  assert.deepEqual(high.levels, [true, false, true]);
});

test('a delayed edge comes later, as a pulse if the device has lowered the line', () => {
  const { line, levels, clock } = createLine('line=4: delay=5ms');
  line.set(true);
  clock.advance(4);
  assert.deepEqual(levels, []);
  clock.advance(1);
  assert.deepEqual(levels, [true]);
  line.set(false);
  line.set(true);
  line.set(false);
  clock.advance(5);
  assert.deepEqual(levels, [true, false, true, false]);
});

test('a reset cancels delayed edges', () => {
  const { line, levels, clock, faults } = createLine('line=4: delay=5ms');
  line.set(true);
  faults.reset();
  clock.advance(10);
  assert.deepEqual([levels, clock.pending], [[], 0]);
});

test('a rule applies between from and until', () => {
  const { line, levels, clock, faults } = createLine('line=4 from=10ms until=20ms: lose');
  faults.begin();
  for (let tick = 0; tick < 3; tick++) {
    line.set(true);
    line.set(false);
    clock.advance(10);
  }
  assert.deepEqual(levels, [true, false, true, false]);
});

test('two outputs to one line have levels of their own, and the rules count the edges of both', () => {
  const { line, levels, faults } = createLine('line=4: lose after=1');
  const others: boolean[] = [];
  const other = faults.line(4, { set: (high) => void others.push(high) });
  line.set(true);
  other.set(true);
  other.set(false);
  line.set(false);
  assert.deepEqual(levels, [true, false]);
  assert.deepEqual(others, [false], 'the second edge was lost');
});
