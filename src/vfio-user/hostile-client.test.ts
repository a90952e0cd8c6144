/** The limits that a hostile client meets. The fuzz target "vfio" searches for what is missing. */

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { turn } from './fixtures/turn.js';
import { TestCard } from './fixtures/test-card.js';
import { message, serverOf, TestClient, transfer } from './fixtures/test-client.js';
import { Command, Errno, HeaderFlag, Irq, IrqSet, MAX_DMA_REGIONS, MAX_QUEUED_COMMANDS, Region } from './protocol.js';
import { MAX_AHEAD_BYTES } from './session.js';
import { TURN_MS } from './turn-budget.js';

const ENABLE = 0x7;

async function enabled(t: TestContext, now?: () => number) {
  const card = new TestCard();
  const { server, events, lines } = await serverOf(card, now && { now });
  const client = await TestClient.open(server);
  t.after(() => server.close());
  client.write(Region.CONFIG, 4, 2, ENABLE);
  return { card, client, events, lines, server };
}

/** By the clock of `stepping`, which the first message does not read. */
const MAX_PER_TURN = 5;

/** A clock that is a quarter of a turn later at each reading. */
function stepping(): () => number {
  let nowMs = 0;
  return () => (nowMs += TURN_MS / 4);
}

/** Reads that want no reply. */
function reads(count: number): Uint8Array {
  const one = message(1, Command.REGION_READ, transfer(0, 0, 4), HeaderFlag.NO_REPLY);
  const all = new Uint8Array(count * one.length);
  for (let i = 0; i < count; i++) all.set(one, i * one.length);
  return all;
}

describe('a hostile client', () => {
  test('reaches nothing beyond a region, or in one that the card does not have', async (t) => {
    const { client, card } = await enabled(t);
    for (const [region, offset, count] of [
      [0, 0xffe, 4],
      [0, 0x1000, 1],
      [1, 0, 4],
      [2, 16, 1],
      [Region.ROM, 0, 1],
      [Region.CONFIG, 254, 4],
      [Region.COUNT, 0, 1],
      [0xffff_ffff, 0, 1],
      [0, 2 ** 52, 4],
      [0, 0, 0],
    ] as const)
      assert.equal(client.read(region, offset, count), `errno ${Errno.INVALID}`, `${region} ${offset} ${count}`);
    assert.deepEqual(card.accesses, []);
  });

  test('that writes to the table of messages changes nothing', async (t) => {
    const { client, card, events } = await enabled(t);
    const descriptors = [10, 11, 12];
    client.setIrqs(IrqSet.DATA_EVENTFD | IrqSet.TRIGGER, Irq.MSIX, 0, 3, { descriptors });
    assert.equal(client.write(3, 12, 4, 1), 0);
    card.handle.interrupt(0);
    assert.deepEqual([...events.signals], [[10, 1]]);
  });

  test('gets no answer to an answer, whatever command it names', async (t) => {
    const { client } = await enabled(t);
    // DMA goes by messages from here on, so that writes are posted.
    client.mapMemory(0n, 0x1000n);
    const id = client.post(Command.REGION_WRITE, transfer(0, 0, 4, 7));
    assert.equal(client.replyTo(id)?.error, 0);
    const before = client.stream.sent.length;
    client.raw(message(id + 1, Command.REGION_WRITE, transfer(0, 0, 4, 7), 1));
    assert.equal(client.stream.sent.length, before);
    assert.equal(client.read(0, 0, 4), 7);
  });

  test('that sends commands instead of the answer to a DMA loses the card', async (t) => {
    const { client, card, lines } = await enabled(t);
    client.mapMemory(0n, 0x1000n);
    let sent = 0;
    client.stream.onWait = () => {
      client.stream.onReadable = () => undefined;
      client.post(Command.REGION_READ, transfer(0, 0, 4));
      sent++;
    };
    assert.equal(card.handle.dma.read(0, 1), undefined);
    assert.equal(sent, MAX_QUEUED_COMMANDS + 1);
    await turn();
    assert.equal(client.isOver, true);
    assert.match(lines.join('\n'), /is gone: it sent commands and no answer/);
  });

  test('that sends far ahead of a card that answers late loses it', async (t) => {
    const { client, card, lines } = await enabled(t);
    const releases: (() => void)[] = [];
    for (let i = 0; i < 16; i++) {
      releases.push(card.hold());
      client.post(Command.REGION_READ, transfer(0, 0, 4));
    }
    const bytes = new Uint8Array(0x1_0000);
    for (let at = 0; at <= MAX_AHEAD_BYTES; at += bytes.length) client.raw(bytes);
    assert.equal(client.isOver, true);
    assert.match(lines.join('\n'), /sent commands far ahead of their answers/);
    for (const release of releases) release();
    await turn();
  });

  test('that sends far more than a turn can handle keeps no other card waiting, and loses nothing', async (t) => {
    const { client, card } = await enabled(t, stepping());
    const other = await enabled(t);
    const flood = reads(1000);
    // More than a client may be ahead of answers.
    const floods = Math.ceil((MAX_AHEAD_BYTES + 1) / flood.length);
    for (let i = 0; i < floods; i++) client.raw(flood);
    assert.ok(card.accesses.length <= MAX_PER_TURN, `${card.accesses.length} accesses in one turn`);
    assert.equal(other.client.read(0, 0, 4), 0x0403_0201);
    for (let before = card.accesses.length; card.accesses.length < floods * 1000; before = card.accesses.length) {
      await setImmediate();
      assert.ok(card.accesses.length > before, 'nothing is handled any more');
      assert.ok(card.accesses.length - before <= MAX_PER_TURN, 'too much in one turn');
    }
    assert.equal(client.isOver, false);
    assert.equal(client.read(0, 4, 4), 0x0403_0205);
  });

  test('has no longer turns by a card that answers with promises', async (t) => {
    const { client, card } = await enabled(t, stepping());
    const read = card.read.bind(card);
    card.read = async (...access) => read(...access);
    client.raw(reads(1000));
    let before = 0;
    do {
      before = card.accesses.length;
      await setImmediate();
      assert.ok(card.accesses.length - before <= 2 * MAX_PER_TURN, 'too much in one turn');
    } while (card.accesses.length > before);
    assert.equal(card.accesses.length, 1000);
  });

  test('that is gone in the middle of a flood leaves the card to the next one', async (t) => {
    const { client, card, server } = await enabled(t, stepping());
    client.raw(reads(20));
    client.die();
    while (!client.isOver) await setImmediate();
    assert.equal(card.accesses.length, 20);
    await server.ready;
    assert.equal((await TestClient.open(server)).read(Region.CONFIG, 0, 4), 0x5678_1234);
  });

  test('an access that comes alone reads no clock', async (t) => {
    let readings = 0;
    const { client } = await enabled(t, () => readings++);
    for (let i = 0; i < 10; i++) client.read(0, 0, 4);
    assert.equal(readings, 0);
  });

  test('has a bounded number of regions', async (t) => {
    const { client, server } = await enabled(t);
    for (let i = 0; i < MAX_DMA_REGIONS; i++) assert.equal(client.mapMemory(BigInt(i) * 0x1000n, 0x1000n), 0);
    assert.equal(client.mapMemory(0x1_0000_0000n, 0x1000n), Errno.NOSPACE);
    assert.equal(server.memory.regions.length, MAX_DMA_REGIONS);
  });
});
