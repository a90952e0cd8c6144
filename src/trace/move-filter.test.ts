import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IoRequestType } from '../io-request/layout.js';
import { TracedPage } from './fixtures/traced-page.js';
import { CompiledMoveFilter, matches, type MoveFilter } from './move-filter.js';
import type { Move } from './move.js';

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

const MOVE: Move = {
  timeNs: 0,
  isTimed: true,
  vcpu: 3,
  from: 'PENDING',
  to: 'PROCESSING',
  by: 'hsm',
  client: 'disk',
  request: { type: 'port', direction: 'read', address: 0x60, size: 1, value: 0 },
  requestNumber: 0,
  isRefused: false,
  lost: 0,
};

test('all fields of a filter must match, and an address is from the first to the last', () => {
  const address = { from: 0x60, to: 0x60 };
  const all: MoveFilter = { client: 'disk', type: 'port', address, vcpu: 3, direction: 'read' };
  assert.equal(matches(all, MOVE), true);
  const others: MoveFilter[] = [
    { client: 'net' },
    { type: 'mmio' },
    { address: { from: 0x61, to: 0x70 } },
    { address: { from: 0x50, to: 0x5f } },
    { vcpu: 0 },
    { direction: 'write' },
  ];
  for (const other of others) assert.equal(matches({ ...all, ...other }, MOVE), false, JSON.stringify(other));
});

test('a move whose request was lost matches what needs no request', () => {
  const move = { ...MOVE, request: undefined };
  assert.equal(matches({ vcpu: 3, client: 'disk' }, move), true);
  for (const filter of [{ type: 'port' }, { direction: 'read' }, { address: { from: 0, to: 0x60 } }] as const)
    assert.equal(matches(filter, move), false);
});

test('a PCI request has no address', () => {
  const request = {
    type: 'pci',
    direction: 'read',
    bus: 0,
    device: 0,
    function: 0,
    register: 0,
    size: 1,
    value: 0,
  } as const;
  assert.equal(matches({ address: { from: 0, to: Infinity } }, { ...MOVE, request }), false);
});

/** The moves that a filter passes of these, by their state, each as soon as it is known. */
function passed(filter: MoveFilter, ...moves: Partial<Move>[]): string[] {
  const compiled = new CompiledMoveFilter(filter);
  return moves.map((move) => {
    const taken: string[] = [];
    compiled.apply({ ...MOVE, ...move }, ({ to, client }) => taken.push(`${to} ${client ?? ''}`.trim()));
    return taken.join(', ');
  });
}

const PENDING = { from: 'FREE', to: 'PENDING', client: undefined } as const;
const COMPLETE = { from: 'PROCESSING', to: 'COMPLETE' } as const;

test('PENDING is passed at once if vCPU and direction decide, and kept if the client, type or address do', () => {
  assert.deepEqual(passed({ vcpu: 3 }, PENDING, {}), ['PENDING', 'PROCESSING disk']);
  assert.deepEqual(passed({ direction: 'read' }, PENDING, {}), ['PENDING', 'PROCESSING disk']);
  for (const filter of [{ client: 'disk' }, { type: 'port' }, { address: { from: 0x60, to: 0x60 } }] as const)
    assert.deepEqual(passed(filter, PENDING, {}), ['', 'PENDING, PROCESSING disk']);
});

test('a request is matched once, and again only if moves of it were lost', () => {
  const other = { ...COMPLETE, client: 'net' };
  assert.deepEqual(passed({ client: 'disk' }, PENDING, {}, other), ['', 'PENDING, PROCESSING disk', 'COMPLETE net']);
  assert.deepEqual(passed({ client: 'disk' }, PENDING, {}, { ...other, lost: 1 })[2], '');
  assert.deepEqual(passed({ client: 'disk' }, PENDING, {}, PENDING, other), ['', 'PENDING, PROCESSING disk', '', '']);
  // PROCESSING and the PENDING of the next request were lost: the kept PENDING is of the former.
  const next = { ...COMPLETE, requestNumber: 1, lost: 2 };
  assert.deepEqual(passed({ client: 'disk' }, PENDING, next), ['', 'COMPLETE disk']);
  assert.deepEqual(passed({ type: 'port' }, PENDING, { ...next, client: 'net' }), ['', 'PENDING, COMPLETE net']);
  assert.deepEqual(passed({ client: 'disk' }, COMPLETE, other), ['COMPLETE disk', 'COMPLETE net'], 'from its middle');
});

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
