import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { IoRequestType } from '../io-request/layout.js';
import { IoRequestState } from '../io-request/state.js';
import { MAX_ADDRESSES } from './address-counts.js';
import { TracedPage, type PlayedRequest } from './fixtures/traced-page.js';
import { TIMED_EVERY_AT_FIRST } from './timestamp-sampling.js';
import { MAX_COUNTED_CLIENTS, MAX_COUNTED_RANGES, type CountedRange } from './request-rows.js';
import type { RequestStatistics } from './statistics.js';
import { LaneView } from './lane.js';
import { entryIndex, EntryWord, hypervisorLane, MoveBits, serviceLane } from './trace-ring.js';
import type { NamedClient } from './vm-trace.js';

const { PORT, MMIO, PCI } = IoRequestType;
const DEFAULT: NamedClient = { name: 'default' };
const UART: NamedClient = { name: 'uart16550' };
const UART_RANGE: CountedRange = { type: PORT, start: 0x3f8n, end: 0x3ffn };

interface Counted {
  readonly page: TracedPage;
  readonly statistics: RequestStatistics<NamedClient>;
  readonly play: (part: Partial<PlayedRequest>, client: NamedClient | undefined) => void;
}

function counted(rangesOf: (client: NamedClient) => readonly CountedRange[] = () => [], burstMs = 0): Counted {
  const page = new TracedPage(burstMs);
  const statistics = page.trace.count<NamedClient>({ rangesOf, isDefault: (client) => client === DEFAULT });
  return {
    page,
    statistics,
    play: (part, client) => page.play(part, client, (request) => statistics.dispatched(request, client)),
  };
}

const counts = (rows: readonly { name: string; reads: number; writes: number }[]): unknown[] =>
  rows.map(({ name, reads, writes }) => [name, reads, writes]);

test('requests are counted by type, client, range and address, busiest first', () => {
  const { statistics, play } = counted((client) => {
    assert.ok(client === UART || client === DEFAULT, 'the HSM has no ranges');
    return client === UART ? [UART_RANGE] : [];
  });
  assert.equal(statistics.snapshot().guestErrors, 0);
  play({ address: 0x3f8, isRead: false }, UART);
  play({ address: 0x3fd }, UART);
  play({ address: 0x3f8, isRead: false }, UART);
  play({ address: 0x1_0000_1008, type: MMIO, size: 4 }, DEFAULT);
  play({ address: 0xcf8, size: 4 }, undefined);
  const snapshot = statistics.snapshot(7);
  assert.equal(snapshot.requests, 5);
  assert.equal(snapshot.guestErrors, 7);
  assert.deepEqual(counts(snapshot.types), [
    ['port', 2, 2],
    ['mmio', 1, 0],
  ]);
  assert.deepEqual(counts(snapshot.clients), [
    ['uart16550', 1, 2],
    ['default', 1, 0],
    ['hsm', 1, 0],
  ]);
  assert.deepEqual(counts(snapshot.ranges), [
    ['uart16550: port 0x3f8…0x3ff', 1, 2],
    ['default: mmio', 1, 0],
    ['hsm: port', 1, 0],
  ]);
  assert.deepEqual(counts(snapshot.addresses), [
    ['port 0x3f8', 0, 2],
    ['mmio 0x100001008', 1, 0],
    ['port 0x3fd', 1, 0],
    ['port 0xcf8', 1, 0],
  ]);
  assert.deepEqual(counts(snapshot.unclaimed), [['mmio 0x100001008', 1, 0]]);
});

test('sizes are counted by direction, and unusual sizes share a count', () => {
  const { statistics, play } = counted();
  for (const size of [1, 1, 4, 3, 77]) play({ size }, UART);
  play({ size: 4, isRead: false }, UART);
  assert.deepEqual(statistics.snapshot().clients[0]?.sizes, [
    { size: 1, reads: 2, writes: 0 },
    { size: 4, reads: 1, writes: 1 },
    { size: 0, reads: 2, writes: 0 },
  ]);
});

test('each finished request has its stages once, and wait, work and wake add up to total', () => {
  const { statistics, play } = counted();
  for (let i = 0; i < 100; i++) play({ vcpu: i % 3 }, UART);
  for (const snapshot of [statistics.snapshot(), statistics.snapshot()]) {
    const stages = snapshot.clients[0]?.stages;
    assert.ok(stages !== undefined);
    for (const stage of ['wait', 'work', 'wake', 'total'] as const) assert.equal(stages[stage].count, 100);
    const parts = stages.wait.sumNs + stages.work.sumNs + stages.wake.sumNs;
    assert.ok(Math.abs(parts - stages.total.sumNs) <= 150, `${parts} and ${stages.total.sumNs}: rounding`);
    assert.equal(snapshot.addresses[0]?.timed, 100);
  }
});

test('in a burst all requests are counted, and the latencies are those of requests with all four times', () => {
  const { statistics, play } = counted(undefined, Infinity);
  const requests = 10 * TIMED_EVERY_AT_FIRST;
  for (let i = 0; i < requests; i++) play({}, UART);
  const { clients, requests: all } = statistics.snapshot();
  assert.equal(all, requests);
  const stages = clients[0]?.stages;
  // The second one, too: only then the burst is one.
  for (const stage of ['wait', 'work', 'wake', 'total'] as const) assert.equal(stages?.[stage].count, 10 + 1);
});

test('a request that the HSM answers has no wait and no work', () => {
  const { statistics, play } = counted();
  play({}, undefined);
  const stages = statistics.snapshot().clients[0]?.stages;
  assert.deepEqual([stages?.wait.count, stages?.work.count, stages?.wake.count, stages?.total.count], [0, 0, 1, 1]);
});

test('a request that was withdrawn is counted and has no times', () => {
  const { page, statistics, play } = counted();
  const slot = page.buffer.slot(0);
  slot.fill(PORT, 0, 0x60, 0, 1, 0, 0, false);
  page.trace.assigning(UART);
  slot.assign(true);
  const request = { vcpu: 0, type: PORT, isRead: true, addressLow: 0x60, addressHigh: 0, size: 1 };
  statistics.dispatched({ ...request, bus: 0, device: 0, pciFunction: 0 }, UART);
  slot.stampFree();
  play({}, UART);
  const [row] = statistics.snapshot().clients;
  assert.deepEqual([row?.reads, row?.stages.total.count], [2, 1]);
});

test('a guest that scans addresses fills a bounded list; the rest share one row', () => {
  const { statistics, play } = counted();
  for (let port = 0; port < MAX_ADDRESSES + 50; port++) play({ address: port }, DEFAULT);
  const { addresses } = statistics.snapshot();
  assert.equal(addresses.length, MAX_ADDRESSES + 1);
  assert.deepEqual(counts(addresses.slice(0, 1)), [['other addresses', 50, 0]]);
});

test('clients and ranges beyond their limits share rows', () => {
  const { statistics, play } = counted(() =>
    Array.from({ length: 400 }, (_, i) => ({ type: PORT, start: BigInt(i), end: BigInt(i) })),
  );
  for (let i = 0; i < 400; i++) play({ address: i }, UART);
  for (let i = 0; i < 200; i++) play({}, { name: `client ${i}` });
  const { ranges, clients, requests } = statistics.snapshot();
  assert.equal(requests, 600);
  assert.equal(clients.length, MAX_COUNTED_CLIENTS + 1);
  assert.ok(ranges.length <= MAX_COUNTED_RANGES + MAX_COUNTED_CLIENTS + 1, `${ranges.length}`);
  assert.equal(
    ranges.reduce((sum, { reads }) => sum + reads, 0),
    600,
  );
});

test('unknown type numbers share one row, and PCI functions have names', () => {
  const { statistics, play } = counted();
  for (const type of [4, 5, -1, 0x7fff_ffff, 3]) play({ type }, DEFAULT);
  statistics.dispatched(
    {
      vcpu: 1,
      type: PCI,
      isRead: true,
      addressLow: 0xcfc,
      addressHigh: 0,
      size: 4,
      bus: 0x12,
      device: 0x1f,
      pciFunction: 1,
    },
    DEFAULT,
  );
  const { types, addresses } = statistics.snapshot();
  assert.deepEqual(counts(types), [
    ['other types', 4, 0],
    ['pci', 1, 0],
    ['write-protect', 1, 0],
  ]);
  assert.ok(addresses.some(({ name }) => name === 'pci 12:1f.1'));
});

test('errors are counted by client', () => {
  const { statistics } = counted();
  statistics.countLate('disk');
  statistics.countError('disk');
  statistics.countLate('net');
  for (let i = 0; i < 1000; i++) statistics.countError(`client ${i}`);
  const { clientErrors } = statistics.snapshot();
  assert.equal(clientErrors.length, 257);
  assert.deepEqual(clientErrors.slice(0, 2), [
    { name: 'others', errors: 746, late: 0 },
    { name: 'disk', errors: 1, late: 1 },
  ]);
  // Those with one error each, by name.
  const names = clientErrors.slice(2).map(({ name }) => name);
  assert.deepEqual(names, [...names].sort());
});

test('a snapshot is plain data that later requests do not change', () => {
  const { statistics, play } = counted();
  play({}, UART);
  const before = statistics.snapshot();
  const copy = structuredClone(before);
  play({}, UART);
  statistics.snapshot();
  assert.deepEqual(before, copy);
});

describe('the stages of a request', () => {
  let nowMs = 0;
  let firstMs = 0;
  beforeEach(() => {
    nowMs = 1000;
    mock.method(performance, 'now', () => nowMs);
  });
  afterEach(() => mock.restoreAll());

  interface Played {
    readonly page: TracedPage;
    readonly statistics: RequestStatistics<NamedClient>;
    /** The times, in ms after the first, that the entries are given: PENDING, PROCESSING, … */
    readonly setTimes: (...ms: (number | undefined)[]) => void;
    readonly stages: () => Record<'wait' | 'work' | 'wake' | 'total', number | undefined>;
  }

  /** A request whose moves are 1, 2 and 4 ms apart. `isOfHsm`: the HSM answers it. */
  function played(isOfHsm = false): Played {
    const client = isOfHsm ? undefined : UART;
    const { page, statistics } = counted();
    const slot = page.buffer.slot(0);
    // An older one, which is not counted.
    page.play({}, UART);
    nowMs += 100;
    firstMs = nowMs;
    slot.fill(PORT, 0, 0x60, 0, 1, 0, 0, false);
    const request = { vcpu: 0, type: PORT, isRead: true, addressLow: 0x60, addressHigh: 0, size: 1 };
    const count = (): void => statistics.dispatched({ ...request, bus: 0, device: 0, pciFunction: 0 }, client);
    if (client === undefined) count();
    else {
      nowMs += 1;
      page.trace.assigning(client);
      slot.assign(true);
      count();
    }
    nowMs += 2;
    slot.complete(client === undefined ? IoRequestState.PENDING : undefined);
    nowMs += 4;
    slot.release();
    const places = [
      entryIndex(hypervisorLane(0), 2),
      ...(client === undefined ? [] : [entryIndex(serviceLane(0), 2)]),
      entryIndex(serviceLane(0), client === undefined ? 2 : 3),
      entryIndex(hypervisorLane(0), 3),
    ];
    return {
      page,
      statistics,
      setTimes: (...ms) =>
        places.forEach((at, i) => {
          const time = ms[i];
          page.ring.times[(at + EntryWord.time) >> 1] = time === undefined ? 0 : firstMs + time;
        }),
      stages: () => {
        const { stages } = statistics.snapshot().clients[0] ?? assert.fail('no client');
        const sum = ({ count, sumNs }: { count: number; sumNs: number }): number | undefined =>
          count === 0 ? undefined : sumNs / 1e6;
        const { wait, work, wake, total } = stages;
        return { wait: sum(wait), work: sum(work), wake: sum(wake), total: sum(total) };
      },
    };
  }

  test('are from each move to the next', () => {
    const { stages, statistics } = played();
    assert.deepEqual(stages(), { wait: 1, work: 2, wake: 4, total: 7 });
    assert.deepEqual(
      statistics.snapshot().addresses.map(({ timed, sumNs }) => [timed, sumNs]),
      [[1, 7e6]],
    );
  });

  test('of one that the HSM answers are two', () => {
    assert.deepEqual(played(true).stages(), { wait: undefined, work: undefined, wake: 4, total: 6 });
  });

  test('begin with PROCESSING if the time of PENDING is missing or later', () => {
    for (const pending of [undefined, 3]) {
      const { setTimes, stages } = played();
      setTimes(pending, 1, 3, 7);
      assert.deepEqual(stages(), { wait: 0, work: 2, wake: 4, total: 6 });
    }
  });

  test('end the work at FREE if the time of COMPLETE is missing or later', () => {
    for (const complete of [undefined, 9]) {
      const { setTimes, stages } = played();
      setTimes(0, 1, complete, 7);
      assert.deepEqual(stages(), { wait: 1, work: 6, wake: 0, total: 7 });
    }
  });

  test('are not known without the time of PROCESSING or of FREE', () => {
    const none = { wait: undefined, work: undefined, wake: undefined, total: undefined };
    for (const times of [
      [0, undefined, 3, 7],
      [0, 1, 3, undefined],
    ]) {
      const { setTimes, stages } = played();
      setTimes(...times);
      assert.deepEqual(stages(), none);
      // They may still come.
      setTimes(0, 1, 3, 7);
      assert.deepEqual(stages(), { wait: 1, work: 2, wake: 4, total: 7 });
    }
  });

  test('are not known if an entry is of a move that was refused, or of another one', () => {
    for (const flag of [MoveBits.REFUSED, 0xf << MoveBits.TO_SHIFT])
      for (const place of [
        entryIndex(hypervisorLane(0), 2),
        entryIndex(serviceLane(0), 2),
        entryIndex(serviceLane(0), 3),
        entryIndex(hypervisorLane(0), 3),
      ]) {
        const { page, stages } = played();
        const { words } = page.ring;
        words[place + EntryWord.move] = (words[place + EntryWord.move] as number) | flag;
        assert.equal(stages().total, undefined);
      }
  });

  test('are known also in the first ms of the trace', () => {
    const { setTimes, stages } = played();
    setTimes(0.25 - firstMs, 0.5 - firstMs, 0.75 - firstMs, 1 - firstMs);
    assert.deepEqual(stages(), { wait: 0.25, work: 0.25, wake: 0.25, total: 0.75 });
  });

  test('are not known when the entry of PENDING may be overwritten', () => {
    const { page, stages } = played();
    // The lane's entries may be read until 1020 newer ones.
    while (new LaneView(page.ring, hypervisorLane(0)).has(2)) {
      page.play({}, UART);
      if (new LaneView(page.ring, hypervisorLane(0)).has(3)) page.buffer.slot(0).fill(PORT, 0, 0x60, 0, 1, 0, 0, false);
      if (new LaneView(page.ring, hypervisorLane(0)).has(2)) page.buffer.slot(0).stampFree();
    }
    assert.equal(new LaneView(page.ring, hypervisorLane(0)).has(3), true);
    assert.equal(stages().total, undefined);
  });

  test('are those of its own entries, after many requests', () => {
    const { page, statistics, play } = counted();
    for (let i = 0; i < 2000; i++) play({ vcpu: 3 }, i % 2 === 0 ? UART : undefined);
    const { clients } = statistics.snapshot();
    assert.deepEqual(
      clients.map(({ stages }) => [stages.total.count, stages.wait.count]),
      [
        [1000, 0],
        [1000, 1000],
      ],
    );
    assert.equal(page.ring.isOn, true);
  });
});

test('rows of as many requests are sorted by name', () => {
  const { statistics, play } = counted();
  for (const address of [0x64, 0x60, 0x62]) play({ address }, DEFAULT);
  play({ address: 0x64, isRead: false }, DEFAULT);
  play({ address: 0x66, isRead: false }, DEFAULT);
  play({ address: 0x66, isRead: false }, DEFAULT);
  play({ address: 0x66, isRead: false }, DEFAULT);
  for (const name of ['many', 'd', 'c', 'b', 'b', 'b', 'c', 'd']) statistics.countError(name);
  for (let i = 0; i < 5; i++) statistics.countLate('late');
  for (let i = 0; i < 6; i++) statistics.countError('many');
  const { addresses, unclaimed, clientErrors } = statistics.snapshot();
  for (const list of [addresses, unclaimed])
    assert.deepEqual(
      list.map(({ name }) => name),
      ['port 0x066', 'port 0x064', 'port 0x060', 'port 0x062'],
    );
  assert.deepEqual(
    clientErrors.map(({ name }) => name),
    ['many', 'late', 'b', 'c', 'd'],
  );
});

test('a PCI access of the default client is not unclaimed, and its upper word is no part of its address', () => {
  const { statistics } = counted();
  const access = { vcpu: 0, type: PCI, isRead: true, addressLow: 0xcfc, size: 4, bus: 0, device: 1, pciFunction: 0 };
  statistics.dispatched({ ...access, addressHigh: 0 }, DEFAULT);
  statistics.dispatched({ ...access, addressHigh: 7 }, DEFAULT);
  const { addresses, unclaimed } = statistics.snapshot();
  assert.deepEqual(counts(addresses), [['pci 00:01.0', 2, 0]]);
  assert.deepEqual(unclaimed, []);
});
