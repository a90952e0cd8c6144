import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IoRequest } from '../io-request/io-request.js';
import { RequestTrace, TRACE_QUEUE_EVENTS } from './request-trace.js';

const request = (address: number): IoRequest => ({ type: 'port', direction: 'write', address, size: 1, value: 0 });

test('a watcher that is too slow loses the oldest events and is told how many', async () => {
  const trace = new RequestTrace();
  const events = trace.watch();
  for (let address = 0; address < TRACE_QUEUE_EVENTS + 10; address++) trace.record(0, 'c', request(address));
  const first = await events.next();
  assert.equal(first.done, false);
  assert.equal(first.value.lost, 10);
  assert.deepEqual(first.value.request, request(10));
  const second = await events.next();
  assert.equal(second.done === true ? -1 : second.value.lost, 0);
});

test('leaving the loop ends the watching', async () => {
  const trace = new RequestTrace();
  const events = trace.watch();
  assert.ok(trace.isWatched);
  trace.record(1, 'c', request(1));
  for await (const event of events) {
    assert.equal(event.vcpu, 1);
    break;
  }
  assert.ok(!trace.isWatched);
});

test('closing lets watchers have what is queued, then ends them', async () => {
  const trace = new RequestTrace();
  const events = trace.watch();
  trace.record(0, 'c', request(1));
  trace.close();
  const seen: number[] = [];
  for await (const event of events) seen.push(event.vcpu);
  assert.deepEqual(seen, [0]);
});
