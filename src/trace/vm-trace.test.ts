import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { SharedBuffer } from '../io-request/shared-buffer.js';
import { TracedPage } from './fixtures/traced-page.js';
import type { InterruptReader } from './interrupt-reader.js';
import { HypervisorLane, LaneView } from './lane.js';
import { MoveRecorder } from './move-recorder.js';
import type { Move } from './move.js';
import { entryIndex, EntryWord, hypervisorLane, LANE_ENTRIES, MoveBits, serviceLane, TraceRing } from './trace-ring.js';
import { MAX_TRACED_CLIENTS, VmTrace } from './vm-trace.js';

const UART = { name: 'uart16550' };
const DISK = { name: 'disk' };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function rest(moves: AsyncGenerator<Move>): Promise<Move[]> {
  const all: Move[] = [];
  for await (const move of moves) all.push(move);
  return all;
}

describe('the trace of a VM', () => {
  test('records while it has a user', () => {
    const { trace, ring } = new TracedPage();
    assert.deepEqual([trace.isOn, ring.isOn], [false, false]);
    const [first, second] = [trace.use(), trace.use()];
    assert.deepEqual([trace.isOn, ring.isOn], [true, true]);
    first();
    first();
    assert.deepEqual([trace.isOn, ring.isOn], [true, true]);
    second();
    assert.deepEqual([trace.isOn, ring.isOn], [false, false]);
  });

  test('records for statistics until the VM ends, and for a sampler until it is closed', () => {
    const { trace, ring } = new TracedPage();
    const sampler = trace.sample();
    assert.equal(ring.isOn, true);
    sampler.close();
    assert.equal(ring.isOn, false);
    trace.count({ rangesOf: () => [], isDefault: () => false });
    assert.equal(ring.isOn, true);
  });

  test('closes the interrupts that it was given when its watcher ends, and says when its times begin', async () => {
    const { trace, ring } = new TracedPage();
    let closed = 0;
    const interrupts = { take: () => [], close: () => (closed += 1) };
    const watcher = trace.watch({}, interrupts as unknown as InterruptReader);
    const first = watcher.next();
    trace.close();
    assert.equal((await first).done, true);
    assert.equal(closed, 1);
    assert.ok(trace.startMs >= ring.originMs);
    const ageMs = performance.timeOrigin + performance.now() - trace.startMs;
    assert.ok(ageMs >= 0 && ageMs < 60_000, `${ageMs}`);
  });

  test('gives each client a number at its first request, and the others one together', async () => {
    const { trace, buffer } = new TracedPage();
    trace.assigning(UART);
    assert.equal(trace.recorder.client, 0, 'nothing records yet');
    const moves = trace.watch();
    const numberOf = (client: { readonly name: string }): number => {
      trace.assigning(client);
      return trace.recorder.client;
    };
    assert.deepEqual([UART, DISK, UART, UART, DISK].map(numberOf), [1, 2, 1, 1, 2]);
    for (let number = 3; number < MAX_TRACED_CLIENTS; number++)
      assert.equal(numberOf({ name: `client ${number}` }), number);
    assert.equal(MAX_TRACED_CLIENTS, 1024);
    const others = [{ name: 'late' }, { name: 'later' }];
    assert.deepEqual([...others, ...others, UART].map(numberOf), [1024, 1024, 1024, 1024, 1]);
    numberOf(others[0] as (typeof others)[0]);
    buffer.slot(0).fill(0, 0, 0x60, 0, 1, 0, 0, false);
    buffer.slot(0).assign(true);
    trace.close();
    assert.equal((await rest(moves)).at(-1)?.client, 'other clients');
  });

  test('knows how many moves a slot has made, and when the last one was', () => {
    const page = new TracedPage();
    const before = performance.now();
    page.trace.use();
    assert.deepEqual(page.trace.lastMove(3), { moves: 0, atMs: undefined });
    page.play({ vcpu: 3 }, UART);
    const { moves, atMs = 0 } = page.trace.lastMove(3);
    assert.equal(moves, 4);
    assert.ok(atMs >= before && atMs <= performance.now());
    const upper = new LaneView(page.ring, hypervisorLane(3));
    assert.equal(Math.round(1e6 * atMs), Math.round(1e6 * (upper.timeMs(1) - page.ring.clockOffsetMs)));
    page.buffer.slot(3).fill(0, 0, 0x60, 0, 1, 0, 0, false);
    page.buffer.slot(3).assign(true);
    const lower = new LaneView(page.ring, serviceLane(3));
    const later = page.trace.lastMove(3);
    assert.equal(later.moves, 6);
    assert.equal(later.atMs, lower.timeMs(2) - page.ring.clockOffsetMs);
    assert.equal(page.trace.lastMove(4).moves, 0);
  });
});

test('times are those of the thread’s own clock, whatever the origin of the ring', async () => {
  const ring = new TraceRing();
  ring.times[1] = performance.timeOrigin - 1e9;
  const trace = new VmTrace(ring, new MoveRecorder(ring, { burstMs: 0 }));
  const { slots } = new SharedBuffer();
  for (const slot of slots) trace.recorder.observe(slot);
  const moves = trace.watch();
  slots[0]?.fill(0, 0, 0x60, 0, 1, 0, 0, false);
  const { atMs = 0 } = trace.lastMove(0);
  assert.ok(Math.abs(atMs - performance.now()) < 60_000, `${atMs}`);
  trace.close();
  const [move] = await rest(moves);
  assert.ok(move !== undefined && move.timeNs >= 0 && move.timeNs < 60e9, `${move?.timeNs}`);
  // In the first ms of the ring.
  new HypervisorLane(ring, 5).free(MoveBits.IS_TIMED, 0.5);
  assert.equal(trace.lastMove(5).atMs, 0.5 - 1e9);
});

describe('a watcher', () => {
  // Only requests wake a watcher here, and not its timer.
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  test('reads again what came while its last moves were taken, before it waits', { timeout: 120_000 }, async () => {
    const page = new TracedPage();
    const moves = page.trace.watch();
    for (let request = 0; request < 2; request++) {
      page.play({}, UART);
      for (const to of ['PENDING', 'PROCESSING', 'COMPLETE', 'FREE']) assert.equal((await moves.next()).value?.to, to);
    }
    await moves.return();
  });

  test('gets the move to PENDING with the next one if only that decides', { timeout: 120_000 }, async () => {
    const page = new TracedPage();
    const moves = page.trace.watch({ client: 'disk' });
    const first = moves.next();
    await turn();
    const slot = page.buffer.slot(0);
    slot.fill(0, 0, 0x60, 0, 1, 0, 0, false);
    page.trace.dispatched();
    await turn();
    page.trace.assigning(DISK);
    slot.assign(true);
    page.trace.dispatched();
    assert.deepEqual([(await first).value?.to, (await moves.next()).value?.to], ['PENDING', 'PROCESSING']);
    await moves.return();
  });

  test('polls for moves that wake no watcher', { timeout: 120_000 }, async () => {
    const page = new TracedPage();
    const moves = page.trace.watch();
    const first = moves.next();
    await turn();
    page.buffer.slot(0).fill(0, 0, 0x60, 0, 1, 0, 0, false);
    mock.timers.tick(10);
    assert.equal((await first).value?.to, 'PENDING');
    await moves.return();
  });

  test('gets what was lost after its last move with the next one, once', { timeout: 120_000 }, async () => {
    const page = new TracedPage();
    const moves = page.trace.watch();
    page.play({}, UART);
    page.ring.words[entryIndex(hypervisorLane(0), 1) + EntryWord.move] = 0;
    const lost = [(await moves.next()).value?.lost];
    const next = moves.next();
    await turn();
    page.play({}, UART);
    page.trace.dispatched();
    lost.push((await next).value?.lost, (await moves.next()).value?.lost);
    assert.deepEqual(lost, [0, 3, 0]);
    await moves.return();
  });

  test('gets the moves of all slots from its call on, sorted by time, which begins with the trace', async () => {
    const page = new TracedPage();
    page.trace.use();
    page.play({}, UART);
    const moves = page.trace.watch();
    page.play({ vcpu: 15 }, UART);
    page.play({ vcpu: 0 }, DISK);
    page.trace.close();
    const all = await rest(moves);
    assert.deepEqual(
      all.map(({ vcpu, client }) => `${vcpu} ${client ?? '-'}`),
      ['15 -', '15 uart16550', '15 uart16550', '15 uart16550', '0 -', '0 disk', '0 disk', '0 disk'],
    );
    const times = all.map(({ timeNs }) => timeNs);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
    assert.ok((times[0] ?? -1) >= 0 && (times[0] ?? Infinity) < 60e9);
  });

  test('waits for requests, and is woken by each', { timeout: 120_000 }, async () => {
    const page = new TracedPage();
    const moves = page.trace.watch();
    for (const to of ['PENDING', 'PROCESSING', 'COMPLETE', 'FREE']) {
      const next = moves.next();
      await turn();
      if (to === 'PENDING') page.play({}, UART);
      page.trace.dispatched();
      const { value } = await next;
      assert.equal(value?.to, to);
    }
    const ended = moves.next();
    await turn();
    page.trace.close();
    assert.equal((await ended).done, true);
  });

  test('gets the request that was never assigned at the end, if it matches', async () => {
    const page = new TracedPage();
    const moves = page.trace.watch({ type: 'port' });
    page.buffer.slot(0).fill(0, 0, 0x60, 0, 1, 0, 0, false);
    page.trace.close();
    assert.deepEqual(
      (await rest(moves)).map(({ to }) => to),
      ['PENDING'],
    );
  });

  test('that is late gets the number of lost moves with the next one, also when nothing was left to give', async () => {
    const page = new TracedPage();
    const moves = page.trace.watch();
    const requests = 2 * LANE_ENTRIES;
    for (let i = 0; i < requests; i++) page.play({}, UART);
    const first = await moves.next();
    assert.ok(first.value !== undefined && first.value.lost > 2 * LANE_ENTRIES, `${first.value?.lost}`);
    page.trace.close();
    const all = [first.value, ...(await rest(moves))];
    assert.equal(all.length + first.value.lost, 4 * requests);
    assert.equal(
      all.reduce((sum, { lost }) => sum + lost, 0),
      first.value.lost,
    );
  });

  test('lets the event loop turn once for each eighth of a lane, and no longer when it has left', async () => {
    const page = new TracedPage();
    const turns = (requests: number): number =>
      Array.from({ length: requests }, () => page.trace.dispatched()).filter(Boolean).length;
    assert.equal(turns(1000), 0);
    const moves = page.trace.watch();
    const first = moves.next();
    assert.equal(turns(127), 0);
    assert.equal(turns(1), 1);
    assert.equal(turns(127), 0);
    assert.equal(turns(1), 1);
    await turn();
    page.play({}, UART);
    page.trace.dispatched();
    await first;
    await moves.return();
    assert.equal(turns(1000), 0);
    assert.equal(page.ring.isOn, false);
  });
});
