import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { JUDGE_MS } from '../sync/timer-lateness.js';
import { ConnectionPools, type PoolName } from './connection-pools.js';
import { CONNECTION_POOLS } from './limits.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const NAMES = Object.keys(CONNECTION_POOLS) as PoolName[];

/** Enters as many new connections as the pool has room for. */
function fill(pools: ConnectionPools, pool: PoolName): PassThrough[] {
  const connections = Array.from({ length: CONNECTION_POOLS[pool].most }, () => new PassThrough());
  for (const connection of connections) pools.enter(connection, pool);
  return connections;
}

for (const pool of NAMES)
  test(`a connection that enters the full pool "${pool}" evicts its oldest, and none of another pool`, () => {
    const pools = new ConnectionPools(new FakeTiming());
    const others = NAMES.filter((name) => name !== pool).flatMap((name) => fill(pools, name));
    const [oldest, second, ...rest] = fill(pools, pool);
    const [first, next] = [new PassThrough(), new PassThrough()];
    pools.enter(first, pool);
    assert.deepEqual([oldest?.destroyed, second?.destroyed], [true, false]);
    pools.enter(next, pool);
    assert.equal(second?.destroyed, true);
    assert.ok([...others, ...rest, first, next].every(({ destroyed }) => !destroyed));
    assert.equal(pools.count(pool), CONNECTION_POOLS[pool].most);
  });

for (const pool of NAMES)
  test(`a connection may stay in the pool "${pool}" for its time, and not longer`, () => {
    const timing = new FakeTiming();
    const pools = new ConnectionPools(timing);
    const connection = new PassThrough();
    pools.enter(connection, pool);
    timing.pass(CONNECTION_POOLS[pool].ms);
    assert.equal(connection.destroyed, false);
    timing.pass(JUDGE_MS);
    assert.equal(connection.destroyed, true);
  });

test('time in which the thread was held does not count against a connection', () => {
  const timing = new FakeTiming();
  const pools = new ConnectionPools(timing);
  const connection = new PassThrough();
  pools.enter(connection, 'silent');
  timing.hold(60_000);
  timing.pass(CONNECTION_POOLS.silent.ms - 1);
  assert.equal(connection.destroyed, false);
});

test('a connection that moves to another pool is counted there only, and its time begins again', () => {
  const timing = new FakeTiming();
  const pools = new ConnectionPools(timing);
  const connection = new PassThrough();
  pools.enter(connection, 'silent');
  timing.pass(CONNECTION_POOLS.silent.ms);
  pools.enter(connection, 'hello');
  assert.deepEqual([pools.count('silent'), pools.count('hello'), timing.running], [0, 1, 1]);
  timing.pass(CONNECTION_POOLS.hello.ms);
  assert.equal(connection.destroyed, false);
});

test('a connection that has left has no limit, and a closed one leaves by itself', async () => {
  const timing = new FakeTiming();
  const pools = new ConnectionPools(timing);
  const [page, closed] = [new PassThrough(), new PassThrough()];
  pools.enter(page, 'hello');
  pools.leave(page);
  pools.enter(closed, 'hello');
  closed.destroy();
  await turn();
  assert.deepEqual([pools.count('hello'), timing.running], [0, 0]);
  pools.enter(closed, 'response');
  assert.equal(pools.count('response'), 0, 'a closed connection enters no pool');
  fill(pools, 'hello');
  timing.pass(1_000_000);
  assert.equal(page.destroyed, false);
});
