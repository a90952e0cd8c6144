/** The thread of a PCI card, with a test in the place of its ThreadCard. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { host } from '../../host/current.js';
import type { HostThread } from '../../host/host.js';
import { AssignedRequest } from '../../hsm/assigned-request.js';
import { GuestMemory } from '../../hypervisor/guest-memory.js';
import { VmSharedState } from '../../hypervisor/vm-shared-state.js';
import { Direction, IoRequestType } from '../../io-request/layout.js';
import { SharedWords } from '../../sync/shared-words.js';
import { CardLink } from './card-link.js';
import { DeviceMailbox, MailboxControl } from './device-mailbox.js';
import type { DeviceThreadData, DeviceThreadMessage } from './device-thread.js';
import { WORKER, WORKER_WORDS } from './fixtures/worker-card.js';
import { BAR_SPACE, barAddress } from './linked-card.js';

const { READ, WRITE } = Direction;
const CARD = new URL('./fixtures/worker-card.js', import.meta.url);
/** A device, and not a card. */
const COUNTER = new URL('./fixtures/read-counter.js', import.meta.url);
const ADDRESS = { bus: 0, device: 5, function: 0 };
const RAM = 0x4000;

/** The Service VM's end of a card's thread. */
class Owner {
  readonly link = new CardLink();
  readonly mailbox = new DeviceMailbox();
  readonly messages: DeviceThreadMessage[] = [];
  readonly memory = new GuestMemory({ buffer: new SharedArrayBuffer(RAM), byteOffset: 0, byteLength: RAM });
  readonly #tickets = new SharedWords(16);
  readonly #thread: HostThread;
  readonly ended: Promise<number>;
  /** Called with each message. */
  #onMessage: () => void = () => undefined;
  #lastTicket = 0;

  constructor(options: unknown, module = CARD, isReloadable = false) {
    const shared = new VmSharedState();
    const data: DeviceThreadData = {
      module: module.href,
      options,
      range: BAR_SPACE,
      mailbox: this.mailbox.buffer,
      memory: this.memory.handle,
      lineDriver: 4,
      finisher: { page: new SharedArrayBuffer(4096), tickets: this.#tickets.buffer, shared: shared.handle },
      isReloadable,
      ...(module === CARD ? { card: { address: ADDRESS, link: this.link.buffer } } : {}),
    };
    let end: (code: number) => void = () => undefined;
    this.ended = new Promise((resolve) => (end = resolve));
    this.#thread = host.startThread(new URL('./device-thread.js', import.meta.url), {
      name: 'a card',
      data,
      onMessage: (message) => {
        this.messages.push(message as DeviceThreadMessage);
        this.#onMessage();
      },
      onError: (error) => this.messages.push({ kind: 'failed', message: `not caught: ${error.message}` }),
      onExit: (code) => end(code),
    });
  }

  /** The messages of a kind so far. */
  of<K extends DeviceThreadMessage['kind']>(kind: K): (DeviceThreadMessage & { readonly kind: K })[] {
    return this.messages.filter((message) => message.kind === kind) as (DeviceThreadMessage & { readonly kind: K })[];
  }

  /** The first message of a kind, or the `n`th. */
  async message<K extends DeviceThreadMessage['kind']>(
    kind: K,
    n = 1,
  ): Promise<DeviceThreadMessage & { readonly kind: K }> {
    for (;;) {
      const found = this.of(kind)[n - 1];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (this.#onMessage = resolve));
    }
  }

  /** The answer to an access of vCPU 2, which comes back through the mailbox. */
  async access(direction: number, offset: number, value = 0, bar = 0): Promise<number> {
    const address = barAddress(bar, offset);
    const request = Object.assign(new AssignedRequest(2, { finish: () => false }), {
      ticket: ++this.#lastTicket,
      type: IoRequestType.MMIO,
      direction,
      size: 4,
      addressLow: address | 0,
      addressHigh: Math.floor(address / 2 ** 32),
      valueLow: value,
    });
    this.#tickets.store(2, request.ticket);
    this.mailbox.post(request, true);
    let answer: number | undefined;
    while (answer === undefined) {
      await this.mailbox.waitAnswer(() => false);
      this.mailbox.takeAnswers((vcpu, ticket, low) => {
        assert.deepEqual([vcpu, ticket], [2, this.#lastTicket]);
        answer = low;
      });
    }
    return answer;
  }

  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }
}

/** Runs `act` with a card that is created. */
async function withCard(act: (owner: Owner, words: SharedWords) => Promise<void>): Promise<void> {
  const words = new SharedWords(WORKER_WORDS.COUNT);
  const owner = new Owner({ words: words.buffer });
  // What waits for shared words keeps no process alive.
  const keepAlive = setInterval(() => undefined, 1000);
  try {
    await owner.message('ready');
    await act(owner, words);
  } finally {
    clearInterval(keepAlive);
    await owner.terminate();
  }
}

describe('the thread of a card', { timeout: 120_000 }, () => {
  test('says what the card is, and answers at each BAR through its mailbox', () =>
    withCard(async (owner) => {
      const { name, registers, card } = await owner.message('ready');
      assert.equal(name, 'worker');
      assert.equal(registers?.registers[0]?.name, 'SOURCE');
      assert.deepEqual([card?.pci.device, card?.doorbells], [0x0c0c, [{ bar: 0, offset: WORKER.BELL }]]);
      await owner.access(WRITE, WORKER.SOURCE, 0x1234);
      assert.equal(await owner.access(READ, WORKER.SOURCE), 0x1234);
      assert.equal(await owner.access(READ, 8, 0, 3), 0x30_0084);
      assert.deepEqual(owner.of('registers'), [], 'none was asked for');
      owner.mailbox.control(MailboxControl.PEEK);
      assert.deepEqual((await owner.message('registers')).values, [0x1234]);
    }));

  test('reports for the card, and its errors', () =>
    withCard(async (owner) => {
      await owner.access(WRITE, WORKER.WRONG, 6);
      assert.equal((await owner.message('report')).message, 'got 6');
      assert.equal(await owner.access(READ, WORKER.WRONG), -1);
      const { during, message } = await owner.message('error');
      assert.deepEqual([during, message], ['read', 'no such register']);
    }));

  test('calls it for its doorbells, and has the RAM and the link', () =>
    withCard(async (owner) => {
      owner.link.setState({ isBusMaster: true, hasMessages: true, isMsixEnabled: true });
      owner.link.ring(0);
      owner.mailbox.control(MailboxControl.RUNG);
      await owner.link.wait();
      const got: string[] = [];
      const receiver = {
        setLevel: (high: boolean) => got.push(`level ${high}`),
        message: (vector: number) => got.push(`message ${vector}`),
        aborted: () => got.push('aborted'),
      };
      owner.link.deliver(receiver);
      assert.deepEqual(got, ['message 1']);
      owner.memory.writeU8(0x1000, 7);
      await owner.access(WRITE, WORKER.SOURCE, 0x1000);
      await owner.access(WRITE, WORKER.TARGET, 0x2000);
      await owner.access(WRITE, WORKER.COPY, 1);
      assert.equal(owner.memory.readU8(0x2000), 7);
      owner.link.deliver(receiver);
      assert.deepEqual(got, ['message 1', 'message 0']);
    }));

  test('resets it, and ends when what it has to write is written', () =>
    withCard(async (owner, words) => {
      await owner.access(WRITE, WORKER.SOURCE, 5);
      owner.mailbox.control(MailboxControl.RESET);
      assert.equal(await owner.access(READ, WORKER.SOURCE), 0);
      owner.mailbox.control(MailboxControl.RESET | MailboxControl.CLOSE);
      assert.equal(await owner.ended, 0);
      assert.deepEqual([words.load(WORKER_WORDS.RESETS), words.load(WORKER_WORDS.CLOSED)], [2, 1]);
      assert.deepEqual(
        owner.messages.map(({ kind }) => kind),
        ['loaded', 'ready', 'closing'],
      );
    }));

  test('reports a promise of `close` that rejects', () =>
    withCard(async (owner, words) => {
      words.store(WORKER_WORDS.FAILS, 1);
      owner.mailbox.control(MailboxControl.CLOSE);
      assert.equal(await owner.ended, 0);
      const { during, message } = await owner.message('error');
      assert.deepEqual([during, message], ['close', 'the disk is full']);
    }));
});

test('a device whose `close` gives no promise does not announce one', { timeout: 120_000 }, async () => {
  const owner = new Owner({ start: 1 }, COUNTER);
  await owner.message('ready');
  owner.mailbox.control(MailboxControl.CLOSE);
  assert.equal(await owner.ended, 0);
  assert.deepEqual(
    owner.messages.map(({ kind }) => kind),
    ['loaded', 'line', 'ready'],
  );
});

for (const [what, module] of [
  ['card', CARD],
  ['device', COUNTER],
] as const)
  test(`a ${what} is loaded anew when it is asked for, and not before`, { timeout: 120_000 }, async () => {
    const words = new SharedWords(WORKER_WORDS.COUNT);
    const owner = new Owner({ words: words.buffer, start: 1 }, module, true);
    const keepAlive = setInterval(() => undefined, 1000);
    await owner.message('ready');
    const { files, isComplete } = await owner.message('files');
    assert.deepEqual([files.includes(fileURLToPath(module)), isComplete], [true, true]);
    // Twice: a load that the first began ends before the second, or is repeated after it.
    for (const peeks of [1, 2]) {
      owner.mailbox.control(MailboxControl.PEEK);
      await owner.message('registers', peeks);
    }
    assert.deepEqual(owner.of('reload'), []);
    owner.mailbox.control(MailboxControl.RELOAD);
    const { outcome } = await owner.message('reload');
    assert.equal(outcome.kind, 'reloaded');
    assert.deepEqual([owner.of('files').length, owner.of('registers').length], [2, 2]);
    clearInterval(keepAlive);
    await owner.terminate();
  });
