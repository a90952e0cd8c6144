import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ClusterBitmap } from './cluster-bitmap.js';
import { MAX_FILE_CLUSTERS } from './qcow2-limits.js';

test('a bitmap is a set of clusters that knows its lowest gap', () => {
  const cluster = fc.oneof(fc.nat(70), fc.nat(3000));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom('add', 'delete', 'fill'), cluster)), (steps) => {
      const bitmap = new ClusterBitmap();
      const model = new Set<number>();
      for (const [step, at] of steps) {
        if (step === 'add') {
          assert.equal(bitmap.add(at), !model.has(at));
          model.add(at);
        } else if (step === 'delete') {
          bitmap.delete(at);
          model.delete(at);
        } else for (let one = 0; one < at; one++) if (bitmap.add(one)) model.add(one);
        let lowest = 0;
        while (model.has(lowest)) lowest++;
        assert.equal(bitmap.lowestFree(), lowest);
        for (const one of [0, 31, 32, 63, 64, at, at + 1]) assert.equal(bitmap.has(one), model.has(one));
      }
    }),
  );
});

test('a bitmap has a limit', () => {
  const bitmap = new ClusterBitmap();
  assert.equal(bitmap.add(MAX_FILE_CLUSTERS), false);
  assert.equal(bitmap.add(MAX_FILE_CLUSTERS - 1), true);
  bitmap.delete(MAX_FILE_CLUSTERS + 5);
  assert.equal(bitmap.has(MAX_FILE_CLUSTERS), false);
});

test('a cluster whose number has more than 32 bits is not one of the low ones', () => {
  const bitmap = new ClusterBitmap();
  bitmap.add(3);
  assert.equal(bitmap.has(2 ** 32 + 3), false);
});
