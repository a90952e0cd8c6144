import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TracedPage } from './fixtures/traced-page.js';
import { SAMPLE_ENTRIES } from './move-sampler.js';

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
