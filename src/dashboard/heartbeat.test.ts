import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { WebSocket } from 'ws';
import { FakeTiming } from '../sync/fixtures/fake-timing.js';
import { JUDGE_MS } from '../sync/timer-lateness.js';
import { Heartbeat } from './heartbeat.js';
import { HEARTBEAT_MS } from './limits.js';

const PERIOD_MS = HEARTBEAT_MS + JUDGE_MS;

class Peer extends EventEmitter {
  readonly timing = new FakeTiming();
  bufferedAmount = 0;
  taken = 0;
  pings = 0;
  gone = 0;
  readonly heartbeat = new Heartbeat({
    socket: this as unknown as WebSocket,
    takenBytes: () => this.taken,
    onGone: () => this.gone++,
    timing: this.timing,
  });

  ping(): void {
    this.pings++;
  }
}

test('a peer that answers no ping and sends nothing is gone after one period', () => {
  const peer = new Peer();
  peer.heartbeat.start();
  peer.timing.pass(HEARTBEAT_MS);
  assert.deepEqual([peer.pings, peer.gone], [1, 0]);
  peer.timing.pass(JUDGE_MS);
  assert.equal(peer.gone, 1);
  peer.timing.pass(10 * PERIOD_MS);
  assert.deepEqual([peer.pings, peer.gone], [1, 1]);
});

for (const sign of ['pong', 'message'])
  test(`a peer with one ${sign} in each period stays, and is gone after a period without`, () => {
    const peer = new Peer();
    peer.heartbeat.start();
    for (let period = 0; period < 5; period++) {
      peer.emit(sign);
      peer.timing.pass(PERIOD_MS);
    }
    assert.deepEqual([peer.pings, peer.gone], [6, 0]);
    peer.timing.pass(PERIOD_MS);
    assert.equal(peer.gone, 1);
  });

test('a slow peer stays while it takes the data that is before the ping', () => {
  const peer = new Peer();
  peer.bufferedAmount = 1_000_000;
  peer.heartbeat.start();
  for (let period = 0; period < 5; period++) {
    peer.taken += 1000;
    peer.timing.pass(PERIOD_MS);
  }
  assert.equal(peer.gone, 0);
  peer.timing.pass(PERIOD_MS);
  assert.equal(peer.gone, 1, 'it takes nothing any more');
});

test('data that the connection accepts at once is no sign of the peer', () => {
  const peer = new Peer();
  peer.heartbeat.start();
  peer.taken += 1000;
  peer.timing.pass(PERIOD_MS);
  assert.equal(peer.gone, 1);
});

test('time in which the thread was held does not count, and a stopped heartbeat sends no ping', () => {
  const peer = new Peer();
  peer.heartbeat.start();
  peer.timing.hold(10 * HEARTBEAT_MS);
  peer.timing.pass(HEARTBEAT_MS - 1);
  assert.equal(peer.gone, 0);
  peer.heartbeat.stop();
  peer.timing.pass(10 * PERIOD_MS);
  assert.deepEqual([peer.pings, peer.gone, peer.timing.running], [1, 0, 0]);
});
