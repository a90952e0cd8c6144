import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Doorbell, DOORBELL_WORDS } from './doorbell.js';
import { LOST_MS, type EchoThreadData } from './fixtures/echo-thread-data.js';
import { random } from '../io-request/fixtures/random.js';
import { AdaptiveSpin } from './adaptive-spin.js';
import { SharedWords } from './shared-words.js';

const echoThread = new URL('./fixtures/echo-thread.js', import.meta.url);

/** Waiting on shared words does not keep a process alive; a test must. */
async function keepingAlive<T>(work: Promise<T>): Promise<T> {
  const alive = setInterval(() => undefined, 1000);
  try {
    return await work;
  } finally {
    clearInterval(alive);
  }
}

test('a ring while the waiter is awake wakes nobody and is not counted', () => {
  const doorbell = new Doorbell();
  assert.equal(doorbell.ring(), false);
  assert.equal(doorbell.rings, 0);
});

test('a waiter that finds work at its first look does not sleep', async () => {
  const doorbell = new Doorbell();
  assert.equal(
    doorbell.sleep(() => true),
    true,
  );
  assert.equal(await doorbell.wait(() => true), true);
  assert.equal(doorbell.rings, 0);
});

test('a waiter with a budget looks before it sleeps, and its caller makes sure of what it glimpsed', () => {
  const doorbell = new Doorbell();
  let glimpses = 0;
  let looks = 0;
  const look = new AdaptiveSpin({ hasWorkRelaxed: () => ++glimpses > 200, fixedUs: 1e6 });
  assert.equal(
    doorbell.sleep(() => ++looks > 0, LOST_MS, look),
    true,
  );
  assert.deepEqual([glimpses, looks], [201, 0]);
});

test('an event loop’s waiter looks again with ordering at what it glimpsed', async () => {
  const doorbell = new Doorbell();
  const look = new AdaptiveSpin({ hasWorkRelaxed: () => true });
  assert.equal(await doorbell.wait(() => false, 1, look), false, 'a glimpse of what is not there');
});

test('sleep ends without work when its time is over, and the doorbell is as before', () => {
  const doorbell = new Doorbell();
  const start = performance.now();
  assert.equal(
    doorbell.sleep(() => false, 10),
    false,
  );
  assert.ok(performance.now() - start >= 9);
  assert.equal(doorbell.ring(), false);
});

test('sleep with no time left looks once more and returns', () => {
  const doorbell = new Doorbell();
  let looks = 0;
  assert.equal(
    doorbell.sleep(() => ++looks === 2, 0),
    true,
  );
});

test('wait ends without work when its time is over', async () => {
  const doorbell = new Doorbell();
  assert.equal(await keepingAlive(doorbell.wait(() => false, 5)), false);
  assert.equal(doorbell.ring(), false);
});

test('a ring wakes an asynchronous waiter, whose event loop turned meanwhile', async () => {
  const doorbell = new Doorbell();
  let work = false;
  setImmediate(() => {
    work = true;
    assert.equal(doorbell.ring(), true);
  });
  assert.equal(await keepingAlive(doorbell.wait(() => work, LOST_MS)), true);
  assert.equal(doorbell.rings, 1);
});

test('a ring without work lets the waiter sleep on', async () => {
  const doorbell = new Doorbell();
  let work = false;
  let looks = 0;
  setImmediate(() => {
    doorbell.ring();
    setImmediate(() => {
      work = true;
      doorbell.ring();
    });
  });
  const hasWork = (): boolean => {
    looks++;
    return work;
  };
  assert.equal(await keepingAlive(doorbell.wait(hasWork, LOST_MS)), true);
  assert.ok(looks >= 3);
});

test('two doorbells share a buffer without touching each other', async () => {
  const words = new SharedWords(2 * DOORBELL_WORDS);
  const first = new Doorbell(words.buffer);
  const second = new Doorbell(words.buffer, DOORBELL_WORDS);
  let work = false;
  const waiting = keepingAlive(first.wait(() => work, LOST_MS));
  assert.equal(second.ring(), false);
  work = true;
  assert.equal(first.ring(), true);
  assert.equal(await waiting, true);
  assert.deepEqual([first.rings, second.rings], [1, 0]);
});

interface Game {
  readonly words: SharedWords;
  readonly doorbells: SharedWords;
  readonly threads: Worker[];
  readonly results: Promise<{ lost: number }>[];
}

/** `players` threads, each with its ball word, answer word and doorbell; all of them ring doorbell 0. */
async function play(players: number, rounds: number): Promise<Game> {
  const words = new SharedWords(2 * players);
  const doorbells = new SharedWords((players + 1) * DOORBELL_WORDS);
  const threads = Array.from({ length: players }, (_, player) => {
    const data: EchoThreadData = {
      words: words.buffer,
      doorbells: doorbells.buffer,
      rounds,
      seed: 4711 + player,
      ball: 2 * player,
      answer: 2 * player + 1,
      ownDoorbell: (player + 1) * DOORBELL_WORDS,
      otherDoorbell: 0,
    };
    return new Worker(echoThread, { workerData: data });
  });
  await Promise.all(threads.map((thread) => once(thread, 'message')));
  const results = threads.map(async (thread) => ((await once(thread, 'message')) as [{ lost: number }])[0]);
  return { words, doorbells, threads, results };
}

test('of thousands of rings between two threads, one of them blocking, no wake-up is lost', async () => {
  const rounds = 4000;
  const { words, doorbells, results } = await play(1, rounds);
  const mine = new Doorbell(doorbells.buffer, 0);
  const theirs = new Doorbell(doorbells.buffer, DOORBELL_WORDS);
  const next = random(42);
  for (let round = 1; round <= rounds; round++) {
    words.add(0, 1);
    theirs.ring();
    const hasWork = (): boolean => words.load(1) >= round;
    const look = new AdaptiveSpin({ hasWorkRelaxed: hasWork, fixedUs: next() < 0.5 ? 0 : 20 });
    assert.ok(await mine.wait(hasWork, LOST_MS, look), `round ${round} was lost`);
  }
  assert.deepEqual(await Promise.all(results), [{ lost: 0 }]);
});

test('three threads that ring one waiter are all heard', async () => {
  const rounds = 700;
  const players = 3;
  const { words, doorbells, results } = await play(players, rounds);
  const mine = new Doorbell(doorbells.buffer, 0);
  const served = Array.from({ length: players }, () => 0);
  const serve = (player: number): void => {
    served[player] = (served[player] as number) + 1;
    words.add(2 * player, 1);
    new Doorbell(doorbells.buffer, (player + 1) * DOORBELL_WORDS).ring();
  };
  const isHisTurn = (player: number): boolean => words.load(2 * player + 1) >= (served[player] as number);
  const hasTurn = (): boolean => served.some((count, player) => count < rounds && isHisTurn(player));
  while (served.some((count) => count < rounds)) {
    assert.ok(await mine.wait(hasTurn, LOST_MS), `lost after ${served.join(', ')} rounds`);
    for (let player = 0; player < players; player++)
      if ((served[player] as number) < rounds && isHisTurn(player)) serve(player);
  }
  assert.deepEqual(
    await Promise.all(results),
    Array.from({ length: players }, () => ({ lost: 0 })),
  );
});
