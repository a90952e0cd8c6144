import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TracedPage } from './fixtures/traced-page.js';
import { SAMPLE_ENTRIES } from './move-sampler.js';
import { entryIndex, EntryWord, hypervisorLane, LANE_ENTRIES, publishedIndex } from './trace-ring.js';

const UART = { name: 'uart16550' };

test('a sample has the moves since the last one, oldest first', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  page.play({}, UART);
  page.play({ vcpu: 1 }, UART);
  const { moves, lost } = sampler.take(100);
  assert.deepEqual([moves.length, lost], [8, 0]);
  assert.deepEqual(
    moves.map(({ timeNs }) => timeNs),
    moves.map(({ timeNs }) => timeNs).sort((a, b) => a - b),
  );
  assert.deepEqual(sampler.take(100), { moves: [], lost: 0 });
  sampler.close();
  assert.equal(page.ring.isOn, false);
});

test('a sample of too many moves has the latest moves and counts the others', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  for (let i = 0; i < SAMPLE_ENTRIES; i++) page.play({ address: i }, UART);
  const { moves, lost } = sampler.take(8);
  assert.equal(moves.length, 8);
  assert.equal(lost, 4 * SAMPLE_ENTRIES - 8);
  assert.deepEqual(
    moves.map(({ request }) => request?.type === 'port' && request.address),
    [SAMPLE_ENTRIES - 2, SAMPLE_ENTRIES - 1].flatMap((address) => Array.from({ length: 4 }, () => address)),
  );
});

test('a sample of a burst has the wanted number of moves, complete requests up to the latest', () => {
  const page = new TracedPage(Infinity);
  const sampler = page.trace.sample();
  for (let i = 0; i < SAMPLE_ENTRIES; i++) page.play({ address: i }, UART);
  const { moves, lost } = sampler.take(200);
  assert.equal(moves.length, 200);
  assert.equal(lost, 4 * SAMPLE_ENTRIES - 200);
  assert.deepEqual(
    moves.map(({ request }) => request?.type === 'port' && request.address),
    Array.from({ length: 200 }, (_, i) => SAMPLE_ENTRIES - 50 + (i >> 2)),
  );
});

test('a sample of a flood has at most the number of moves for a flood', () => {
  const page = new TracedPage(Infinity);
  const sampler = page.trace.sample();
  const requests = SAMPLE_ENTRIES / 4;
  for (let i = 0; i < requests; i++) page.play({}, UART);
  assert.equal(sampler.take(200, 64).moves.length, 200, 'as many moves as one sample reads are not a flood');
  for (let i = 0; i <= requests; i++) page.play({}, UART);
  const { moves, lost } = sampler.take(200, 64);
  assert.equal(moves.length, 64);
  assert.equal(moves.length + lost, 4 * (requests + 1));
});

test('a filter selects from the sampled moves', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample({ address: { from: 7, to: 7 } });
  for (let i = 0; i < 20; i++) page.play({ address: i }, UART);
  assert.equal(sampler.take(100).moves.length, 4);
  sampler.close();
});

test('lastMove returns the number of moves of a slot and the time of the last', () => {
  const page = new TracedPage();
  const before = performance.now();
  assert.deepEqual(page.trace.lastMove(0), { moves: 0, atMs: undefined });
  page.trace.use();
  page.play({}, UART);
  const { moves, atMs = 0 } = page.trace.lastMove(0);
  assert.equal(moves, 4);
  assert.ok(atMs >= before && atMs <= performance.now(), `${before} ${atMs}`);
});

test('a sample of several slots is sorted by time, and each slot has its share of the entries', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  for (let i = 0; i < SAMPLE_ENTRIES; i++) page.play({ vcpu: 15 - (i % 4) }, UART);
  const { moves, lost } = sampler.take(Infinity);
  assert.equal(moves.length, SAMPLE_ENTRIES);
  assert.equal(lost, 3 * SAMPLE_ENTRIES);
  assert.deepEqual(
    [12, 13, 14, 15].map((vcpu) => moves.filter((move) => move.vcpu === vcpu).length),
    [256, 256, 256, 256],
  );
  const times = moves.map(({ timeNs }) => timeNs);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
});

test('a sample has what is new of a slot, be it one entry or as many as a sample has', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  page.buffer.slot(0).fill(0, 0, 0x60, 0, 1, 0, 0, false);
  assert.equal(sampler.take(10).moves.length, 1);
  page.buffer.slot(0).stampFree();
  const rest = sampler.take(10);
  for (let i = 0; i < 300; i++) page.play({}, UART);
  const { moves, lost } = sampler.take(Infinity);
  assert.deepEqual([rest.moves.length, moves.length, lost], [1, SAMPLE_ENTRIES, 1200 - SAMPLE_ENTRIES]);
});

test('what is dropped before the first complete request is counted', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  for (let i = 0; i < 100; i++) page.play({}, UART);
  const { moves, lost } = sampler.take(6);
  assert.deepEqual([moves.length, lost], [6, 394]);
});

test('an entry that was never written is counted, also after the last move', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  page.play({}, UART);
  page.ring.words[entryIndex(hypervisorLane(0), 1) + EntryWord.move] = 0;
  const { moves, lost } = sampler.take(10);
  // With it the moves are lost that cannot be ordered without it.
  assert.deepEqual([moves.length, lost], [1, 3]);
});

test('with a filter more entries are read than moves are wanted, and the moves that match are the latest', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample({ address: { from: 7, to: 7 } });
  page.play({ address: 7 }, UART);
  for (let i = 0; i < 100; i++) page.play({ address: 8 }, UART);
  const { moves, lost } = sampler.take(4);
  assert.deepEqual([moves.length, lost], [4, 0]);
});

test('without a filter no more entries are read than are wanted, and a few', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  let assembled = 0;
  for (let i = 0; i < 100; i++) page.play({ address: i }, UART);
  const { moves, lost } = sampler.take(4);
  for (const { lost: before } of moves) assembled += before;
  assert.deepEqual([moves.length, lost, assembled], [4, 396, 0]);
});

test('moves that are still to be written are not lost, and come in the next sample', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  const slot = page.buffer.slot(0);
  slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  page.trace.assigning(UART);
  slot.assign(true);
  const pending = entryIndex(hypervisorLane(0), 0) + EntryWord.move;
  const published = publishedIndex(hypervisorLane(0));
  const move = page.ring.words[pending] as number;
  page.ring.words[pending] = 0;
  page.ring.words[published] = 0;
  assert.deepEqual(sampler.take(10), { moves: [], lost: 0 });
  page.ring.words[pending] = move;
  page.ring.words[published] = 1;
  assert.deepEqual(
    sampler.take(10).moves.map(({ to }) => to),
    ['PENDING', 'PROCESSING'],
  );
});

test('moves that were overwritten are counted with those that were skipped', () => {
  const page = new TracedPage();
  const sampler = page.trace.sample();
  const requests = 3 * LANE_ENTRIES;
  for (let i = 0; i < requests; i++) page.play({}, UART);
  const { moves, lost } = sampler.take(Infinity);
  assert.ok(moves.length > 0);
  assert.equal(moves.length + lost, 4 * requests);
  assert.equal(moves[0]?.lost, lost, 'the first move says so, too');
});
