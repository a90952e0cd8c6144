/**
 * Target "vfio": a client of vfio-user that sends messages of any command, size and argument,
 * broken headers, descriptors of any kind and in any number, answers to DMA or none, and that dies
 * at any moment. The card answers at once or later, and does DMA and sends interrupts.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: nothing throws. Each command that wants a reply gets one at most, and none comes
 * unasked. Each descriptor is closed once. After the client's end nothing of it is left, and the
 * next client finds the card as after power-on.
 */

import type { AccessSize } from '../../device-model/device.js';
import type { CardHandle, PciCard } from '../../device-model/pci/pci-card.js';
import { CardServer } from '../../vfio-user/card-server.js';
import { Bytes, Command, HEADER_BYTES, Region } from '../../vfio-user/protocol.js';
import { expect, within, type FuzzTarget, type OpenTarget } from '../fuzz-target.js';
import { FuzzInput } from '../fuzz-input.js';
import { CountedDescriptors, FuzzArena, FuzzClient, WORDS } from './vfio-client.js';

const LIMIT_MS = 45_000;

export const vfioMessages: FuzzTarget = {
  name: 'vfio',
  about: 'messages of a vfio-user client',
  maxBytes: 1024,
  open,
};

async function open(): Promise<OpenTarget> {
  const card = new FuzzCard();
  const events = new CountedDescriptors();
  const arena = new FuzzArena();
  const server = await CardServer.create({
    card,
    vm: {},
    onVm: () => undefined,
    report: () => undefined,
    arena,
    events,
    // A machine that is busy must not change what a turn of the event loop handles.
    now: () => 0,
  });
  return {
    run: (bytes) => run(new FuzzInput(bytes), { server, card, events, arena }),
    close: () => server.close(),
  };
}

interface Parts {
  readonly server: CardServer;
  readonly card: FuzzCard;
  readonly events: CountedDescriptors;
  readonly arena: FuzzArena;
}

async function run(input: FuzzInput, { server, card, events, arena }: Parts): Promise<void> {
  events.begin();
  arena.begin();
  const client = new FuzzClient(input, events);
  card.client = client;
  server.connect(client);
  await within(LIMIT_MS, 'the reset before it', server.ready);
  if (input.below(8) > 0) client.post(Command.VERSION, new Uint8Array(Bytes.VERSION));
  while (!input.isEmpty && !client.isClosed) {
    const kind = input.below(16);
    if (kind === 0) await new Promise((resolve) => setImmediate(resolve));
    else if (kind === 1) card.settle();
    else if (kind === 2) card.act(input);
    else if (kind === 3) client.raw(rest(input));
    else client.command();
  }
  card.settle();
  client.die();
  await within(LIMIT_MS, 'the reset after it', server.ready);
  await new Promise((resolve) => setImmediate(resolve));
  card.client = undefined;
  expect(client.isClosed, 'its stream is open');
  expect(server.memory.regions.length === 0, 'regions are left');
  expect(arena.mapped === 0, 'bytes are mapped');
  events.expectAllClosed();
  client.expectAnswers();
  const after = new FuzzClient(new FuzzInput(new Uint8Array()), events);
  server.connect(after);
  await within(LIMIT_MS, 'the reset before the last client', server.ready);
  after.post(Command.VERSION, new Uint8Array(Bytes.VERSION));
  const identity = new DataView(new ArrayBuffer(Bytes.TRANSFER));
  identity.setUint32(8, Region.CONFIG, true);
  identity.setUint32(12, 4, true);
  after.post(Command.REGION_READ, new Uint8Array(identity.buffer));
  const answer = after.sent.at(-1);
  expect(
    answer !== undefined && new DataView(answer.buffer).getUint32(HEADER_BYTES + 16, true) === 0x0002_1234,
    'no card',
  );
  after.die();
  await within(LIMIT_MS, 'the last reset', server.ready);
}

function rest(input: FuzzInput): Uint8Array {
  return Uint8Array.from({ length: input.below(64) }, () => input.u8());
}

class FuzzCard implements PciCard {
  readonly name = 'fuzz-card';
  readonly pci = {
    vendor: 0x1234,
    device: 2,
    class: 0xff_00_00,
    bars: [
      { type: 'memory', size: 0x1000 },
      { type: 'ports', size: 16 },
    ],
    msi: 2,
    msix: 2,
    interruptPin: 'A',
  } as const;
  client: FuzzClient | undefined;
  #handle: CardHandle | undefined;
  #settle: (() => void)[] = [];

  connect(handle: CardHandle): void {
    this.#handle = handle;
  }

  read(bar: number, offset: number, size: AccessSize): number | Promise<number> {
    expect(offset >= 0 && offset + size <= (this.pci.bars[bar]?.size ?? 0), 'a read outside of its BAR');
    if (offset < 0x20) return offset;
    return new Promise((resolve) => this.#settle.push(() => resolve(offset)));
  }

  write(bar: number, offset: number, size: AccessSize, value: number): void | Promise<void> {
    expect(offset >= 0 && offset + size <= (this.pci.bars[bar]?.size ?? 0), 'a write outside of its BAR');
    if (bar === 0 && offset === 8) this.#handle?.dma.read(value, 8);
    if (bar === 0 && offset === 12) this.#handle?.dma.write(value, new Uint8Array(8));
    if (offset < 0x20) return undefined;
    return new Promise((resolve) => this.#settle.push(() => resolve()));
  }

  /** What a card does at any time. */
  act(input: FuzzInput): void {
    const handle = this.#handle;
    const kind = input.below(5);
    if (kind === 0) handle?.interrupt(input.below(2));
    else if (kind === 1) handle?.raise();
    else if (kind === 2) handle?.lower();
    else if (kind === 3) handle?.dma.read(input.word(WORDS), input.below(64));
    else handle?.dma.write(input.word(WORDS), new Uint8Array(input.below(64)));
  }

  settle(): void {
    for (const settle of this.#settle.splice(0)) settle();
  }
}
