/** RunCoverage: which moves of a trace are counted, and where, without a machine around them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegisterMap } from '../../device-model/register-map.js';
import type { IoClient } from '../../hsm/io-client.js';
import { IoRequestType } from '../../io-request/layout.js';
import type { Move } from '../../trace/move.js';
import type { UserVm } from '../../vm/user-vm.js';
import { RunCoverage } from './run-coverage.js';

const word = (offset: number, name: string): RegisterMap['registers'][number] => ({
  offset,
  size: 4,
  name,
  access: 'rw',
  meaning: name,
});
const MAP: RegisterMap = { source: 'this test', registers: [word(0, 'LOW'), word(4, 'HIGH')] };

interface Guest {
  readonly moves: readonly unknown[];
  /** Called with the number of the next move. */
  readonly before?: (index: number) => void;
  readonly maps?: () => RegisterMap | undefined;
  readonly isThere?: () => boolean;
}

/** The coverage of two devices of one map: `a` at ports 0x500 to 0x507, `b` at 0x600 in memory. */
async function covered({ moves, before, maps = () => MAP, isThere = () => true }: Guest): Promise<RunCoverage> {
  const ranges: Readonly<Record<string, unknown>> = {
    a: { type: IoRequestType.PORT, start: 0x500n, end: 0x507n },
    b: { type: IoRequestType.MMIO, start: 0x600n, end: 0x607n },
  };
  const vm = {
    trace: async function* (): AsyncGenerator {
      for (const [index, move] of moves.entries()) {
        await Promise.resolve();
        before?.(index);
        yield move;
      }
    },
    inspection: {
      rangesOf: ({ name }: IoClient) => (isThere() ? [ranges[name]] : []),
      registersOf: maps,
    },
  };
  const coverage = new RunCoverage(vm as unknown as UserVm);
  for (const name of ['a', 'b']) coverage.add({ name } as IoClient);
  await coverage.ended();
  return coverage;
}

const request = (address: number, more: object = {}): object => ({
  type: 'port',
  direction: 'write',
  size: 4,
  value: 7,
  address,
  ...more,
});
const move = (more: Partial<Record<keyof Move, unknown>> = {}): object => ({
  to: 'COMPLETE',
  isRefused: false,
  client: 'a',
  lost: 0,
  request: request(0x500),
  ...more,
});
const writes = ({ devices }: RunCoverage): string =>
  devices.map(({ fields, otherAccesses }) => [...fields.map((one) => one.writes), otherAccesses].join(' ')).join(', ');

const cases: readonly (readonly [name: string, moves: readonly object[], expected: string])[] = [
  ['a completed request', [move()], '1 0 0, 0 0 0'],
  ['a refused move', [move({ isRefused: true })], '0 0 0, 0 0 0'],
  ['another state', [move({ to: 'PROCESSING' })], '0 0 0, 0 0 0'],
  ['a move without request', [move({ request: undefined })], '0 0 0, 0 0 0'],
  ['a request of a PCI function', [move({ request: request(0x500, { type: 'pci' }) })], '0 0 0, 0 0 0'],
  ['another client', [move({ client: 'c' })], '0 0 0, 0 0 0'],
  ['an address of the other client', [move({ client: 'b' })], '0 0 0, 0 0 0'],
  ['memory where the device has ports', [move({ request: request(0x500, { type: 'mmio' }) })], '0 0 0, 0 0 0'],
  ['an address behind the range', [move({ request: request(0x508) })], '0 0 0, 0 0 0'],
  ['the last address of the range', [move({ request: request(0x507, { size: 1 }) })], '0 0 1, 0 0 0'],
];
for (const [name, moves, expected] of cases)
  test(`${name} is counted as ${expected}`, async () => {
    assert.equal(writes(await covered({ moves })), expected);
  });

test('an access of eight bytes is one of each half', async () => {
  const wide = request(0x600, { type: 'mmio', size: 8, value: 0x1_0000_0002n });
  const { devices } = await covered({ moves: [move({ client: 'b', request: wide })] });
  assert.deepEqual(
    devices[1]?.fields.map(({ written }) => written),
    [[2], [1]],
  );
});

test('moves that were lost are counted, and make the report incomplete', async () => {
  const coverage = await covered({ moves: [move({ lost: 3 }), move({ lost: 2, to: 'FREE' })] });
  assert.equal(coverage.lostMoves, 5);
  assert.match(coverage.toString(), /^incomplete: 5 moves of requests were lost before they were read$/m);
  assert.doesNotMatch((await covered({ moves: [] })).toString(), /incomplete/);
});

test('requests that are read after the device was removed count where it was', async () => {
  let isThere = true;
  const coverage = await covered({
    moves: [move(), move({ request: request(0x700) }), move()],
    before: (index) => (isThere = index === 0),
    isThere: () => isThere,
  });
  assert.equal(writes(coverage), '2 0 0, 0 0 0');
});

test('a class that replaces the device is counted anew if its map is another one', async () => {
  const other: RegisterMap = { source: 'new', registers: [word(4, 'HIGH')] };
  for (const [next, expected] of [
    [structuredClone(MAP), '2 0 0'],
    [other, '0 1'],
    [undefined, '2 0 0'],
  ] as const) {
    let map: RegisterMap | undefined = MAP;
    const coverage = await covered({
      moves: [move(), move()],
      before: (index) => (map = index === 0 ? MAP : next),
      maps: () => map,
    });
    assert.equal(writes(coverage).split(',')[0], expected);
  }
});

test('every register accessed is said, and so are those that are not', async () => {
  const everything = [0x500, 0x504].flatMap((address) =>
    ['read', 'write'].map((direction) => move({ request: request(address, { direction }) })),
  );
  const text = (await covered({ moves: everything })).toString();
  assert.match(text, /^every register and field was accessed\nregisters of b/m);
  assert.match(text, /LOW is never read\nLOW is never written\nHIGH is never read\nHIGH is never written\n$/);
});
