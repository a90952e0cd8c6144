import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { BARS } from '../pci/card-description.js';
import type { CardHandle, PciCard, PciDescription } from '../pci/pci-card.js';
import { CardLink } from './card-link.js';
import { BAR_SPACE, barAddress, LinkedCard } from './linked-card.js';

const ALLOWED = { isBusMaster: true, hasMessages: true, isMsixEnabled: true };
const ADDRESS = { bus: 0, device: 5, function: 0 };
const PCI: PciDescription = { vendor: 0x1234, device: 0x5678, class: 0xff_0000 };
/** Bytes of RAM. */
const RAM = 4096;
/** The largest size of a BAR. */
const LARGEST = 2 ** 40;

interface Both {
  readonly linked: LinkedCard;
  readonly handle: CardHandle;
  /** The function's end. */
  readonly fn: CardLink;
  /** What the card was called with. */
  readonly calls: unknown[][];
  readonly reports: string[];
  readonly memory: GuestMemory;
  /** What the function has got since the last call. */
  readonly received: () => string[];
}

/** A card and its function's end of the link, in one thread. */
function both(pci: Partial<PciDescription> = {}, members: Partial<PciCard> = {}): Both {
  const fn = new CardLink();
  const calls: unknown[][] = [];
  const reports: string[] = [];
  let handle: CardHandle | undefined;
  const card: PciCard = {
    name: 'a card',
    pci: { ...PCI, ...pci },
    connect: (given) => (handle = given),
    read: (...access) => calls.push(['read', ...access]),
    write: (...access) => void calls.push(['write', ...access]),
    rung: (doorbell) => void calls.push(['rung', doorbell]),
    ...members,
  };
  const memory = new GuestMemory({ buffer: new SharedArrayBuffer(RAM), byteOffset: 0, byteLength: RAM });
  const linked = new LinkedCard({
    card,
    address: ADDRESS,
    link: new CardLink(fn.buffer),
    memory,
    report: (message) => reports.push(message),
  });
  assert.ok(handle);
  const received = (): string[] => {
    const all: string[] = [];
    fn.deliver({
      setLevel: (high) => all.push(high ? 'high' : 'low'),
      message: (vector) => all.push(`message ${vector}`),
      aborted: () => all.push('aborted'),
    });
    return all;
  };
  return { linked, handle, fn, calls, reports, memory, received };
}

describe('the registers of a card in a thread of its own', () => {
  test('each BAR has addresses of its own, up to the largest size', () => {
    const { linked, calls } = both();
    const places = [0, 1, 5].flatMap((bar) => [0, 0x10, LARGEST - 4].map((offset) => [bar, offset] as const));
    for (const [bar, offset] of places) void linked.read(barAddress(bar, offset), 4);
    void linked.write(barAddress(2, 8), 1, 0xab);
    assert.deepEqual(calls, [...places.map(([bar, offset]) => ['read', bar, offset, 4]), ['write', 2, 8, 1, 0xab]]);
    assert.equal(BAR_SPACE.start, BigInt(barAddress(0, 0)));
    assert.ok(BAR_SPACE.end >= BigInt(barAddress(BARS - 1, LARGEST - 1)));
  });

  test('are read for people without an access', () => {
    const registers = [{ bar: 1, offset: 8, size: 4, name: 'STATUS', access: 'r', meaning: 'a status' }] as const;
    const peek = (bar: number, offset: number): number => bar * 0x100 + offset;
    const { linked, calls } = both({}, { registers: { source: 'a test', registers }, peek });
    assert.deepEqual([linked.name, linked.peekAll(), calls], ['a card', [0x108], []]);
  });

  test('are described to the other thread, with no capability of which it would have to ask this one', () => {
    const capabilities = [{ id: 9, bytes: [1, 2, 3], isLive: true }];
    const doorbells = [{ bar: 0, offset: 0x10 }];
    const { linked } = both({ capabilities, msix: 4 }, { doorbells });
    assert.deepEqual(structuredClone(linked.facts), {
      pci: { ...PCI, msix: 4, capabilities: [{ id: 9, bytes: [1, 2, 3], isLive: false }] },
      doorbells,
    });
    assert.deepEqual(both().linked.facts, { pci: { ...PCI, capabilities: [] }, doorbells: [] });
  });
});

describe('the handle of a card in a thread of its own', () => {
  test('has the card’s address, the RAM and the reports', () => {
    const { handle, memory, reports } = both();
    assert.deepEqual([handle.address, handle.memory === memory], [ADDRESS, true]);
    handle.report('needs a reset');
    assert.deepEqual(reports, ['needs a reset']);
  });

  test('knows what the guest allows', () => {
    const { handle, fn } = both();
    assert.deepEqual([handle.isBusMaster, handle.isMsixEnabled], [false, false]);
    fn.setState({ ...ALLOWED, isMsixEnabled: false });
    assert.deepEqual([handle.isBusMaster, handle.isMsixEnabled], [true, false]);
    fn.setState({ ...ALLOWED, isBusMaster: false });
    assert.deepEqual([handle.isBusMaster, handle.isMsixEnabled], [false, true]);
  });

  test('sends messages if the guest has enabled them, the first one by default', () => {
    const { handle, fn, received } = both({ msix: 3, msi: 2 });
    fn.setState(ALLOWED);
    handle.interrupt();
    handle.interrupt(2);
    assert.deepEqual(received(), ['message 0', 'message 2']);
  });

  test('raises the pin instead of a message that the guest has not enabled', () => {
    const { handle, fn, received } = both({ msi: 2 });
    fn.setState({ ...ALLOWED, hasMessages: false });
    handle.interrupt(1);
    assert.deepEqual(received(), ['high']);
    handle.lower();
    assert.deepEqual(received(), ['low']);
    handle.raise();
    assert.deepEqual(received(), ['high']);
  });

  test('throws for a message that the card does not have', () => {
    for (const [pci, vectors] of [
      [{}, 1],
      [{ msi: 4 }, 4],
      [{ msi: 4, msix: 8 }, 8],
      [{ msi: 8, msix: 2 }, 8],
    ] as const) {
      const { handle, fn, received } = both(pci);
      fn.setState(ALLOWED);
      handle.interrupt(vectors - 1);
      assert.deepEqual(received(), [`message ${vectors - 1}`]);
      for (const vector of [vectors, -1, 0.5, NaN])
        assert.throws(() => handle.interrupt(vector), {
          name: 'RangeError',
          message: `interrupt ${vector} of a card with ${vectors}`,
        });
      assert.deepEqual(received(), []);
    }
  });

  test('has DMA while the card is a bus master, and what is refused is counted', () => {
    const { handle, fn, memory, received } = both();
    assert.equal(handle.dma.write(0x10, Uint8Array.of(1)), false);
    assert.deepEqual([memory.readU8(0x10), fn.refusedDma, received()], [0, 1, []]);
    fn.setState(ALLOWED);
    assert.equal(handle.dma.write(0x10, Uint8Array.of(7)), true);
    assert.deepEqual(handle.dma.read(0x10, 1), Uint8Array.of(7));
    assert.deepEqual([fn.refusedDma, received()], [1, []]);
    assert.equal(handle.dma.read(RAM - 1, 2), undefined);
    assert.deepEqual([fn.refusedDma, received()], [2, ['aborted']]);
  });
});

test('what the card does in its reset belongs to the time after the reset', () => {
  const seen: boolean[] = [];
  const one: Both = both(
    {},
    {
      reset: () => {
        seen.push(one.handle.isBusMaster);
        one.handle.raise();
      },
    },
  );
  one.fn.beginEpoch();
  one.fn.setState(ALLOWED);
  assert.equal(one.handle.isBusMaster, false);
  one.linked.reset();
  assert.deepEqual([seen, one.received()], [[true], ['high']]);
  both().linked.reset();
});

test('doorbells are given to the card, each call within the guard', () => {
  const { linked, fn, calls } = both();
  for (const doorbell of [1, 40]) fn.ring(doorbell);
  linked.takeRung((act) => {
    calls.push(['guarded']);
    act();
  });
  assert.deepEqual(calls, [['guarded'], ['rung', 1], ['guarded'], ['rung', 40]]);
  linked.takeRung(() => calls.push(['again']));
  assert.equal(calls.length, 4);
});

test('a card without `rung`, `connect` and `close` has nothing to do for them', () => {
  const link = new CardLink();
  const card: PciCard = { name: 'bare', pci: PCI, read: () => 0, write: () => undefined };
  const memory = new GuestMemory({ buffer: new SharedArrayBuffer(16), byteOffset: 0, byteLength: 16 });
  const linked = new LinkedCard({ card, address: ADDRESS, link, memory, report: () => undefined });
  link.ring(0);
  linked.takeRung((act) => act());
  assert.equal(linked.close(), undefined);
});

test('the end of `close` is that of the card’s', async () => {
  const closing = Promise.resolve();
  const { linked } = both({}, { close: () => closing });
  assert.equal(linked.close(), closing);
  await closing;
});
