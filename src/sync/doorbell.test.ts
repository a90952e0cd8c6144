import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Doorbell, DOORBELL_WORDS } from './doorbell.js';
import { LOST_MS, type EchoThreadData } from './fixtures/echo-thread-data.js';
import { random } from '../io-request/fixtures/random.js';
import { AdaptiveSpin } from './adaptive-spin.js';
import { OrderedPoll } from './poll.js';
import { SharedWords } from './shared-words.js';

const echoThread = new URL('./fixtures/echo-thread.js', import.meta.url);

/** Waiting on shared words does not keep a process alive. A test has to. */
async function keepingAlive<T>(work: Promise<T>): Promise<T> {
  const alive = setInterval(() => undefined, 1000);
  try {
    return await work;
  } finally {
    clearInterval(alive);
  }
}

test('a ring while the waiter is awake wakes no thread and is not counted', () => {
  const doorbell = new Doorbell();
  assert.equal(doorbell.ring(), false);
  assert.equal(doorbell.rings, 0);
});

/** Both ways to wait have the same contract, so each rule below is tested for both. */
const WAYS = {
  wait: (doorbell: Doorbell, ...args: Parameters<Doorbell['wait']>) => Promise.resolve(doorbell.wait(...args)),
  waitAsync: (doorbell: Doorbell, ...args: Parameters<Doorbell['wait']>) => keepingAlive(doorbell.waitAsync(...args)),
};

for (const [name, wait] of Object.entries(WAYS)) {
  test(`${name} does not park when the first poll finds work`, async () => {
    const doorbell = new Doorbell();
    assert.equal(await wait(doorbell, new OrderedPoll(() => true)), true);
    assert.equal(doorbell.rings, 0);
  });

  test(`${name} spins before it parks, and takes what a relaxed poll found without an ordered one`, async () => {
    let relaxed = 0;
    let ordered = 0;
    const poll = { relaxed: () => ++relaxed > 200, ordered: () => ++ordered > 0 };
    assert.equal(await wait(new Doorbell(), poll, LOST_MS, new AdaptiveSpin({ fixedUs: 1e6 })), true);
    assert.deepEqual([relaxed, ordered], [201, 0]);
  });

  test(`${name} polls with ordering before it parks, although the relaxed polls found nothing`, async () => {
    const poll = { relaxed: () => false, ordered: () => true };
    assert.equal(await wait(new Doorbell(), poll, LOST_MS, new AdaptiveSpin({ fixedUs: 0 })), true);
  });

  test(`${name} returns false when its time is over, and leaves the doorbell disarmed`, async () => {
    const doorbell = new Doorbell();
    const start = performance.now();
    assert.equal(await wait(doorbell, new OrderedPoll(() => false), 10), false);
    assert.ok(performance.now() - start >= 9);
    assert.equal(doorbell.ring(), false);
  });

  test(`${name} with no time left polls once more, and leaves the doorbell disarmed`, async () => {
    const doorbell = new Doorbell();
    let polls = 0;
    assert.equal(await wait(doorbell, new OrderedPoll(() => ++polls === 2), 0), true);
    assert.equal(doorbell.ring(), false, 'disarmed');
  });
}

test('a ring wakes an asynchronous waiter, whose event loop turned meanwhile', async () => {
  const doorbell = new Doorbell();
  let work = false;
  setImmediate(() => {
    work = true;
    assert.equal(doorbell.ring(), true);
  });
  assert.equal(await keepingAlive(doorbell.waitAsync(new OrderedPoll(() => work), LOST_MS)), true);
  assert.equal(doorbell.rings, 1);
});

test('a ring without work lets the waiter park again', async () => {
  const doorbell = new Doorbell();
  let work = false;
  let polls = 0;
  setImmediate(() => {
    doorbell.ring();
    setImmediate(() => {
      work = true;
      doorbell.ring();
    });
  });
  const poll = new OrderedPoll(() => {
    polls++;
    return work;
  });
  assert.equal(await keepingAlive(doorbell.waitAsync(poll, LOST_MS)), true);
  assert.ok(polls >= 3);
});

test('two doorbells share a buffer without touching each other', async () => {
  const words = new SharedWords(2 * DOORBELL_WORDS);
  const first = new Doorbell(words.buffer);
  const second = new Doorbell(words.buffer, DOORBELL_WORDS);
  let work = false;
  const waiting = keepingAlive(first.waitAsync(new OrderedPoll(() => work), LOST_MS));
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

/**
 * `players` threads, each with its ball word, answer word and doorbell. All of them ring doorbell
 * 0.
 */
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
    const answer = new OrderedPoll(() => words.load(1) >= round);
    const spin = new AdaptiveSpin({ fixedUs: next() < 0.5 ? 0 : 20 });
    assert.ok(await mine.waitAsync(answer, LOST_MS, spin), `round ${round} was lost`);
  }
  assert.deepEqual(await Promise.all(results), [{ lost: 0 }]);
});

test('no ring of three threads at one waiter is lost', async () => {
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
  const isTurnOf = (player: number): boolean => words.load(2 * player + 1) >= (served[player] as number);
  const turn = new OrderedPoll(() => served.some((count, player) => count < rounds && isTurnOf(player)));
  while (served.some((count) => count < rounds)) {
    assert.ok(await mine.waitAsync(turn, LOST_MS), `lost after ${served.join(', ')} rounds`);
    for (let player = 0; player < players; player++)
      if ((served[player] as number) < rounds && isTurnOf(player)) serve(player);
  }
  assert.deepEqual(
    await Promise.all(results),
    Array.from({ length: players }, () => ({ lost: 0 })),
  );
});
