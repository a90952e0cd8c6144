import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReadWriteLock } from './read-write-lock.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('shared operations run together, exclusive ones alone, and all of them in their order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.boolean(), fc.nat(3), fc.boolean()), { maxLength: 30 }),
      async (operations) => {
        const lock = new ReadWriteLock();
        const running = new Set<number>();
        const begun: number[] = [];
        let mostShared = 0;
        await Promise.allSettled(
          operations.map(async ([isExclusive, turns, fails], index) => {
            const work = async (): Promise<number> => {
              begun.push(index);
              running.add(index);
              for (const other of running)
                assert.ok(other === index || !(isExclusive || operations[other]?.[0] === true));
              mostShared = Math.max(mostShared, running.size);
              for (let left = turns; left > 0; left--) await turn();
              running.delete(index);
              if (fails) throw new Error('fails');
              return index;
            };
            const result = isExclusive ? lock.exclusive(work) : lock.shared(work);
            if (fails) await assert.rejects(result, /fails/);
            else assert.equal(await result, index);
          }),
        ).then((results) => results.forEach((result) => assert.equal(result.status, 'fulfilled')));
        assert.deepEqual(
          begun,
          operations.map((_, index) => index),
        );
        if (operations.length > 5 && operations.every(([isExclusive]) => !isExclusive)) assert.ok(mostShared > 1);
      },
    ),
  );
});

test('many shared operations run at the same time', async () => {
  const lock = new ReadWriteLock();
  let running = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await turn();
    running--;
  };
  await Promise.all([1, 2, 3, 4].map(() => lock.shared(work)));
  assert.equal(most, 4);
});
