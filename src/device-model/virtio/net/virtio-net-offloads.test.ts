/** Checksums and TCP segments that the card leaves to the network, and takes unfinished. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readTcp, unfinishedTcp } from '../../network/fixtures/tcp-frame.js';
import type { Offload } from '../../network/offload.js';
import { TestPort, testFrame } from '../../network/fixtures/test-port.js';
import { NetworkHub } from '../../network/network-hub.js';
import type { NetworkPort } from '../../network/network-port.js';
import { FakeDriver } from '../fixtures/fake-queue.js';
import { NetFeature, NetQueue, PacketHeader, RECEIVE_OFFLOADS, SEND_OFFLOADS } from './net-layout.js';
import { writeOffload } from './packet-offload.js';
import { VirtioNet } from './virtio-net.js';

const { RECEIVE, TRANSMIT } = NetQueue;
const SENDER = '52:54:00:00:00:01';
const RECEIVER = '52:54:00:00:00:02';
const DATA = Uint8Array.from({ length: 2500 }, (_, i) => i * 7);
const { frame: FRAME, offload: OFFLOAD } = unfinishedTcp(4, DATA, 1000);
const { frame: FRAME6, offload: OFFLOAD6 } = unfinishedTcp(6, DATA, 1000);
const CHECKSUM_ONLY = { checksumStart: OFFLOAD.checksumStart, checksumField: OFFLOAD.checksumField };

/** The packet as a driver sends and receives it. */
function packet(frame: Uint8Array, offload: Offload | undefined, buffers = 0): Uint8Array {
  const bytes = new Uint8Array(PacketHeader.BYTES + frame.length);
  writeOffload(bytes, offload);
  bytes[PacketHeader.NUM_BUFFERS] = buffers;
  bytes.set(frame, PacketHeader.BYTES);
  return bytes;
}

function cardAt(
  port: NetworkPort,
  mac: string,
  without: readonly number[] = [],
): { card: VirtioNet; driver: FakeDriver } {
  const card = new VirtioNet({ port, mac });
  return {
    card,
    driver: new FakeDriver(
      card,
      card.features.filter((feature) => !without.includes(feature)),
    ),
  };
}

describe('offloads', () => {
  test('are offered where the port takes them, unless the option is off', () => {
    const all = [...SEND_OFFLOADS, ...RECEIVE_OFFLOADS];
    const offered = ({ features }: VirtioNet): number[] => all.filter((feature) => features.includes(feature));
    assert.deepEqual(offered(new VirtioNet({ port: new TestPort(true) })), all);
    assert.deepEqual(offered(new VirtioNet({ port: new TestPort(false) })), []);
    assert.deepEqual(offered(new VirtioNet({ port: new TestPort(true), offloads: false })), []);
    assert.deepEqual(offered(new VirtioNet({ port: new NetworkHub().port() })), all);
  });

  test('of a sent packet go to the port', async () => {
    const port = new TestPort(true);
    const { driver } = cardAt(port, SENDER);
    await driver.send(TRANSMIT, packet(FRAME, OFFLOAD));
    await driver.send(TRANSMIT, packet(FRAME6, OFFLOAD6));
    await driver.send(TRANSMIT, packet(testFrame(RECEIVER, SENDER), undefined));
    assert.deepEqual(port.sent, [FRAME, FRAME6, testFrame(RECEIVER, SENDER)]);
    assert.deepEqual(port.offloads, [OFFLOAD, OFFLOAD6, undefined]);
  });

  const REFUSED = [
    ['a checksum', NetFeature.CSUM, FRAME, CHECKSUM_ONLY],
    ['segments over IPv4', NetFeature.HOST_TSO4, FRAME, OFFLOAD],
    ['segments over IPv6', NetFeature.HOST_TSO6, FRAME6, OFFLOAD6],
  ] as const;
  for (const [what, feature, frame, offload] of REFUSED)
    test(`that the driver has not accepted are refused: ${what}`, async () => {
      const port = new TestPort(true);
      const { card, driver } = cardAt(port, SENDER, [feature]);
      await driver.send(TRANSMIT, packet(frame, offload));
      assert.deepEqual(port.sent, []);
      assert.equal(card.counters.malformedBuffers, 1);
      const others = cardAt(
        port,
        SENDER,
        [...SEND_OFFLOADS].filter((one) => one !== feature && one !== NetFeature.CSUM),
      );
      await others.driver.send(TRANSMIT, packet(frame, offload));
      assert.equal(port.sent.length, 1);
    });

  test('of a received packet are in its header, also if it had to wait', async () => {
    const port = new TestPort(true);
    const { driver } = cardAt(port, RECEIVER);
    const bytes = PacketHeader.BYTES + FRAME.length;
    const used = driver.send(RECEIVE, [], bytes);
    port.deliver(FRAME, OFFLOAD);
    assert.deepEqual(await used, packet(FRAME, OFFLOAD, 1));
    port.deliver(FRAME, CHECKSUM_ONLY);
    port.deliver(FRAME);
    assert.deepEqual(await driver.send(RECEIVE, [], bytes), packet(FRAME, CHECKSUM_ONLY, 1));
    const plain = await driver.send(RECEIVE, [], bytes);
    assert.deepEqual(plain.subarray(0, PacketHeader.NUM_BUFFERS), new Uint8Array(PacketHeader.NUM_BUFFERS));
  });

  test('are done on a hub for a driver that lacks one of them, and for one without a driver', async () => {
    for (const lacking of [undefined, ...RECEIVE_OFFLOADS]) {
      const hub = new NetworkHub();
      const sender = cardAt(hub.port(), SENDER);
      const receiver = cardAt(hub.port(), RECEIVER, lacking === undefined ? [] : [lacking]);
      const used = [1, 2, 3].map(() => receiver.driver.send(RECEIVE, [], 4096));
      await sender.driver.send(TRANSMIT, packet(FRAME, OFFLOAD));
      if (lacking === undefined) {
        assert.deepEqual(await used[0], packet(FRAME, OFFLOAD, 1));
        continue;
      }
      const frames = (await Promise.all(used)).map((bytes) => bytes.subarray(PacketHeader.BYTES));
      assert.deepEqual(Buffer.concat(frames.map((frame) => readTcp(4, frame).data)), Buffer.from(DATA));
    }
    const hub = new NetworkHub();
    const sender = cardAt(hub.port(), SENDER);
    const receiver = new VirtioNet({ port: hub.port(), mac: RECEIVER });
    await sender.driver.send(TRANSMIT, packet(FRAME, OFFLOAD));
    assert.equal(receiver.counters.droppedNoDriver, 3);
  });
});
