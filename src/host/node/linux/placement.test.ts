import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { host } from '../../current.js';
import { placeThreads } from './placement.js';

const placement = placeThreads();
const reason =
  placement === undefined ? 'this is not Linux, or koffi is not installed' : availableParallelism() < 2 && 'one CPU';

/** Parks, and says on which CPU it woke. Its first message is its number. */
const SLEEPER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { readlinkSync } = require('node:fs');
  const cpu = require('koffi').load('libc.so.6').func('int sched_getcpu()');
  const words = new Int32Array(workerData);
  parentPort.postMessage(Number(readlinkSync('/proc/thread-self').split('/').pop()));
  for (let round = 0; ; round++) {
    Atomics.store(words, 1, 1);
    Atomics.wait(words, 0, round);
    Atomics.store(words, 2, cpu());
    Atomics.store(words, 1, 0);
  }
`;
const ROUNDS = 200;
const NO_CPU = -1;

const maskOf = (thread: number): string => execFileSync('taskset', ['-p', String(thread)], { encoding: 'utf8' });

describe('the placement of threads', { skip: reason, timeout: 60_000 }, () => {
  for (const [way, where] of [
    ['wakeApart', 'another CPU than its waker’s'],
    ['wakeHere', 'its waker’s CPU'],
  ] as const)
    test(`a thread wakes on ${where}, and keeps its mask`, async (t) => {
      if (placement === undefined) return;
      const words = new Int32Array(new SharedArrayBuffer(12));
      const worker = new Worker(SLEEPER, { eval: true, workerData: words.buffer });
      t.after(() => worker.terminate());
      const thread = await new Promise<number>((resolve) => worker.once('message', resolve));
      const before = maskOf(thread);
      const koffi = (await import('koffi')) as unknown as {
        default: { load(file: string): { func(text: string): () => number } };
      };
      const cpu = koffi.default.load('libc.so.6').func('int sched_getcpu()');
      let expected = 0;
      let parked = 0;
      for (let round = 0; round < ROUNDS; round++) {
        while (Atomics.load(words, 1) === 0) await host.turn();
        Atomics.store(words, 2, NO_CPU);
        const here = cpu();
        placement[way](thread, () => {
          Atomics.add(words, 0, 1);
          // A sleeper that was not yet parked is not woken.
          parked += Atomics.notify(words, 0);
        });
        while (Atomics.load(words, 2) === NO_CPU) await host.turn();
        if ((Atomics.load(words, 2) === here) === (way === 'wakeHere')) expected++;
      }
      assert.equal(maskOf(thread), before);
      // The waker itself may have been moved between the two readings.
      assert.ok(parked > 0 && expected >= ROUNDS * 0.8, `${expected} of ${ROUNDS}, ${parked} of them parked`);
    });

  test('a thread that another one wakes apart at the same moment gets all of its CPUs back', async (t) => {
    if (placement === undefined) return;
    const words = new Int32Array(new SharedArrayBuffer(12));
    const worker = new Worker(SLEEPER, { eval: true, workerData: words.buffer });
    t.after(() => worker.terminate());
    const thread = await new Promise<number>((resolve) => worker.once('message', resolve));
    const before = maskOf(thread);
    const mask = /([0-9a-f]+)$/.exec(before.trim())?.[1] ?? '';
    const cpus = Array.from({ length: 64 }, (_, cpu) => 1n << BigInt(cpu)).filter(
      (bit) => (BigInt(`0x${mask}`) & bit) !== 0n,
    );
    const setMask = (bits: string): void => void execFileSync('taskset', ['-p', bits, String(thread)]);
    // The other waker has left one CPU of two, which may be this thread's, so there are some tries.
    for (let round = 0; round < 8; round++) {
      setMask((cpus[round % 2] ?? 1n).toString(16));
      placement.wakeApart(thread, () => setMask(mask));
      assert.equal(maskOf(thread), before);
    }
  });

  test('a mask that the operator changes meanwhile stays', async (t) => {
    if (placement === undefined) return;
    const words = new Int32Array(new SharedArrayBuffer(12));
    const worker = new Worker(SLEEPER, { eval: true, workerData: words.buffer });
    t.after(() => worker.terminate());
    const thread = await new Promise<number>((resolve) => worker.once('message', resolve));
    const all = /([0-9a-f]+)$/.exec(maskOf(thread).trim())?.[1] ?? '';
    const setMask = (bits: string): void => void execFileSync('taskset', ['-p', bits, String(thread)]);
    for (const way of ['wakeApart', 'wakeHere'] as const) {
      let changed = '';
      placement[way](thread, () => {
        const narrowed = BigInt(`0x${/([0-9a-f]+)$/.exec(maskOf(thread).trim())?.[1] ?? '0'}`);
        const others = BigInt(`0x${all}`) & ~narrowed;
        // One of the other CPUs.
        setMask((others & -others).toString(16));
        changed = maskOf(thread);
      });
      assert.equal(maskOf(thread), changed, way);
      setMask(all);
    }
  });

  test('a thread is pinned to a CPU that it may run on, and to no other', () => {
    const code = `
      import { placeThreads } from ${JSON.stringify(new URL('./placement.js', import.meta.url).href)};
      const placement = placeThreads();
      console.log(placement.pin(0), placement.pin(1000));
    `;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
    assert.equal(out.trim(), 'true false');
  });
});
