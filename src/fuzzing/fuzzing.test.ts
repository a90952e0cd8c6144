/** Replays the corpus and runs a short campaign of each target. FUZZ_SEED=N tries other inputs. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runCampaign } from './campaign.js';
import { readCorpus } from './corpus.js';
import { FUZZ_TARGETS } from './fuzz-targets.js';
import { Player } from './player.js';

/** New inputs of each campaign, about a second of work. */
const INPUTS: Readonly<Record<string, number>> = {
  page: 4,
  guests: 8,
  code: 60,
  privileged: 150,
  devices: 300,
  virtio: 150,
  vfio: 60,
  control: 100,
  images: 200,
};
const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_722);

describe('fuzz targets', () => {
  for (const target of FUZZ_TARGETS) {
    test(`${target.name}: the corpus finds nothing`, { timeout: 120_000 }, async () => {
      const player = new Player(target);
      for (const { name, bytes } of readCorpus(target.name)) assert.equal(await player.play(bytes), undefined, name);
      assert.equal(await player.close(), undefined);
    });

    test(`${target.name}: a short campaign finds nothing`, { timeout: 120_000 }, async () => {
      console.log(`${target.name} with seed ${seed}; FUZZ_SEED=N tries another`);
      const maxInputs = INPUTS[target.name] ?? 0;
      const report = await runCampaign({ target, corpus: [], seed, maxInputs });
      assert.equal(report.finding?.message, undefined);
      assert.ok(report.inputs === maxInputs && maxInputs > 0 && report.reached > 0, JSON.stringify(report));
    });
  }
});
