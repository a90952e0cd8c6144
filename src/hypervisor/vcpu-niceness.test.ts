import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { availableParallelism, getPriority } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { MAX_NICENESS, vcpuNiceness } from './vcpu-niceness.js';

test('vCPUs with a core each keep their priority', () => {
  for (const [vcpus, cores] of [
    [1, 1],
    [1, 2],
    [3, 4],
    [16, 17],
  ] as const)
    assert.equal(vcpuNiceness(vcpus, cores), 0);
});

test('more vCPUs than that weigh together half as much as the cores beside the worker’s', () => {
  for (const [vcpus, cores] of [
    [2, 2],
    [4, 2],
    [16, 2],
    [16, 4],
    [16, 16],
  ] as const) {
    const share = vcpus / 1.25 ** vcpuNiceness(vcpus, cores) / (cores - 1);
    assert.ok(share > 0.44 && share < 0.56, `${vcpus} on ${cores}: ${share}`);
  }
  assert.equal(vcpuNiceness(16, 2), 16);
  assert.equal(vcpuNiceness(10_000, 1), MAX_NICENESS);
});

test(
  'a thread that steps back leaves the others as they are',
  {
    skip:
      process.platform === 'linux'
        ? false
        : `on ${process.platform} a thread has no priority of its own, and nothing is set`,
  },
  async () => {
    const before = getPriority(0);
    const vcpus = 8 * availableParallelism();
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { readFileSync } = require('node:fs');
      import(workerData.module).then(({ lowerPriority }) => {
        lowerPriority(workerData.vcpus);
        parentPort.postMessage(readFileSync('/proc/thread-self/stat', 'latin1'));
      });`;
    const module = new URL('./vcpu-niceness.js', import.meta.url).href;
    const thread = new Worker(source, { eval: true, workerData: { module, vcpus } });
    const [stat] = (await once(thread, 'message')) as [string];
    const expected = Math.min(MAX_NICENESS, before + vcpuNiceness(vcpus, availableParallelism()));
    assert.equal(niceOf(stat), expected);
    assert.ok(expected > before || before === MAX_NICENESS);
    assert.equal(niceOf(readFileSync('/proc/thread-self/stat', 'latin1')), before);
  },
);

/** Field 19 of proc(5)'s stat; the name in parentheses may hold anything. */
function niceOf(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
}
