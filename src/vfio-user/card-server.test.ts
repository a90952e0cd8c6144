import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { turn } from './fixtures/turn.js';
import { TestCard } from './fixtures/test-card.js';
import { parse, serverOf, TestArena, TestClient, transfer, version, words } from './fixtures/test-client.js';
import { Command, Errno, Irq, IrqSet, Region } from './protocol.js';

const COMMAND = 4;
const ENABLE = 0x7;
const EVENTS = IrqSet.DATA_EVENTFD | IrqSet.TRIGGER;

async function opened(t: TestContext, parts: Parameters<typeof serverOf>[1] = {}) {
  const card = new TestCard();
  const { server, events, lines } = await serverOf(card, parts);
  const client = await TestClient.open(server);
  t.after(() => server.close());
  return { card, server, events, lines, client };
}

/** One whose driver has enabled memory, ports and bus mastering. */
async function enabled(t: TestContext, parts: Parameters<typeof serverOf>[1] = {}) {
  const all = await opened(t, parts);
  assert.equal(all.client.write(Region.CONFIG, COMMAND, 2, ENABLE), 0);
  return all;
}

/** Each reading is 100 ms later. */
function fastClock(): () => number {
  let now = 0;
  return () => (now += 100);
}

describe('a served card', () => {
  test('has the regions, interrupts and configuration space of its function', async (t) => {
    const { client } = await opened(t);
    const info = client.request(Command.GET_INFO, words(16, 0, 0, 0)).payload;
    assert.deepEqual([info.getUint32(4, true), info.getUint32(8, true), info.getUint32(12, true)], [3, 9, 5]);
    const sizes = Array.from({ length: 9 }, (_, index) => {
      const { payload } = client.request(Command.GET_REGION_INFO, words(32, 0, index, 0, 0, 0, 0, 0));
      return [payload.getUint32(4, true), Number(payload.getBigUint64(16, true))];
    });
    assert.deepEqual(
      sizes.map(([, size]) => size),
      [0x1000, 0, 16, 0x1000, 0, 0, 0, 256, 0],
    );
    assert.deepEqual(
      sizes.map(([flags]) => flags),
      [3, 0, 3, 3, 0, 0, 0, 3, 0],
    );
    const counts = Array.from({ length: 5 }, (_, index) =>
      client.request(Command.GET_IRQ_INFO, words(16, 0, index, 0)).payload.getUint32(12, true),
    );
    assert.deepEqual(counts, [1, 4, 3, 1, 1]);
    assert.equal(client.read(Region.CONFIG, 0, 4), 0x5678_1234);
    const whole = client.request(Command.REGION_READ, transfer(Region.CONFIG, 0, 256));
    assert.equal(whole.payload.getUint16(16 + 2, true), 0x5678);
    assert.equal(whole.payload.byteLength, 16 + 256);
  });

  test('keeps the addresses that the client writes to its BARs, and answers by region', async (t) => {
    const { client, card } = await opened(t);
    client.write(Region.CONFIG, 0x10, 4, 0xffff_ffff);
    assert.equal(client.read(Region.CONFIG, 0x10, 4), 0xffff_f004);
    client.write(Region.CONFIG, 0x10, 4, 0xe000_0000);
    assert.equal(client.read(Region.CONFIG, 0x10, 4), 0xe000_0004);
    assert.equal(client.read(0, 0, 4), 0xffff_ffff, 'memory is not enabled yet');
    client.write(Region.CONFIG, COMMAND, 2, ENABLE);
    assert.equal(client.read(0, 0, 4), 0x0403_0201);
    assert.equal(client.write(0, 0, 4, 7), 0);
    assert.equal(client.read(0, 0, 1), 7);
    assert.equal(client.read(2, 4, 2), 0x000b);
    assert.deepEqual(card.accesses, ['r 0+0/4', 'w 0+0/4=7', 'r 0+0/1', 'r 2+4/2']);
  });

  test('gets each access whole, of 8 bytes in two, and other sizes in aligned pieces', async (t) => {
    const { client, card } = await enabled(t);
    client.read(0, 1, 4);
    client.read(0, 8, 8);
    client.write(0, 0x11, 7, 0);
    assert.deepEqual(card.accesses, [
      'r 0+1/4',
      ...['r 0+8/4', 'r 0+12/4'],
      ...['w 0+17/1=0', 'w 0+18/2=0', 'w 0+20/4=0'],
    ]);
  });

  test('its accesses are requests of its VM: counted, and traced', async (t) => {
    const { client, server } = await enabled(t);
    client.read(0, 0, 4);
    client.write(2, 0, 1, 1);
    const row = server.vm.statistics()?.clients.find(({ name }) => name === 'test-card');
    assert.deepEqual([row?.reads, row?.writes], [1, 1]);
  });

  test('a promise is answered when it settles, and other accesses go on meanwhile', async (t) => {
    const { client, card } = await enabled(t);
    const release = card.hold();
    const id = client.post(Command.REGION_READ, transfer(0, 0, 4));
    assert.equal(client.replyTo(id), undefined);
    assert.equal(client.read(0, 4, 4), 0x0403_0205);
    release();
    await turn();
    const { payload } = client.replyTo(id) ?? assert.fail();
    assert.deepEqual([payload.getUint32(0, true), payload.getUint32(16, true)], [0, 0x0403_0201]);
  });

  test('behind a write without a reply, all others wait', async (t) => {
    const { client, card } = await enabled(t);
    const release = card.hold();
    const write = client.post(Command.REGION_WRITE, transfer(0, 0, 4, 9), [], 0x10);
    const read = client.post(Command.REGION_READ, transfer(0, 0, 4));
    assert.deepEqual(card.accesses, ['w 0+0/4=9']);
    release();
    await turn();
    assert.equal(client.replyTo(read)?.payload.getUint32(16, true), 9);
    assert.equal(client.replyTo(write), undefined);
  });

  test('more accesses than there are contexts wait, and none is lost', async (t) => {
    const { client, card } = await enabled(t);
    const releases: (() => void)[] = [];
    const ids: number[] = [];
    for (let i = 0; i < 20; i++) {
      releases.push(card.hold());
      ids.push(client.post(Command.REGION_READ, transfer(0, 4 * i, 4)));
    }
    assert.equal(card.accesses.length, 16);
    for (const release of releases) release();
    await turn();
    await turn();
    assert.deepEqual(
      ids.map((id) => client.replyTo(id)?.payload.getUint32(16, true)),
      ids.map((_, i) => 0x0403_0201 + 4 * i),
    );
  });

  test('a reset restores the power-on state of card and configuration space', async (t) => {
    const { client, card } = await enabled(t);
    client.write(0, 0, 4, 9);
    const resets = card.resets;
    assert.equal(client.request(Command.RESET).error, 0);
    assert.equal(card.resets, resets + 1);
    assert.equal(client.read(Region.CONFIG, COMMAND, 2), 0);
    client.write(Region.CONFIG, COMMAND, 2, ENABLE);
    assert.equal(client.read(0, 0, 4), 0x0403_0201);
  });
});

describe('interrupts of a served card', () => {
  test('MSI-X: each message signals the eventfd of its vector', async (t) => {
    const { client, card, events } = await enabled(t);
    assert.equal(client.setIrqs(EVENTS, Irq.MSIX, 0, 3, { descriptors: [10, 11, 12] }), 0);
    assert.equal(card.handle.isMsixEnabled, true);
    card.handle.interrupt(1);
    card.handle.interrupt(2);
    card.handle.interrupt(2);
    assert.deepEqual(
      [...events.signals],
      [
        [11, 1],
        [12, 2],
      ],
    );
  });

  test('MSI-X: a masked message is pending in the table and sent when it is unmasked', async (t) => {
    const { client, card, events } = await enabled(t);
    client.setIrqs(EVENTS, Irq.MSIX, 0, 3, { descriptors: [10, 11, 12] });
    client.setIrqs(IrqSet.DATA_NONE | IrqSet.MASK, Irq.MSIX, 1, 1);
    card.handle.interrupt(1);
    assert.deepEqual([...events.signals], []);
    assert.equal(client.read(3, 0x800, 4), 2);
    assert.equal(client.setIrqs(IrqSet.DATA_BOOL | IrqSet.UNMASK, Irq.MSIX, 0, 2, { bytes: [0, 1] }), 0);
    assert.deepEqual([...events.signals], [[11, 1]]);
    assert.equal(client.read(3, 0x800, 4), 0);
  });

  test('MSI-X: without bus mastering no message is sent', async (t) => {
    const { client, card, events } = await opened(t);
    client.setIrqs(EVENTS, Irq.MSIX, 0, 1, { descriptors: [10] });
    card.handle.interrupt(0);
    assert.deepEqual([...events.signals], []);
  });

  test('MSI: messages signal eventfds, and a mask in configuration space holds them', async (t) => {
    const { client, card, events } = await enabled(t);
    client.setIrqs(EVENTS, Irq.MSI, 0, 4, { descriptors: [20, 21, 22, 23] });
    card.handle.interrupt(3);
    client.write(Region.CONFIG, 0x48 + 16, 4, 1 << 2);
    card.handle.interrupt(2);
    assert.deepEqual([...events.signals], [[23, 1]]);
    client.write(Region.CONFIG, 0x48 + 16, 4, 0);
    assert.deepEqual(
      [...events.signals],
      [
        [23, 1],
        [22, 1],
      ],
    );
    assert.equal(client.setIrqs(IrqSet.DATA_NONE | IrqSet.TRIGGER, Irq.MSI, 0, 0), 0);
    assert.deepEqual(events.closed, [20, 21, 22, 23]);
    assert.equal(Number(client.read(Region.CONFIG, 0x48 + 2, 2)) & 1, 0);
  });

  test('the pin signals once, and again after an unmask while it is high', async (t) => {
    const { client, card, events } = await enabled(t);
    client.setIrqs(EVENTS, Irq.INTX, 0, 1, { descriptors: [30] });
    card.handle.raise();
    client.read(0, 0, 4);
    assert.deepEqual([...events.signals], [[30, 1]]);
    client.setIrqs(IrqSet.DATA_NONE | IrqSet.UNMASK, Irq.INTX, 0, 1);
    assert.deepEqual([...events.signals], [[30, 2]]);
    card.handle.lower();
    client.setIrqs(IrqSet.DATA_NONE | IrqSet.UNMASK, Irq.INTX, 0, 1);
    assert.deepEqual([...events.signals], [[30, 2]]);
  });

  test('the pin signals before the card waits for its DMA', async (t) => {
    const { client, card, events } = await enabled(t, { now: fastClock() });
    client.setIrqs(EVENTS, Irq.INTX, 0, 1, { descriptors: [30] });
    client.mapMemory(0n, 0x1000n);
    client.serveMemory(new Uint8Array(0x1000));
    const answer = client.stream.onWait;
    // A client that handles the interrupt before it serves memory.
    client.stream.onWait = () => {
      if (events.signals.get(30) === 1) answer();
    };
    card.handle.raise();
    assert.deepEqual([...(card.handle.dma.read(0, 2) ?? [])], [0, 0]);
  });

  test('what is not an eventfd is refused and closed', async (t) => {
    const { client, events } = await enabled(t);
    assert.equal(client.setIrqs(EVENTS, Irq.MSIX, 0, 2, { descriptors: [10, 1001] }), Errno.INVALID);
    assert.deepEqual(events.closed, [10, 1001]);
    assert.equal(client.setIrqs(EVENTS, Irq.MSIX, 2, 2, { descriptors: [12, 13] }), Errno.INVALID);
    assert.deepEqual(events.closed, [10, 1001, 12, 13]);
  });
});

describe('DMA of a served card', () => {
  test('by messages: reads and writes what the client has announced, and nothing else', async (t) => {
    const { client, card, server } = await enabled(t);
    const memory = new Uint8Array(0x3000).map((_, i) => i & 0xff);
    assert.equal(client.mapMemory(0x1000n, 0x2000n), 0);
    client.serveMemory(memory);
    assert.deepEqual([...(card.handle.dma.read(0x1001, 3) ?? [])], [1, 2, 3]);
    assert.equal(card.handle.dma.write(0x2ffe, Uint8Array.of(7, 8)), true);
    assert.deepEqual([...memory.subarray(0x2ffe)], [7, 8]);
    assert.equal(card.handle.dma.read(0xfff, 2), undefined);
    assert.equal(card.handle.dma.write(0x2fff, Uint8Array.of(1, 2)), false);
    assert.deepEqual(server.dmaMap.bytes, { mapped: 0, remote: 0x2000 });
    assert.equal(client.unmapMemory(0x1000n, 0x2000n), 0);
    assert.equal(card.handle.dma.read(0x1001, 3), undefined);
  });

  test('by messages: a client that does not answer, or dies, ends the wait, and the DMA fails', async (t) => {
    const { client, card, server } = await enabled(t);
    client.mapMemory(0n, 0x1000n);
    client.stream.onWait = () => client.die();
    assert.equal(card.handle.dma.read(0, 2), undefined);
    assert.equal(server.memory.failures, 1);
    await turn();
    assert.equal(client.isOver, true);
  });

  test('RAM that is not shared is reported, once for each client', async (t) => {
    const { client, lines } = await opened(t, { arena: new TestArena() });
    const unshared = () => lines.filter((line) => line.includes('the RAM is not shared')).length;
    client.mapMemory(0x1000n, 0x1000n);
    assert.equal(unshared(), 0, 'it may be the memory of a card');
    for (let i = 0; i < 2; i++) {
      client.mapMemory(0n, 0x1000n);
      client.unmapMemory(0n, 0x1000n);
    }
    assert.equal(unshared(), 1);
  });

  test('by messages: a client that is stopped is waited for once, until something arrives', async (t) => {
    const { client, card, lines } = await enabled(t, { now: fastClock() });
    client.mapMemory(0n, 0x1000n);
    let waits = 0;
    client.stream.onWait = () => {
      waits++;
    };
    assert.equal(card.handle.dma.read(0, 1), undefined);
    const before = waits;
    assert.ok(before > 0);
    assert.equal(card.handle.dma.write(0, Uint8Array.of(1)), false);
    assert.equal(waits, before);
    client.read(0, 0, 4);
    client.serveMemory(new Uint8Array(0x1000).fill(4));
    assert.deepEqual([...(card.handle.dma.read(0, 1) ?? [])], [4]);
    client.die();
    assert.ok(lines.includes('card: DMA of the card that failed in the memory of a client: 2'));
  });

  test('by messages: commands that arrive meanwhile are handled afterwards', async (t) => {
    const { client, card } = await enabled(t);
    client.mapMemory(0n, 0x1000n);
    const memory = new Uint8Array(0x1000).fill(5);
    client.serveMemory(memory);
    const answer = client.stream.onWait;
    let id = 0;
    client.stream.onWait = () => {
      client.stream.onWait = answer;
      client.stream.onReadable = () => undefined;
      id = client.post(Command.REGION_READ, transfer(0, 0, 4));
      answer();
    };
    assert.deepEqual([...(card.handle.dma.read(0, 2) ?? [])], [5, 5]);
    await turn();
    assert.equal(client.replyTo(id)?.payload.getUint32(16, true), 0x0403_0201);
  });

  test('by messages: goes in pieces of what both sides take', async (t) => {
    const { client, card } = await enabled(t);
    client.mapMemory(0n, 0x4_0000n);
    const memory = new Uint8Array(0x4_0000).map((_, i) => i % 251);
    client.serveMemory(memory);
    assert.deepEqual(card.handle.dma.read(1, 0x2_0000), memory.slice(1, 0x2_0001));
    const sizes = client.stream.sent.map(parse).filter(({ command }) => command === Command.DMA_READ);
    assert.deepEqual(
      sizes.map(({ payload }) => Number(payload.getBigUint64(8, true))),
      [0x1_0000, 0x1_0000],
    );
    assert.equal(card.handle.dma.write(0, new Uint8Array(0x1_0001)), true);
    assert.ok(memory.subarray(0, 0x1_0001).every((byte) => byte === 0));
  });

  test('by messages: a write is answered before the card has it, also while the card waits', async (t) => {
    const { client, card } = await enabled(t);
    client.mapMemory(0n, 0x1000n);
    const release = card.hold();
    const id = client.post(Command.REGION_WRITE, transfer(0, 0, 4, 9));
    assert.equal(client.replyTo(id)?.error, 0);
    release();
    await turn();
    client.serveMemory(new Uint8Array(0x1000).fill(5));
    const answer = client.stream.onWait;
    const ids: number[] = [];
    const { onReadable } = client.stream;
    client.stream.onWait = () => {
      if (ids.length === 0) {
        client.stream.onReadable = () => undefined;
        ids.push(client.post(Command.REGION_WRITE, transfer(0, 4, 4, 7)));
        ids.push(client.post(Command.GET_IRQ_INFO, words(16, 0, 0, 0)));
        ids.push(client.post(Command.REGION_READ, transfer(0, 0, 4)));
        client.stream.onReadable = onReadable;
      } else if (client.replyTo(ids[1] ?? 0) !== undefined && client.replyTo(ids[0] ?? 0) !== undefined) {
        assert.deepEqual(card.accesses, ['w 0+0/4=9'], 'the card is not called while it waits');
        const dma = client.stream.sent.filter((bytes) => parse(bytes).command === Command.DMA_READ);
        client.stream.sent.push(dma.at(-1) as Uint8Array);
        answer();
        client.stream.sent.pop();
      }
    };
    assert.deepEqual([...(card.handle.dma.read(0, 2) ?? [])], [5, 5]);
    await turn();
    assert.deepEqual(card.accesses, ['w 0+0/4=9', 'w 0+4/4=7', 'r 0+0/4']);
    assert.equal(client.replyTo(ids[2] ?? 0)?.payload.getUint32(16, true), 9);
  });

  test('mapped: uses the pages themselves, until they are unmapped', async (t) => {
    const arena = new TestArena();
    const { client, card, events } = await enabled(t, { arena });
    assert.equal(client.mapMemory(0x1000n, 0x2000n, 3, [40], 0x5000n), 0);
    assert.deepEqual(events.closed, [40], 'the mapping needs it no more');
    card.handle.dma.write(0x1000, Uint8Array.of(1, 2));
    assert.equal(client.commands.length, 0);
    assert.equal(card.handle.memory.readU16(0x1000), 0x0201);
    client.unmapMemory(0x1000n, 0x2000n);
    assert.deepEqual(arena.maps, ['map 4096 8192 40 20480', 'unmap 4096 8192']);
    assert.equal(card.handle.dma.write(0x1000, Uint8Array.of(1)), false);
  });

  test('a region that is read-only, beyond the arena, or not safe to map is reached by messages', async (t) => {
    const arena = new TestArena();
    const { client, card, server } = await enabled(t, { arena });
    client.mapMemory(0x1000n, 0x1000n, 1, [40]);
    client.mapMemory(0x1_0000_0000n, 0x1000n, 3, [41]);
    arena.refuses = true;
    client.mapMemory(0x3000n, 0x1000n, 3, [42]);
    assert.deepEqual(server.dmaMap.bytes, { mapped: 0, remote: 0x3000 });
    client.serveMemory(new Uint8Array(0x4000).fill(9));
    assert.deepEqual([...(card.handle.dma.read(0x1000, 1) ?? [])], [9]);
    const sent = client.stream.sent.length;
    card.handle.dma.write(0x1000, Uint8Array.of(1));
    assert.equal(client.stream.sent.length, sent, 'nothing is written to a read-only region');
    assert.equal(server.memory.failures, 1);
  });

  test('regions may not overlap, and are removed whole', async (t) => {
    const { client } = await opened(t);
    assert.equal(client.mapMemory(0x1000n, 0x2000n), 0);
    assert.equal(client.mapMemory(0x2000n, 0x2000n), Errno.EXIST);
    assert.equal(client.mapMemory(0n, 0n), Errno.INVALID);
    assert.equal(client.mapMemory(2n ** 64n - 0x1000n, 0x1000n), Errno.INVALID);
    assert.equal(client.unmapMemory(0x1000n, 0x1000n), Errno.NOENT);
    assert.equal(client.unmapMemory(0n, 0x2000n), Errno.NOENT);
    assert.equal(client.mapMemory(0x4000n, 0x1000n), 0);
    assert.equal(client.unmapMemory(0x1000n, 0x3800n), Errno.INVALID);
    assert.equal(client.unmapMemory(0n, 0n, 2), 0);
    assert.equal(client.mapMemory(0x2000n, 0x2000n), 0);
  });
});

describe('clients of a served card', () => {
  test('come one after the other, and each finds the card as after power-on', async (t) => {
    const { client, card, server, events, lines } = await enabled(t);
    client.write(0, 0, 4, 9);
    client.setIrqs(EVENTS, Irq.MSIX, 0, 1, { descriptors: [10] });
    client.mapMemory(0n, 0x1000n);
    const second = new TestClient(server);
    second.post(Command.VERSION, version());
    assert.equal(second.isOver, true, 'another one has it');
    client.die();
    assert.deepEqual(events.closed, [10]);
    assert.deepEqual(server.memory.regions, []);
    const next = await TestClient.open(server);
    assert.equal(next.read(Region.CONFIG, COMMAND, 2), 0);
    next.write(Region.CONFIG, COMMAND, 2, ENABLE);
    assert.equal(next.read(0, 0, 4), 0x0403_0201);
    card.handle.interrupt(0);
    assert.deepEqual([...events.signals], []);
    assert.match(lines.join('\n'), /has the card\n.*refused: another client has the card\n.*is gone\n.*has the card$/s);
  });

  test('one that dies during an access leaves nothing to the next one', async (t) => {
    const { client, card, server } = await enabled(t);
    const release = card.hold();
    const id = client.post(Command.REGION_READ, transfer(0, 0, 4));
    client.die();
    const opening = TestClient.open(server);
    release();
    const next = await opening;
    next.write(Region.CONFIG, COMMAND, 2, ENABLE);
    assert.equal(next.read(0, 8, 4), 0x0403_0209);
    assert.equal(client.replyTo(id), undefined);
  });

  test('one that comes after the card was removed as late finds a new card as after power-on', async (t) => {
    const cards: TestCard[] = [];
    const create = () => cards[cards.push(new TestCard()) - 1] as TestCard;
    const { server, lines } = await serverOf(create, { vm: { name: 'card', clientTimeoutMs: 20 } });
    t.after(() => server.close());
    // The time limit alone does not keep a process alive.
    const alive = setInterval(() => undefined, 1000);
    const removed = new Promise<void>((resolve) =>
      server.vm.onEvent(({ kind }) => {
        if (kind === 'client-late') resolve();
      }),
    ).finally(() => clearInterval(alive));
    const client = await TestClient.open(server);
    client.write(Region.CONFIG, COMMAND, 2, ENABLE);
    client.write(0, 0, 4, 9);
    cards[0]?.hold();
    const id = client.post(Command.REGION_READ, transfer(0, 0, 4));
    await removed;
    await turn();
    assert.equal(client.replyTo(id)?.payload.getUint32(16, true), 0xffff_ffff);
    assert.equal(client.read(Region.CONFIG, 0, 4), 0xffff_ffff, 'there is no card any more');
    client.die();
    const next = await TestClient.open(server);
    assert.equal(next.read(Region.CONFIG, 0, 4), 0x5678_1234);
    next.write(Region.CONFIG, COMMAND, 2, ENABLE);
    assert.equal(next.read(0, 0, 4), 0x0403_0201);
    assert.equal(cards.length, 2);
    assert.match(lines.join('\n'), /card: the card was removed, and is created again for the next client/);
  });

  test('after the removal of a card that cannot be created again, one is refused, and a line says why', async (t) => {
    const broken = new Error('no such chip');
    const makers = [
      { card: new TestCard(), expected: /Give serveVfioUser a function that creates it/ },
      {
        card: (() => {
          let count = 0;
          return (): TestCard => {
            if (++count > 1) throw broken;
            return new TestCard();
          };
        })(),
        expected: /card: a client is refused: the card was removed, and cannot be created again: no such chip/,
      },
    ];
    for (const { card, expected } of makers) {
      const { server, lines } = await serverOf(card);
      t.after(() => server.close());
      const client = await TestClient.open(server);
      const [removed] = server.vm.requests.clients.all.filter(({ name }) => name === 'test-card');
      server.vm.requests.clients.fail(removed ?? assert.fail(), new Error('thrown'));
      assert.equal(client.read(Region.CONFIG, 0, 4), 0xffff_ffff);
      client.die();
      const next = await TestClient.connect(server);
      assert.equal(next.isOver, true);
      assert.match(lines.join('\n'), expected);
    }
  });

  test('a program that only connects is not counted, and not reported', async (t) => {
    const { server, lines } = await serverOf(new TestCard());
    t.after(() => server.close());
    (await TestClient.connect(server)).die();
    assert.deepEqual([lines, server.client], [[], undefined]);
    const client = await TestClient.open(server);
    const probe = new TestClient(server);
    assert.equal(probe.isOver, false);
    probe.die();
    assert.equal(probe.isOver, true);
    assert.deepEqual(lines, ['card: a client has the card']);
    assert.equal(server.client?.messages, 1);
    const many = Array.from({ length: 20 }, () => new TestClient(server));
    assert.equal(many.filter(({ isOver }) => isOver).length, 4, 'some are kept until they speak');
    await server.close();
    assert.equal(client.isOver && many.every(({ isOver }) => isOver), true);
    assert.deepEqual(lines.slice(1), ['card: a client loses the card: the server ends']);
  });

  test('one that does not read what it is sent loses the card', async (t) => {
    const { client } = await enabled(t);
    client.stream.canSend = false;
    client.post(Command.REGION_READ, transfer(0, 0, 4));
    await turn();
    assert.equal(client.isOver, true);
  });

  test('the version is negotiated first, once, and the lower minor one counts', async () => {
    const { server } = await serverOf(new TestCard());
    const client = await TestClient.connect(server);
    assert.equal(client.request(Command.GET_INFO, words(16, 0, 0, 0)).error, Errno.INVALID);
    assert.equal(client.request(Command.VERSION, version(0)).payload.getUint16(2, true), 0);
    assert.equal(client.request(Command.VERSION, version(0)).error, Errno.INVALID);
    await server.close();
  });

  test('one of another major version is refused and loses its connection', async () => {
    const { server } = await serverOf(new TestCard());
    const client = await TestClient.connect(server);
    const wrong = version();
    wrong[0] = 1;
    assert.equal(client.request(Command.VERSION, wrong).error, Errno.INVALID);
    assert.equal(client.isOver, true);
    await server.close();
  });
});
