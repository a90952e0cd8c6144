/** Many far returns, IRETs and task switches of the target "privileged", without coverage. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { privilegedState } from './targets/privileged-state.js';

/** The first byte of an input that is a transfer. */
const TRANSFER = 7;
const INPUTS = 300;
const BYTES = 120;
const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_722);

test('the target of a transfer runs at the level that its CS names, or not at all', async () => {
  console.log(`seed ${seed}; FUZZ_SEED=N tries others`);
  const target = await privilegedState.open();
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
  for (let input = 0; input < INPUTS; input++) {
    const bytes = Uint8Array.from({ length: BYTES }, (_, at) => (at === 0 ? TRANSFER : next()));
    try {
      await target.run(bytes);
    } catch (error) {
      assert.fail(`input ${input}: ${String(error)}`);
    }
  }
  await target.close();
});
