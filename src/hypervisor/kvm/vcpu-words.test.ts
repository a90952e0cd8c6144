import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VcpuWords } from './vcpu-words.js';

describe('vCPUs that have halted for good', () => {
  test('are all, found twice', () => {
    const words = new VcpuWords();
    const found = [0, 1, 0, 1].map((vcpu) => words.halted(vcpu, 2));
    assert.deepEqual(found, [false, false, false, true]);
    // The others learn of it at their next tick.
    assert.equal(words.halted(0, 2), true);
  });

  test('are not known while one runs, or has run since it was found halted', () => {
    const words = new VcpuWords();
    assert.deepEqual([words.halted(0, 2), words.halted(0, 2), words.halted(0, 2)], [false, false, false]);
    words.halted(1, 2);
    words.running(0);
    assert.deepEqual(
      [0, 1, 0].map((vcpu) => words.halted(vcpu, 2)),
      [false, false, false],
    );
    assert.equal(words.halted(1, 2), true);
  });

  test('are forgotten at a reset', () => {
    const words = new VcpuWords();
    words.halted(0, 1);
    words.clearHalts();
    assert.deepEqual([words.halted(0, 1), words.halted(0, 1)], [false, true]);
  });
});
