import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ThreadHolder } from './thread-holder.js';

describe('what held the thread', () => {
  test('is the client whose call took more than half of the time', () => {
    const holder = new ThreadHolder(() => 0);
    holder.record('slow', 1050, 1151);
    assert.deepEqual(holder.causeOf(1000, 1200, 200), { cause: 'client', holder: 'slow' });
    holder.record('half', 1050, 1150);
    assert.deepEqual(holder.causeOf(1000, 1200, 200), { cause: 'unknown' });
  });

  test('counts only the part of the call within the hold', () => {
    const holder = new ThreadHolder(() => 0);
    holder.record('early', 0, 1050);
    assert.deepEqual(holder.causeOf(1000, 1200, 200), { cause: 'unknown' });
    holder.record('late', 1150, 9000);
    assert.deepEqual(holder.causeOf(1000, 1200, 200), { cause: 'unknown' });
    holder.record('around', 900, 1300);
    assert.deepEqual(holder.causeOf(1000, 1200, 200), { cause: 'client', holder: 'around' });
  });

  test('is the latest call of 5 ms and more', () => {
    const holder = new ThreadHolder(() => 0);
    holder.record('first', 0, 5);
    holder.record('short', 5, 9.9);
    assert.deepEqual(holder.causeOf(0, 6, 6), { cause: 'client', holder: 'first' });
    holder.record('second', 10, 20);
    assert.deepEqual(holder.causeOf(10, 20, 10), { cause: 'client', holder: 'second' });
  });

  test('is a stop of the process if it used less than a quarter of the time', () => {
    const holder = new ThreadHolder(() => 0);
    assert.deepEqual(holder.causeOf(1000, 1400, 99), { cause: 'stopped' });
    assert.deepEqual(holder.causeOf(1000, 1400, 100), { cause: 'unknown' });
  });

  test('is found with the processor time that the program gives, and no limit runs at first', () => {
    let ms = 3;
    const holder = new ThreadHolder(() => ms);
    assert.equal(holder.processorMs, 3);
    ms = 4;
    assert.equal(holder.processorMs, 4);
    assert.equal(holder.limits, 0);
  });
});
