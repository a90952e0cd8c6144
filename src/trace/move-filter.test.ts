import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IoRequestType } from '../io-request/layout.js';
import { TracedPage } from './fixtures/traced-page.js';
import type { MoveFilter } from './move-filter.js';

const UART = { name: 'uart16550' };
const DEFAULT = { name: 'default' };

/** The moves that a watcher with this filter sees of four requests: a short line for each. */
async function seen(filter: MoveFilter): Promise<string[]> {
  const page = new TracedPage();
  const trace = page.trace.watch(filter);
  page.play({ address: 0x3f8, isRead: false, value: 0x41 }, UART);
  page.play({ address: 0x3fd, vcpu: 1 }, UART);
  page.play({ address: 0xd000_0000, type: IoRequestType.MMIO, size: 4 }, DEFAULT);
  page.play({ address: 0xcf8, size: 4 }, undefined);
  page.trace.close();
  const lines: string[] = [];
  for await (const { vcpu, to, request } of trace)
    lines.push(`${vcpu} ${to} ${request?.type === 'pci' ? '' : request?.address.toString(16)}`);
  return lines.sort();
}

const moves = (vcpu: number, address: string): string[] => [
  `${vcpu} COMPLETE ${address}`,
  `${vcpu} FREE ${address}`,
  `${vcpu} PENDING ${address}`,
  `${vcpu} PROCESSING ${address}`,
];
const answeredByHsm = ['0 COMPLETE cf8', '0 FREE cf8', '0 PENDING cf8'];

test('an empty filter passes every move', async () => {
  assert.equal((await seen({})).length, 15);
});

test('a client filter passes all moves of its requests, also the move to PENDING, when its client is unknown', async () => {
  assert.deepEqual(await seen({ client: 'uart16550' }), [...moves(0, '3f8'), ...moves(1, '3fd')]);
  assert.deepEqual(await seen({ client: 'default' }), moves(0, 'd0000000'));
  assert.deepEqual(await seen({ client: 'absent' }), []);
});

test('a filter selects by type, address, direction and vCPU, and by all of them at once', async () => {
  assert.deepEqual(await seen({ type: 'mmio' }), moves(0, 'd0000000'));
  assert.deepEqual(await seen({ address: { from: 0x3f9, to: 0xcf8 } }), [...answeredByHsm, ...moves(1, '3fd')]);
  assert.deepEqual(await seen({ direction: 'write' }), moves(0, '3f8'));
  assert.deepEqual(await seen({ vcpu: 1 }), moves(1, '3fd'));
  assert.deepEqual(await seen({ vcpu: 0, direction: 'read', type: 'port' }), answeredByHsm);
});

test('a request that is never assigned is matched at the end without a client', async () => {
  for (const [filter, count] of [
    [{ type: 'port' }, 1],
    [{ client: 'uart16550' }, 0],
  ] as const) {
    const page = new TracedPage();
    const trace = page.trace.watch(filter);
    page.buffer.slot(0).fill(0, 0, 0x60, 0, 1, 0, 0, false);
    page.trace.close();
    let moves = 0;
    for await (const move of trace) moves += move.to === 'PENDING' ? 1 : 0;
    assert.equal(moves, count);
  }
});

test('recording ends when the loop is left', async () => {
  const page = new TracedPage();
  const trace = page.trace.watch();
  page.play({}, UART);
  for await (const move of trace) {
    assert.equal(move.to, 'PENDING');
    break;
  }
  assert.equal(page.ring.isOn, false);
});
