/**
 * The parts of the target "vfio": a client whose messages an input decides, and numbers in place of
 * descriptors and mappings, which count what is left.
 *
 * Called by: vfio-messages.ts, and CardServer as by a real client and a real host.
 */

import type { DescriptorStream, StreamPart } from '../../host/descriptor-streams.js';
import type { EventFds } from '../../host/event-fds.js';
import type { MemoryArena } from '../../host/memory-arena.js';
import { Bytes, Command, HEADER_BYTES, HeaderFlag } from '../../vfio-user/protocol.js';
import { expect } from '../fuzz-target.js';
import type { FuzzInput } from '../fuzz-input.js';

const ARENA_BYTES = 0x4_0000;
const COMMANDS = [...Object.values(Command), 0, 6, 14, 15, 0xffff];
export const WORDS = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 20, 0x10, 0x24, 0x3c, 0x1000, 0x2000, 0x4_0000, 0x7fff_ffff, 0xffff_ffff,
];
/** Descriptors from here on are no eventfds. */
const FILES = 1 << 16;

export class FuzzClient implements DescriptorStream {
  readonly pid = undefined;
  onReadable: () => void = () => undefined;
  isClosed = false;
  readonly sent: Uint8Array<ArrayBuffer>[] = [];
  readonly #input: FuzzInput;
  readonly #events: CountedDescriptors;
  readonly #parts: StreamPart[] = [];
  /** Ids with and without the wish for a reply. */
  readonly #posted: number[] = [];
  #isGone = false;
  #isGarbled = false;

  constructor(input: FuzzInput, events: CountedDescriptors) {
    this.#input = input;
    this.#events = events;
  }

  receive(): StreamPart | 'closed' | undefined {
    return this.#parts.shift() ?? (this.#isGone ? 'closed' : undefined);
  }

  /** The card waits for the answer to its DMA. */
  wait(): void {
    const kind = this.#input.below(8);
    const last = this.sent.at(-1) as Uint8Array<ArrayBuffer>;
    const id = new DataView(last.buffer).getUint16(0, true);
    const command = last[2] as number;
    const count = new DataView(last.buffer).getUint32(HEADER_BYTES + 8, true);
    if (kind === 0 || this.#input.isEmpty) this.#isGone = true;
    else if (kind === 1) this.command();
    else {
      const length = Bytes.TRANSFER + (command === Command.DMA_READ ? count : 0) - (kind === 2 ? 1 : 0);
      const flags = HeaderFlag.REPLY | (kind === 3 ? HeaderFlag.ERROR : 0);
      this.#add(message(kind === 4 ? id + 1 : id, command, new Uint8Array(length), flags), []);
    }
  }

  send(bytes: Uint8Array): boolean {
    expect(!this.isClosed, 'sends after the end');
    this.sent.push(Uint8Array.from(bytes));
    return this.#isGarbled || this.#input.below(256) < 255;
  }

  close(): void {
    this.isClosed = true;
  }

  die(): void {
    this.#isGone = true;
    this.onReadable();
  }

  raw(bytes: Uint8Array): void {
    this.#isGarbled = true;
    this.#add(bytes, this.#descriptors());
    this.onReadable();
  }

  /** A command with an argument that has the right length more often than not. */
  command(): void {
    const input = this.#input;
    const command = input.pick(COMMANDS);
    const length = input.below(4) === 0 ? input.below(80) : lengthOf(command) + input.pick([0, 0, 1, 4, 8]);
    const payload = new DataView(new ArrayBuffer(length));
    for (let at = 0; at + 4 <= length; at += 4) payload.setUint32(at, input.word(WORDS), true);
    this.post(command, new Uint8Array(payload.buffer), input.below(8) === 0 ? HeaderFlag.NO_REPLY : 0);
  }

  post(command: number, payload: Uint8Array, flags = 0): void {
    const id = this.#posted.push(flags) - 1;
    this.#add(message(id, command, payload, flags), this.#descriptors());
    this.onReadable();
  }

  /** Ids are those of the commands, in their order. */
  expectAnswers(): void {
    if (this.#isGarbled) return;
    const answered = new Set<number>();
    for (const bytes of this.sent) {
      const view = new DataView(bytes.buffer);
      if ((view.getUint32(8, true) & HeaderFlag.TYPE_MASK) === 0) continue;
      const id = view.getUint16(0, true);
      expect(this.#posted[id] === 0, () => `message ${id} wants no reply`);
      expect(!answered.has(id), () => `message ${id} has two replies`);
      expect(view.getUint32(4, true) === bytes.length, 'the size in its header is wrong');
      answered.add(id);
    }
  }

  #descriptors(): number[] {
    const count = this.#input.below(32);
    return count > 18 ? [] : Array.from({ length: count }, () => this.#events.create(this.#input.below(8) === 0));
  }

  #add(bytes: Uint8Array, descriptors: readonly number[]): void {
    this.#parts.push({ bytes, descriptors, mayHaveMore: true });
  }
}

function lengthOf(command: number): number {
  if (command === Command.DMA_MAP) return Bytes.DMA_MAP;
  if (command === Command.DMA_UNMAP) return Bytes.DMA_UNMAP;
  if (command === Command.GET_REGION_INFO) return Bytes.REGION_INFO;
  return command === Command.SET_IRQS ? Bytes.IRQ_SET : Bytes.TRANSFER;
}

function message(id: number, command: number, payload: Uint8Array, flags: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, command, true);
  view.setUint32(4, bytes.length, true);
  view.setUint32(8, flags, true);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** Numbers in place of descriptors. */
export class CountedDescriptors implements EventFds {
  readonly #open = new Set<number>();
  #next = 0;

  begin(): void {
    this.#open.clear();
    this.#next = 0;
  }

  create(isFile = false): number {
    const descriptor = this.#next++ + (isFile ? FILES : 0);
    this.#open.add(descriptor);
    return descriptor;
  }

  expectAllClosed(): void {
    expect(this.#open.size === 0, () => `open descriptors: ${[...this.#open].join()}`);
  }

  identify(): { readonly id: string } {
    return { id: '' };
  }

  adopt(fd: number): boolean {
    return fd < FILES;
  }

  isReadable(): boolean {
    return false;
  }

  readableOf(): number[] {
    return [];
  }

  read(): bigint {
    return 0n;
  }

  write(fd: number): void {
    expect(this.#open.has(fd) && fd < FILES, 'a signal to what is no open eventfd');
  }

  close(fd: number): void {
    expect(this.#open.delete(fd), 'closes what is not open');
  }

  poll(): { close(): void } {
    return { close: () => undefined };
  }
}

export class FuzzArena implements MemoryArena {
  readonly buffer = new SharedArrayBuffer(ARENA_BYTES);
  mapped = 0;

  begin(): void {
    this.mapped = 0;
  }

  map(offset: number, length: number): boolean {
    if (offset % 4096 !== 0 || length % 4096 !== 0 || offset + length > ARENA_BYTES) return false;
    this.mapped += length;
    return true;
  }

  unmap(_offset: number, length: number): void {
    this.mapped -= length;
  }
}
