import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { host } from '../../host/current.js';
import type { ThreadOptions } from '../../host/host.js';
import { mmio, ports, type AddressRange } from '../../hsm/address-range.js';
import { AssignedRequest } from '../../hsm/assigned-request.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { Direction, IoRequestType } from '../../io-request/layout.js';
import { replaceTiming } from '../../sync/fixtures/fake-timing.js';
import { foregroundTiming } from '../../sync/host-timing.js';
import { LineOwners } from '../line-owners.js';
import type { CardFunction } from '../pci/card-function.js';
import { CardLink, MAX_LINKED_DOORBELLS } from './card-link.js';
import { DeviceMailbox, MailboxControl } from './device-mailbox.js';
import type { DeviceThreadData, DeviceThreadMessage } from './device-thread.js';
import { barAddress } from './linked-card.js';
import { ThreadCard } from './thread-card.js';
import { inOwnThread } from './thread-placement.js';

const ADDRESS = { bus: 0, device: 5, function: 0 };
const STATE = { isBusMaster: true, hasMessages: true, isMsixEnabled: true };
const FACTS = {
  pci: { vendor: 0x1234, device: 0x5678, class: 0xff_0000 },
  doorbells: Array.from({ length: MAX_LINKED_DOORBELLS + 2 }, (_, index) => ({ bar: 0, offset: 4 * index })),
};
const READY: DeviceThreadMessage = { kind: 'ready', name: 'a card', card: FACTS };
/** Turns of the event loop after which everything that was rung has come. */
const SETTLED_TURNS = 4;

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < SETTLED_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
};

interface Placed {
  readonly card: ThreadCard;
  /** The thread's end of both, and its messages. */
  readonly mailbox: DeviceMailbox;
  readonly link: CardLink;
  readonly data: DeviceThreadData;
  readonly post: (message: DeviceThreadMessage) => void;
  readonly exit: (code?: number) => void;
  readonly fn: CardFunction;
  /** What the function has got, with the answers to requests, in order. */
  readonly log: string[];
  readonly lost: unknown[][];
  /** What the thread gets for a request. */
  readonly fetched: (vcpu: number) => AssignedRequest | undefined;
  /** A request of which each answer is in the log. */
  readonly request: (vcpu: number, ticket: number, address?: number | bigint, size?: number) => AssignedRequest;
}

/** A card whose thread does only what the test says, and a function that writes down its calls. */
function placed(): Placed {
  const lost: unknown[][] = [];
  const log: string[] = [];
  const started: ThreadOptions[] = [];
  const shared = new VmSharedState();
  mock.method(host, 'startThread', (_: unknown, options: ThreadOptions) => {
    started.push(options);
    return { terminate: () => Promise.resolve() };
  });
  const card = new ThreadCard({
    placement: inOwnThread(new URL('file:///cards/disk.js')),
    address: ADDRESS,
    memory: new GuestMemory({ buffer: new SharedArrayBuffer(16), byteOffset: 0, byteLength: 16 }),
    lines: shared.lines,
    owners: new LineOwners(),
    finisher: { page: new SharedArrayBuffer(4096), tickets: new SharedArrayBuffer(64), shared: shared.handle },
    reportError: (device, error, during) => log.push(`${device} ${during}: ${String(error)}`),
    onLost: (...loss) => lost.push(loss),
  });
  const [thread] = started;
  assert.ok(thread);
  const data = thread.data as DeviceThreadData;
  const mailbox = new DeviceMailbox(data.mailbox);
  const fn = {
    state: STATE,
    onConfigured: () => undefined,
    handle: { report: (message: string) => log.push(`report: ${message}`) },
    setLevel: (high: boolean) => log.push(high ? 'high' : 'low'),
    message: (vector: number) => log.push(`message ${vector}`),
    aborted: () => log.push('aborted'),
  };
  return {
    card,
    mailbox,
    link: new CardLink(data.card?.link),
    data,
    post: (message) => thread.onMessage(message),
    exit: (code = 1) => thread.onExit(code),
    fn: fn as unknown as CardFunction,
    log,
    lost,
    fetched: (vcpu) => {
      const request = new AssignedRequest(vcpu, { finish: () => false });
      return (mailbox.takePending() & (1 << vcpu)) !== 0 && mailbox.fetch(request) ? request : undefined;
    },
    request: (vcpu, ticket, address = 0, size = 4) => {
      const taker = {
        finish: (...answer: number[]) => {
          log.push(`answer ${vcpu}: ${answer.join(' ')}`);
          return true;
        },
      };
      return Object.assign(new AssignedRequest(vcpu, taker), {
        ticket,
        size,
        addressLow: Number(BigInt.asIntN(32, BigInt(address))),
        addressHigh: Number(BigInt.asIntN(32, BigInt(address) >> 32n)),
      });
    },
  };
}

beforeEach(() => replaceTiming(foregroundTiming));
afterEach(() => mock.restoreAll());

describe('the description of a card in a thread of its own', () => {
  test('is that of its thread, once it is created', async () => {
    const { card, post, data } = placed();
    assert.deepEqual([card.name, card.isReady, card.registerMap, card.doorbells], ['disk.js', false, undefined, []]);
    assert.throws(() => card.pci, { message: 'disk.js is not created yet' });
    const registers = { source: 'a test', registers: [] };
    post({ kind: 'ready', name: 'a card', registers, card: FACTS });
    await card.ready;
    assert.deepEqual([card.name, card.isReady, card.pci, card.registerMap], ['a card', true, FACTS.pci, registers]);
    assert.deepEqual(card.doorbells, FACTS.doorbells.slice(0, 64));
    assert.deepEqual(data.card?.address, ADDRESS);
  });

  test('has the values of its registers, and what its thread does', async () => {
    const { card, post, mailbox } = placed();
    assert.equal(card.explain(0).detail, 'its thread is still creating the device');
    post(READY);
    const values = card.peekAll();
    assert.equal(mailbox.takeControl(), MailboxControl.PEEK);
    post({ kind: 'registers', values: [7] });
    assert.deepEqual(await values, [7]);
    await assert.rejects(card.read(), { message: 'a card is in a thread of its own' });
    assert.throws(() => card.write(), { message: 'a card is in a thread of its own' });
  });

  test('counts the DMA that was refused', () => {
    const { card, link } = placed();
    link.countRefused();
    assert.equal(card.refusedDma, 1);
  });
});

describe('a request to a card in a thread of its own', () => {
  const cases: readonly [string, AddressRange, number][] = [
    ['low memory', mmio(0xd000_0000, 0x1000), 0],
    ['high memory', mmio(0xe_8000_0000, 0x1000), 2],
    ['ports', ports(0x2000, 16), 3],
  ];
  for (const [what, range, bar] of cases)
    test(`goes to its thread with the offset in its BAR, in ${what}`, () => {
      const { card, fetched, request, log } = placed();
      const client = card.barClient(bar, range);
      const bytes = Number(range.end - range.start) + 1;
      for (const offset of [0, 2, bytes - 4]) {
        const original = request(3, 9, range.start + BigInt(offset));
        Object.assign(original, { type: range.type, direction: Direction.WRITE, valueLow: 5, valueHigh: 6 });
        client.notify(original);
        const got = fetched(3);
        assert.ok(got);
        const { ticket, type, direction, size, valueLow, valueHigh } = got;
        assert.deepEqual(
          [ticket, type, direction, size, valueLow, valueHigh],
          [9, IoRequestType.MMIO, Direction.WRITE, 4, 5, 6],
        );
        assert.equal(got.addressHigh * 2 ** 32 + (got.addressLow >>> 0), barAddress(bar, offset));
      }
      for (const offset of [-1, bytes - 3, bytes]) {
        client.notify(request(3, 9, range.start + BigInt(offset)));
        assert.equal(fetched(3), undefined, `offset ${offset}`);
      }
      assert.deepEqual(log, Array(3).fill('answer 3: 9 -1 -1'));
    });

  test('is finished with the answer of its thread, behind the signals before it', async () => {
    const { card, fn, mailbox, link, request, log } = placed();
    card.bind(fn);
    await turns();
    const client = card.barClient(0, mmio(0, 16));
    client.notify(request(3, 9));
    client.notify(request(15, 10));
    // Announced before the signals, so that they would come last if the answers did not wait.
    mailbox.answer(3, 9, 1, 2);
    mailbox.answer(15, 10, 3, 4);
    link.takeEpoch();
    link.postMessage(7);
    await turns();
    assert.deepEqual(log, ['message 7', 'answer 3: 9 1 2', 'answer 15: 10 3 4']);
  });

  test('is finished also while the card has no function', async () => {
    const { card, mailbox, link, request, log } = placed();
    card.barClient(0, mmio(0, 16)).notify(request(3, 9));
    link.setLevel(true);
    mailbox.answer(3, 9, 1, 2);
    await turns();
    assert.deepEqual(log, ['answer 3: 9 1 2']);
  });
});

describe('a function and its card in another thread', () => {
  test('the card has the state of the function, from the beginning and after each change', () => {
    const { card, fn, link } = placed();
    card.bind(fn);
    assert.deepEqual([link.isBusMaster, link.hasMessages, link.isMsixEnabled], [true, true, true]);
    Object.assign(fn, { state: { ...STATE, isMsixEnabled: false } });
    fn.onConfigured();
    assert.equal(link.isMsixEnabled, false);
  });

  test('the function gets signals without an answer, and the event loop turns after each batch', async () => {
    const { card, fn, link, log, post } = placed();
    const hostTurns = mock.method(host, 'turn');
    link.abort();
    card.bind(fn);
    await turns();
    assert.deepEqual([log, hostTurns.mock.callCount()], [['aborted'], 1]);
    link.setLevel(true);
    await turns();
    assert.deepEqual([log, hostTurns.mock.callCount()], [['aborted', 'high'], 2]);
    post({ kind: 'report', message: 'needs a reset' });
    assert.equal(log.at(-1), 'report: needs a reset');
  });

  test('a doorbell reaches the card', () => {
    const { card, link, mailbox } = placed();
    card.rung(5);
    assert.equal(mailbox.takeControl(), MailboxControl.RUNG);
    const rung: number[] = [];
    link.takeRung((doorbell) => rung.push(doorbell));
    assert.deepEqual(rung, [5]);
  });

  test('a reload is for its thread', () => {
    const { card, mailbox } = placed();
    card.reload();
    assert.equal(mailbox.takeControl(), MailboxControl.RELOAD);
  });

  test('a reset and the removal end what the card may do', async () => {
    const { card, fn, link, mailbox, exit, lost } = placed();
    card.bind(fn);
    card.reset();
    assert.equal(mailbox.takeControl(), MailboxControl.RESET);
    assert.equal(link.isBusMaster, false);
    link.takeEpoch();
    fn.onConfigured();
    assert.equal(link.isBusMaster, true);
    const closed = card.close();
    assert.equal(mailbox.takeControl(), MailboxControl.CLOSE);
    assert.equal(link.isBusMaster, false);
    let isClosed = false;
    const noted = closed.then(() => (isClosed = true));
    await turns();
    assert.equal(isClosed, false, 'the thread has not ended');
    exit(0);
    await noted;
    assert.deepEqual(lost, []);
  });
});

describe('the end of the thread of a card', () => {
  /** Waits for signals so far. */
  function waits(): { readonly all: () => Promise<boolean>[] } {
    const wait = mock.method(CardLink.prototype, 'wait');
    return { all: () => wait.mock.calls.map(({ result }) => result as Promise<boolean>) };
  }

  test('before the card has a function is no loss', async () => {
    const { card, exit, lost } = placed();
    const ready = assert.rejects(card.ready, { code: 'DEVICE_MODULE_INVALID' });
    exit(5);
    await ready;
    await card.close();
    assert.deepEqual(lost, []);
  });

  test('by itself is reported, and nothing waits for its signals or its end', async () => {
    const { all } = waits();
    const { card, fn, exit, lost } = placed();
    card.ready.catch(() => undefined);
    card.bind(fn);
    exit(5);
    assert.deepEqual(lost, [['exit code 5 and no error', undefined]]);
    assert.deepEqual(await Promise.all(all()), [false]);
    await card.close();
  });

  test('by the removal ends the wait for signals', async () => {
    const { all } = waits();
    const { card, fn, exit } = placed();
    card.bind(fn);
    const closed = card.close();
    exit(0);
    await closed;
    assert.deepEqual(await Promise.all(all()), [false]);
  });
});
