import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TicketCounter } from './ticket-counter.js';

test('no ticket comes twice within a long run, and none is 0', () => {
  const counter = new TicketCounter();
  const seen = new Set<number>();
  for (let i = 0; i < 100_000; i++) seen.add(counter.next());
  assert.equal(seen.size, 100_000);
  assert.deepEqual([seen.has(0), seen.has(1)], [false, true]);
});

test('the ticket after 2^31 − 1 is 1: neither 0, which means "not assigned", nor negative', () => {
  const counter = new TicketCounter(0x7fff_fffd);
  const tickets = [counter.next(), counter.next(), counter.next(), counter.next()];
  assert.deepEqual(tickets, [0x7fff_fffe, 0x7fff_ffff, 1, 2]);
});
