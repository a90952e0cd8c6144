/** Every interleaving of a SharedRing's producer and consumer, and of defects of it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { before, drop, move, type CodeChange } from '../engine/change/code-change.js';
import { ifStatement, loop, statement } from '../engine/change/selector.js';
import { CodeBase } from '../engine/code/code-base.js';
import { loadCompiler } from '../engine/compiler.js';
import { explore, type Exploration } from '../engine/explore.js';
import type { Model } from '../engine/model.js';
import { ExploredProgram } from '../engine/program.js';
import { RELAXED } from './relaxed-places.js';

const ACTORS = 'exploration/acrn/ring-actors';
const code = new CodeBase(loadCompiler(), {
  root: new URL('../../', import.meta.url),
  plain: ['io-request/layout'],
  relaxed: RELAXED,
});
const model: Model = {
  plan: {},
  shared: { module: ACTORS, name: 'makeRing', values: [] },
  parts: (shared) => ({
    threads: ['ringProducer', 'ringConsumer'].map((name) => ({
      name,
      main: { module: ACTORS, name, values: [shared] },
    })),
  }),
};

const explored = (...changes: readonly CodeChange[]): Promise<Exploration> =>
  explore(new ExploredProgram(code, [ACTORS], changes), model);

test('the consumer takes each element whole and in order, in every schedule', async (t) => {
  const { result } = await explored();
  t.diagnostic(`${result.states} states, ${result.schedules.toExponential(1)} schedules`);
  assert.equal(result.violation?.message, undefined);
  assert.ok(result.isComplete && result.ends > 1);
});

const DEFECTS: readonly (readonly [string, CodeChange['edit']])[] = [
  ['the tail is published before the element', move(statement('TAIL', 'next'), before(loop('element')))],
  ['a full ring is overwritten', drop(ifStatement('next', 'head'))],
];
for (const [what, edit] of DEFECTS)
  test(`found: ${what}`, async () => {
    const { result } = await explored({ module: 'sync/shared-ring', in: 'SharedRing.put', edit });
    assert.match(result.violation?.message ?? '', /ringConsumer threw: Error: element/);
  });
