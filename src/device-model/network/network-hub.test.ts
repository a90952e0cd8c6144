import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import fc from 'fast-check';

import { testFrame, TestPort } from './fixtures/test-port.js';
import { joinPorts, MAX_ADDRESSES_PER_PORT, MAX_HUB_PORTS, NetworkHub } from './network-hub.js';
import type { NetworkPort } from './network-port.js';

const A = '52:00:00:00:00:0a';
const B = '52:00:00:00:00:0b';
const C = '52:00:00:00:00:0c';
const ALL = 'ff:ff:ff:ff:ff:ff';

interface Station {
  readonly port: NetworkPort;
  readonly received: Uint8Array[];
  isUp: boolean;
}

let hub: NetworkHub;
let stations: Station[];

/** Plugs in a card that keeps what it receives. */
function plug(): Station {
  const station: Station = { port: hub.port(), received: [], isUp: false };
  station.port.connect({
    receive: (frame) => station.received.push(frame.slice()),
    setLink: (isUp) => (station.isUp = isUp),
  });
  return station;
}

beforeEach(() => {
  hub = new NetworkHub();
  stations = [plug(), plug(), plug()];
});

/** The stations that receive the frame which station `from` sends. */
function receivers(from: number, destination: string, source: string): number[] {
  for (const { received } of stations) received.length = 0;
  const frame = testFrame(destination, source);
  stations[from]?.port.send(frame);
  for (const { received } of stations) for (const one of received) assert.deepEqual(one, frame);
  return stations.flatMap(({ received }, index) => received.map(() => index));
}

test('a frame for an unknown address goes to all others, and then to the one that has answered', () => {
  assert.deepEqual(receivers(0, B, A), [1, 2]);
  assert.deepEqual(receivers(1, A, B), [0]);
  assert.deepEqual(receivers(0, B, A), [1]);
  assert.deepEqual(receivers(2, A, C), [0]);
  assert.deepEqual(hub.counters, { forwarded: 3, flooded: 1, returned: 0 });
});

test('broadcasts and frames for groups go to all others, also from a known address', () => {
  receivers(1, A, B);
  assert.deepEqual(receivers(0, ALL, A), [1, 2]);
  assert.deepEqual(receivers(0, '01:00:5e:00:00:01', A), [1, 2]);
});

test('the address of a group is not learned as a source', () => {
  receivers(1, ALL, '01:00:5e:00:00:01');
  receivers(1, ALL, ALL);
  assert.equal(hub.addressCount, 0);
  assert.deepEqual(receivers(0, ALL, A), [1, 2]);
});

test('an address that moves is known behind its new port', () => {
  receivers(1, ALL, B);
  receivers(2, ALL, B);
  assert.deepEqual(receivers(0, B, A), [2]);
  assert.equal(hub.addressCount, 2);
});

test('a frame for an address behind the port that it comes from goes nowhere', () => {
  receivers(1, ALL, B);
  assert.deepEqual(receivers(1, B, C), []);
  assert.equal(hub.counters.returned, 1);
});

test('a port that floods the hub with source addresses evicts only its own', () => {
  receivers(1, ALL, B);
  for (let i = 0; i < 10 * MAX_ADDRESSES_PER_PORT; i++)
    stations[2]?.port.send(testFrame(ALL, `52:00:00:01:${hex(i >> 8)}:${hex(i)}`));
  assert.equal(hub.addressCount, MAX_ADDRESSES_PER_PORT + 1);
  assert.deepEqual(receivers(0, B, A), [1]);
  const last = 10 * MAX_ADDRESSES_PER_PORT - 1;
  assert.deepEqual(receivers(0, `52:00:00:01:${hex(last >> 8)}:${hex(last)}`, A), [2]);
  assert.deepEqual(receivers(0, '52:00:00:01:00:00', A), [1, 2]);
});

test('a port that is closed receives and sends nothing, and its addresses are unknown', async () => {
  receivers(1, ALL, B);
  await stations[1]?.port.close();
  assert.deepEqual(receivers(0, B, A), [2]);
  assert.deepEqual(receivers(1, ALL, B), []);
  assert.equal(hub.addressCount, 1);
  assert.equal(hub.portCount, 2);
});

test('the link is up once a card is plugged in; a port without a card receives nothing', () => {
  assert.ok(stations.every(({ isUp }) => isUp));
  hub.port();
  assert.deepEqual(receivers(0, ALL, A), [1, 2]);
});

test(`a hub has ${MAX_HUB_PORTS} ports, and a closed one makes room`, async () => {
  while (hub.portCount < MAX_HUB_PORTS) hub.port();
  assert.throws(() => hub.port(), { code: 'VM_LIMIT' });
  await stations[0]?.port.close();
  hub.port();
});

test('joined ports send what the other one receives', () => {
  const [left, right] = [new TestPort(), new TestPort()];
  joinPorts(left, right);
  left.deliver(testFrame(A, B));
  right.deliver(testFrame(B, A));
  assert.deepEqual(right.sent, [testFrame(A, B)]);
  assert.deepEqual(left.sent, [testFrame(B, A)]);
});

test('any traffic: nothing comes back to its sender or twice, and the known addresses are bounded', () => {
  const address = fc.nat({ max: 0x1ff });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat({ max: 2 }), address, address), { maxLength: 300 }), (frames) => {
      hub = new NetworkHub();
      stations = [plug(), plug(), plug()];
      const last = new Map<string, number>();
      for (const [from, to, source] of frames) {
        const [destination, own] = [macOf(to), macOf(source)];
        const got = receivers(from, destination, own);
        assert.ok(!got.includes(from));
        assert.equal(new Set(got).size, got.length);
        const known = last.get(destination);
        // Fewer addresses than the limit: what was seen last is right.
        if (
          !destination.startsWith('01') &&
          known !== undefined &&
          last.size < MAX_ADDRESSES_PER_PORT &&
          own !== destination
        )
          assert.deepEqual(got, known === from ? [] : [known]);
        if (!own.startsWith('01')) last.set(own, from);
      }
      assert.ok(hub.addressCount <= 3 * MAX_ADDRESSES_PER_PORT);
    }),
  );
});

const hex = (byte: number): string => (byte & 0xff).toString(16).padStart(2, '0');
/** One in two is the address of a group. */
const macOf = (number: number): string =>
  `${number % 2 === 0 ? '52' : '01'}:00:00:00:${hex(number >> 8)}:${hex(number)}`;
