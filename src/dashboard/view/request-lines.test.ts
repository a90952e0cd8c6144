import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MoveRow, StateName } from '../protocol.js';
import { MoveList } from './move-list.js';
import { requestLines } from './request-lines.js';

const NEXT: Readonly<Record<string, StateName>> = {
  FREE: 'PENDING',
  PENDING: 'PROCESSING',
  PROCESSING: 'COMPLETE',
  COMPLETE: 'FREE',
};

function move(timeNs: number, requestNumber: number, from: StateName, also: Partial<MoveRow> = {}): MoveRow {
  return {
    timeNs,
    isTimed: true,
    vcpu: 0,
    from,
    to: NEXT[from] ?? 'UNKNOWN',
    by: 'vcpu',
    client: null,
    request: { type: 'port', direction: 'read', address: '0x71', size: 1, value: '0x0' },
    requestNumber,
    isRefused: false,
    ...also,
  };
}

function lines(moves: readonly MoveRow[], most?: number): ReturnType<typeof requestLines> {
  const list = new MoveList();
  list.add(moves, 0);
  return requestLines(list.moves, most);
}

test('a request is one line, with what its moves have brought so far', () => {
  const answer = { type: 'port', direction: 'read', address: '0x71', size: 1, value: '0x26' } as const;
  const moves = [
    move(100, 1, 'FREE'),
    move(110, 1, 'PENDING', { client: 'cmos-rtc' }),
    move(150, 1, 'PROCESSING', { client: 'cmos-rtc', by: 'client', request: answer }),
    move(170, 1, 'COMPLETE', { client: 'cmos-rtc', request: answer }),
  ];
  const states = moves.map((_, count) =>
    lines(moves.slice(0, count + 1)).map(({ state, takenNs }) => [state, takenNs]),
  );
  assert.deepEqual(states, [[['PENDING', undefined]], [['PROCESSING', undefined]], [['COMPLETE', 50]], [['FREE', 70]]]);
  const [line] = lines(moves);
  assert.deepEqual([line?.timeNs, line?.client, line?.request?.value, line?.isByHsm], [100, 'cmos-rtc', '0x26', false]);
  assert.equal(line?.moves.length, 4);
});

test('requests of several vCPUs that interleave are apart, in the order of their beginning', () => {
  const moves = [
    move(100, 1, 'FREE'),
    move(105, 1, 'FREE', { vcpu: 1 }),
    move(110, 1, 'PENDING', { vcpu: 1, client: 'b' }),
    move(120, 1, 'PENDING', { client: 'a' }),
    move(130, 2, 'FREE', { vcpu: 1 }),
  ];
  assert.deepEqual(
    lines(moves).map(({ vcpu, client, timeNs }) => [vcpu, client, timeNs]),
    [
      [0, 'a', 100],
      [1, 'b', 105],
      [1, null, 130],
    ],
  );
  assert.deepEqual(
    lines(moves, 2).map(({ timeNs }) => timeNs),
    [105, 130],
  );
});

test('in a burst the time is that to COMPLETE, and without PENDING it is unknown', () => {
  const burst = [move(100, 1, 'FREE'), move(100, 1, 'PENDING', { isTimed: false }), move(140, 1, 'PROCESSING')];
  const end = move(140, 1, 'COMPLETE', { isTimed: false });
  assert.deepEqual([lines([...burst, end])[0]?.takenNs, lines([...burst, end])[0]?.state], [40, 'FREE']);
  assert.equal(lines([...burst.slice(1), end])[0]?.takenNs, undefined);
  assert.equal(lines([move(110, 1, 'PENDING'), move(140, 1, 'PROCESSING')])[0]?.takenNs, undefined);
});

test('a refused move does not change the state, and an answer of the HSM is marked', () => {
  const moves = [
    move(100, 1, 'FREE'),
    move(120, 1, 'PENDING', { to: 'COMPLETE', by: 'hsm' }),
    move(130, 1, 'PENDING', { isRefused: true }),
  ];
  const [line] = lines(moves);
  assert.deepEqual([line?.state, line?.isRefused, line?.isByHsm], ['COMPLETE', true, true]);
});
