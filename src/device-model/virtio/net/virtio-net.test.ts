import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';

import { MAX_FRAME_BYTES } from '../../network/ethernet.js';
import { TestPort, testFrame } from '../../network/fixtures/test-port.js';
import { FakeDriver, type FakeQueue } from '../fixtures/fake-queue.js';
import { ControlAck, ControlClass, MacCommand, NetFeature, NetQueue, PacketHeader, RxCommand } from './net-layout.js';
import { MAX_WAITING_BYTES, MAX_WAITING_FRAMES } from './receive-queue.js';
import { MAX_TABLE_ADDRESSES } from './receive-filter.js';
import { VirtioNet } from './virtio-net.js';

const OWN = '52:54:00:00:00:01';
const OTHER = '52:54:00:00:00:02';
const ALL = 'ff:ff:ff:ff:ff:ff';
const GROUP = '01:00:5e:00:00:01';
const { RECEIVE, TRANSMIT, CONTROL } = NetQueue;

let port: TestPort;
let card: VirtioNet;
let driver: FakeDriver;

beforeEach(() => {
  port = new TestPort();
  card = new VirtioNet({ port, mac: OWN });
  driver = new FakeDriver(card);
});

/** A packet as the driver sends it. */
function packet(frame: Uint8Array, header: Record<number, number> = {}): Uint8Array {
  const bytes = new Uint8Array(PacketHeader.BYTES + frame.length);
  bytes.set(frame, PacketHeader.BYTES);
  for (const [at, value] of Object.entries(header)) bytes[Number(at)] = value;
  return bytes;
}

const macOf = (text: string): Uint8Array => Buffer.from(text.replaceAll(':', ''), 'hex');

async function command(kind: number, number: number, ...data: (number | Uint8Array)[]): Promise<number | undefined> {
  const bytes = data.flatMap((part) => (typeof part === 'number' ? [part] : [...part]));
  const answer = await driver.send(CONTROL, [kind, number, ...bytes], 1);
  assert.equal(answer.length, 1);
  return answer[0];
}

/** A table of the command TABLE_SET. */
function table(...addresses: string[]): Uint8Array {
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, addresses.length, true);
  return Uint8Array.from([...count, ...addresses.flatMap((address) => [...macOf(address)])]);
}

/** Those of the addresses whose frames the card takes. */
function accepted(...destinations: string[]): string[] {
  return destinations.filter((destination) => {
    const before = card.counters.filtered;
    port.deliver(testFrame(destination, OTHER));
    return card.counters.filtered === before;
  });
}

describe('sending', () => {
  test('a packet goes to the port without its header', async () => {
    const frame = testFrame(OTHER, OWN, { bytes: 1514 });
    assert.equal((await driver.send(TRANSMIT, packet(frame))).length, 0);
    assert.deepEqual(port.sent, [frame]);
    assert.equal(card.counters.sentFrames, 1);
    assert.equal(card.counters.sentBytes, 1514);
  });

  test('frames of 14 to MAX_FRAME_BYTES bytes are sent; shorter and longer ones are dropped and counted', async () => {
    for (const bytes of [14, MAX_FRAME_BYTES]) await driver.send(TRANSMIT, packet(testFrame(OTHER, OWN, { bytes })));
    assert.deepEqual(
      port.sent.map(({ length }) => length),
      [14, MAX_FRAME_BYTES],
    );
    for (const bytes of [0, 5, 11, 12, 25, PacketHeader.BYTES + MAX_FRAME_BYTES + 1])
      assert.equal((await driver.send(TRANSMIT, new Uint8Array(bytes), 8)).length, 0);
    assert.equal(port.sent.length, 2);
    assert.equal(card.counters.malformedBuffers, 6);
    assert.equal(driver.failure, undefined);
  });

  test('a packet that asks for a checksum or segments, which the card does not offer, is dropped', async () => {
    await driver.send(TRANSMIT, packet(testFrame(OTHER, OWN), { [PacketHeader.FLAGS]: 1 }));
    await driver.send(TRANSMIT, packet(testFrame(OTHER, OWN), { [PacketHeader.GSO_TYPE]: 1 }));
    assert.deepEqual(port.sent, []);
    assert.equal(card.counters.malformedBuffers, 2);
  });

  test('while the link is down packets are dropped and counted', async () => {
    port.setLink(false);
    await driver.send(TRANSMIT, packet(testFrame(OTHER, OWN)));
    port.setLink(true);
    await driver.send(TRANSMIT, packet(testFrame(OTHER, OWN, { seed: 1 })));
    assert.deepEqual(port.sent, [testFrame(OTHER, OWN, { seed: 1 })]);
    assert.equal(card.counters.sentWithoutLink, 1);
  });

  test('nothing is sent after a reset', () => {
    driver.reset();
    void driver.send(TRANSMIT, packet(testFrame(OTHER, OWN)));
    assert.deepEqual(port.sent, []);
  });
});

describe('receiving', () => {
  test('a frame follows a header of zeros with one buffer', async () => {
    const used = driver.send(RECEIVE, [], 1526);
    const frame = testFrame(OWN, OTHER, { bytes: 100 });
    port.deliver(frame);
    assert.deepEqual(await used, packet(frame, { [PacketHeader.NUM_BUFFERS]: 1 }));
    assert.equal(card.counters.receivedFrames, 1);
    assert.equal(card.counters.receivedBytes, 100);
  });

  test('frames without a buffer wait, in order, until there is one', async () => {
    const frames = [1, 2, 3].map((seed) => testFrame(OWN, OTHER, { seed }));
    for (const frame of frames) port.deliver(frame);
    for (const frame of frames)
      assert.deepEqual(await driver.send(RECEIVE, [], 1526), packet(frame, { [PacketHeader.NUM_BUFFERS]: 1 }));
  });

  test('a frame that arrives while others wait does not overtake them', async () => {
    for (const seed of [1, 2]) port.deliver(testFrame(OWN, OTHER, { seed }));
    const queue = driver.queues[RECEIVE];
    const used = [1, 2, 3].map(() => (queue as FakeQueue).add([], 1526));
    // The driver has not notified yet.
    port.deliver(testFrame(OWN, OTHER, { seed: 3 }));
    card.notified(RECEIVE);
    for (const [i, bytes] of (await Promise.all(used)).entries())
      assert.deepEqual(bytes.subarray(PacketHeader.BYTES), testFrame(OWN, OTHER, { seed: i + 1 }));
  });

  test(`at most ${MAX_WAITING_FRAMES} frames wait; more are dropped and counted`, async () => {
    for (let seed = 0; seed < MAX_WAITING_FRAMES + 5; seed++) port.deliver(testFrame(OWN, OTHER, { seed }));
    assert.equal(card.counters.droppedNoBuffer, 5);
    for (let seed = 0; seed < MAX_WAITING_FRAMES; seed++)
      assert.deepEqual((await driver.send(RECEIVE, [], 1526)).subarray(12), testFrame(OWN, OTHER, { seed }));
    void driver.send(RECEIVE, [], 1526);
    assert.equal(card.counters.receivedFrames, MAX_WAITING_FRAMES);
  });

  test(`at most ${MAX_WAITING_BYTES} bytes wait, and delivery makes room`, async () => {
    const bytes = MAX_FRAME_BYTES;
    const room = Math.floor(MAX_WAITING_BYTES / bytes);
    for (let seed = 0; seed < room + 2; seed++) port.deliver(testFrame(OWN, OTHER, { bytes, seed }));
    assert.equal(card.counters.droppedNoBuffer, 2);
    await driver.send(RECEIVE, [], PacketHeader.BYTES + bytes);
    port.deliver(testFrame(OWN, OTHER, { bytes }));
    assert.equal(card.counters.droppedNoBuffer, 2);
    port.deliver(testFrame(OWN, OTHER, { bytes }));
    assert.equal(card.counters.droppedNoBuffer, 3);
  });

  test('a frame takes several buffers, with their number in the first header', async () => {
    const frame = testFrame(OWN, OTHER, { bytes: 300 });
    const used = [100, 50, 1000].map((bytes) => driver.send(RECEIVE, [], bytes));
    port.deliver(frame);
    const parts = await Promise.all(used);
    assert.deepEqual(
      parts.map(({ length }) => length),
      [100, 50, 162],
    );
    const bytes = Buffer.concat(parts);
    assert.deepEqual(new Uint8Array(bytes), packet(frame, { [PacketHeader.NUM_BUFFERS]: 3 }));
  });

  test('a frame that needs more buffers waits for them with those that it has', async () => {
    const frame = testFrame(OWN, OTHER, { bytes: 100 });
    const first = driver.send(RECEIVE, [], 60);
    port.deliver(frame);
    assert.equal(card.counters.receivedFrames, 0);
    const second = driver.send(RECEIVE, [], 60);
    assert.deepEqual(
      new Uint8Array(Buffer.concat(await Promise.all([first, second]))),
      packet(frame, { [PacketHeader.NUM_BUFFERS]: 2 }),
    );
  });

  test('a frame takes all 256 buffers of a queue, which both bytes of their number say', async () => {
    const used = Array.from({ length: 256 }, () => driver.send(RECEIVE, [], 12));
    const frame = testFrame(OWN, OTHER, { bytes: 255 * 12 });
    port.deliver(frame);
    const number = { [PacketHeader.NUM_BUFFERS]: 0, [PacketHeader.NUM_BUFFERS + 1]: 1 };
    assert.deepEqual(new Uint8Array(Buffer.concat(await Promise.all(used))), packet(frame, number));
  });

  test('a frame longer than all buffers of a queue is dropped and counted, and leaves them to the next', async () => {
    const used = Array.from({ length: 256 }, () => driver.send(RECEIVE, [], 12));
    port.deliver(testFrame(OWN, OTHER, { bytes: 255 * 12 + 1 }));
    assert.equal(card.counters.droppedTooLong, 1);
    port.deliver(testFrame(OWN, OTHER, { bytes: 255 * 12 }));
    assert.equal(Buffer.concat(await Promise.all(used)).length, 256 * 12);
  });

  test('without mergeable buffers a frame takes one, and a longer frame leaves it to the next', async () => {
    driver.reset();
    driver = new FakeDriver(
      card,
      card.features.filter((feature) => feature !== NetFeature.MRG_RXBUF),
    );
    const used = [driver.send(RECEIVE, [], 112), driver.send(RECEIVE, [], 112)];
    port.deliver(testFrame(OWN, OTHER, { bytes: 101 }));
    assert.equal(card.counters.droppedTooLong, 1);
    const frames = [1, 2].map((seed) => testFrame(OWN, OTHER, { bytes: 100, seed }));
    for (const frame of frames) port.deliver(frame);
    assert.deepEqual(
      await Promise.all(used),
      frames.map((frame) => packet(frame, { [PacketHeader.NUM_BUFFERS]: 1 })),
    );
  });

  test('a buffer without room for the header is given back, counted, and the next one is taken', async () => {
    port.deliver(testFrame(OWN, OTHER));
    for (const bytes of [0, 1, 11]) assert.equal((await driver.send(RECEIVE, [1, 2, 3], bytes)).length, 0);
    assert.equal(card.counters.malformedBuffers, 3);
    assert.equal((await driver.send(RECEIVE, [], 1526)).length, 72);
  });

  test('a driver that adds useless buffers as fast as they are taken does not keep the event loop', async () => {
    port.deliver(testFrame(OWN, OTHER));
    const queue = driver.queues[RECEIVE] as FakeQueue;
    const pop = queue.pop.bind(queue);
    let taken = 0;
    queue.pop = () => {
      taken++;
      void queue.add([], 0);
      return pop();
    };
    const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    card.notified(RECEIVE);
    const before = taken;
    await nextTurn();
    await nextTurn();
    queue.pop = () => undefined;
    await nextTurn();
    assert.equal(before, 256);
    assert.ok(taken > before, 'it goes on after the turn');
    assert.equal(taken % 256, 0);
  });

  test('frames before the driver is ready are dropped and counted; a reset forgets those that wait', async () => {
    port.deliver(testFrame(OWN, OTHER));
    driver.reset();
    port.deliver(testFrame(OWN, OTHER));
    assert.equal(card.counters.droppedNoDriver, 1);
    driver = new FakeDriver(card);
    const used = driver.send(RECEIVE, [], 1526);
    const frame = testFrame(OWN, OTHER, { seed: 9 });
    port.deliver(frame);
    assert.deepEqual((await used).subarray(12), frame);
  });
});

describe('the receive filter', () => {
  const GROUP_2 = '33:33:00:00:00:01';

  test('takes everything until the driver switches promiscuous mode off', async () => {
    assert.deepEqual(accepted(OWN, OTHER, GROUP, ALL), [OWN, OTHER, GROUP, ALL]);
    assert.equal(await command(ControlClass.RX, RxCommand.PROMISC, 0), ControlAck.OK);
    assert.deepEqual(accepted(OWN, OTHER, GROUP, ALL), [OWN, ALL]);
    assert.equal(card.counters.filtered, 2);
  });

  test('takes the addresses of the tables', async () => {
    await command(ControlClass.RX, RxCommand.PROMISC, 0);
    assert.equal(await command(ControlClass.MAC, MacCommand.TABLE_SET, table(OTHER), table(GROUP)), ControlAck.OK);
    assert.deepEqual(accepted(OWN, OTHER, '52:54:00:00:00:03', GROUP, GROUP_2), [OWN, OTHER, GROUP]);
    assert.equal(await command(ControlClass.MAC, MacCommand.TABLE_SET, table(), table()), ControlAck.OK);
    assert.deepEqual(accepted(OWN, OTHER, GROUP), [OWN]);
  });

  test('takes all addresses of a kind whose table is too long', async () => {
    await command(ControlClass.RX, RxCommand.PROMISC, 0);
    const many = Array.from({ length: MAX_TABLE_ADDRESSES + 1 }, () => '01:02:03:04:05:06');
    await command(ControlClass.MAC, MacCommand.TABLE_SET, table(), table(...many));
    assert.deepEqual(accepted(OTHER, GROUP), [GROUP]);
    await command(ControlClass.MAC, MacCommand.TABLE_SET, table(...many), table(...many.slice(1)));
    assert.deepEqual(accepted(OTHER, GROUP), [OTHER]);
  });

  test('has a switch for each kind of address', async () => {
    await command(ControlClass.RX, RxCommand.PROMISC, 0);
    for (const [number, frames] of [
      [RxCommand.ALLMULTI, [OWN, GROUP, ALL]],
      [RxCommand.ALLUNI, [OWN, OTHER, ALL]],
      [RxCommand.NOMULTI, [OWN, ALL]],
      [RxCommand.NOUNI, [ALL]],
      [RxCommand.NOBCAST, [OWN]],
    ] as const) {
      assert.equal(await command(ControlClass.RX, number, 1), ControlAck.OK);
      assert.deepEqual(accepted(OWN, OTHER, GROUP, ALL), frames);
      assert.equal(await command(ControlClass.RX, number, 0), ControlAck.OK);
    }
  });

  test('and the address are as at first after a reset', async () => {
    await command(ControlClass.RX, RxCommand.PROMISC, 0);
    assert.equal(await command(ControlClass.MAC, MacCommand.ADDR_SET, macOf(OTHER)), ControlAck.OK);
    assert.deepEqual(card.config.slice(0, 6), new Uint8Array(macOf(OTHER)));
    assert.equal(card.mac, OWN);
    driver.reset();
    driver = new FakeDriver(card);
    assert.deepEqual(card.config.slice(0, 6), new Uint8Array(macOf(OWN)));
    assert.deepEqual(accepted(OTHER), [OTHER]);
  });

  test('takes the address that the driver sets, and no longer the card’s own', async () => {
    await command(ControlClass.RX, RxCommand.PROMISC, 0);
    await command(ControlClass.MAC, MacCommand.ADDR_SET, macOf(OTHER));
    const used = driver.send(RECEIVE, [], 1526);
    port.deliver(testFrame(OWN, GROUP));
    assert.equal(card.counters.filtered, 1);
    port.deliver(testFrame(OTHER, GROUP));
    assert.equal((await used).length, 72);
  });
});

describe('the control queue', () => {
  test('answers wrong commands with an error, counts them, and changes nothing', async () => {
    await command(ControlClass.RX, RxCommand.PROMISC, 0);
    const wrong: readonly (readonly number[])[] = [
      [],
      [ControlClass.RX],
      [ControlClass.RX, RxCommand.PROMISC],
      [ControlClass.RX, RxCommand.PROMISC, 1, 1],
      [ControlClass.RX, 6, 1],
      [2, 0, 1],
      [0xff, 0xff, 0xff],
      [ControlClass.MAC, 2],
      [ControlClass.MAC, MacCommand.ADDR_SET, 1, 2, 3],
      [ControlClass.MAC, MacCommand.ADDR_SET, ...macOf(ALL)],
      [ControlClass.MAC, MacCommand.ADDR_SET, 0, 0, 0, 0, 0, 0],
      [ControlClass.MAC, MacCommand.ADDR_SET, ...macOf(OTHER), 0],
      [ControlClass.MAC, MacCommand.TABLE_SET],
      [ControlClass.MAC, MacCommand.TABLE_SET, ...table(OTHER)],
      [ControlClass.MAC, MacCommand.TABLE_SET, ...table(OTHER), 0, 0, 0],
      [ControlClass.MAC, MacCommand.TABLE_SET, ...table(OTHER), ...table(), 0],
      [ControlClass.MAC, MacCommand.TABLE_SET, 0xff, 0xff, 0xff, 0xff, ...macOf(OTHER)],
      [ControlClass.MAC, MacCommand.TABLE_SET, 2, 0, 0, 0, ...macOf(OTHER), ...table()],
    ];
    for (const bytes of wrong)
      assert.deepEqual([...(await driver.send(CONTROL, bytes, 1))], [ControlAck.ERR], String(bytes));
    assert.equal(card.counters.refusedCommands, wrong.length);
    assert.deepEqual(accepted(OWN, OTHER), [OWN]);
  });

  test('gives back a buffer without room for the answer, and does not execute it', async () => {
    assert.equal((await driver.send(CONTROL, [ControlClass.RX, RxCommand.PROMISC, 0], 0)).length, 0);
    assert.equal(card.counters.malformedBuffers, 1);
    assert.deepEqual(accepted(OTHER), [OTHER]);
  });

  test('answers with one byte in a longer buffer', async () => {
    assert.deepEqual([...(await driver.send(CONTROL, [ControlClass.RX, RxCommand.PROMISC, 0], 9))], [ControlAck.OK]);
  });

  test('refuses the commands of features that the driver has not accepted', async () => {
    for (const [feature, bytes] of [
      [NetFeature.CTRL_RX, [ControlClass.RX, RxCommand.PROMISC, 0]],
      [NetFeature.CTRL_RX, [ControlClass.MAC, MacCommand.TABLE_SET, ...table(), ...table()]],
      [NetFeature.CTRL_RX_EXTRA, [ControlClass.RX, RxCommand.ALLUNI, 0]],
      [NetFeature.CTRL_MAC_ADDR, [ControlClass.MAC, MacCommand.ADDR_SET, ...macOf(OTHER)]],
    ] as const) {
      driver.reset();
      driver = new FakeDriver(
        card,
        card.features.filter((one) => one !== feature),
      );
      assert.deepEqual([...(await driver.send(CONTROL, bytes, 1))], [ControlAck.ERR]);
    }
    driver.reset();
    driver = new FakeDriver(
      card,
      card.features.filter((one) => one !== NetFeature.CTRL_VQ),
    );
    void driver.send(CONTROL, [ControlClass.RX, RxCommand.PROMISC, 0], 1);
    assert.equal(driver.queues[CONTROL]?.availableCount, 1);
  });
});

describe('the configuration', () => {
  test('has the address and the state of the link, and reports its changes', () => {
    assert.deepEqual([...card.config], [0x52, 0x54, 0, 0, 0, 1, 1, 0]);
    port.setLink(true);
    assert.equal(driver.configChanges, 0);
    port.setLink(false);
    assert.deepEqual([...card.config.subarray(6)], [0, 0]);
    assert.equal(driver.configChanges, 1);
    port.setLink(true);
    assert.equal(driver.configChanges, 2);
  });

  test('has a link that is down before the port says otherwise', () => {
    const quiet = new TestPort();
    quiet.connect = () => undefined;
    assert.equal(new VirtioNet({ port: quiet }).isLinkUp, false);
  });

  test('has a random address by default', () => {
    const [a, b] = [1, 2].map(() => new VirtioNet({ port: new TestPort() }).mac);
    assert.match(a ?? '', /^52(?::[0-9a-f]{2}){5}$/);
    assert.notEqual(a, b);
  });

  test('refuses a wrong address', () => {
    assert.throws(() => new VirtioNet({ port: new TestPort(), mac: ALL }), { code: 'OPTION_INVALID' });
  });
});

test('closing the card closes its port', () => {
  driver.reset();
  card.close();
  assert.ok(port.isClosed);
});
