/**
 * WordNames: names of the shared words of an ACRN world, for people who read a schedule. Called by:
 * model.ts.
 */

import { SLOT_BYTES, SLOT_OFFSET } from '../../io-request/layout.js';
import { stateName } from '../../io-request/state.js';
import { BUFFERS_PER_THREAD } from '../engine/machine/thread-life.js';
import type { WordNaming } from '../engine/model.js';
import type { StateSpace } from '../engine/search/state-space.js';
import { bufferId } from './buffer-id.js';
import type { World } from './world.js';

const FIELDS = new Map<number, string>(Object.entries(SLOT_OFFSET).map(([name, offset]) => [offset >> 2, name]));
const VM_STATES = ['POWERED_OFF', 'CREATED', 'RUNNING', 'PAUSED'];
const WORDS_PER_SLOT = SLOT_BYTES >> 2;
const STATE = SLOT_OFFSET.state >> 2;

export class WordNames implements WordNaming {
  readonly #space: StateSpace;
  readonly #upcall: number;
  readonly #names = new Map<number, (index: number) => string>();
  /** Buffers that are pages of slots, and those whose first word is the state of a VM. */
  readonly #pages = new Set<number>();
  readonly #states = new Set<number>();

  constructor({ vms, upcall }: World, space: StateSpace) {
    this.#space = space;
    this.#upcall = bufferId(upcall);
    const id = bufferId;
    vms.forEach(({ page, shared, mailboxes }, vm) => {
      const of = vms.length > 1 ? ` of VM ${vm}` : '';
      this.#pages.add(id(page));
      this.#states.add(id(shared.words));
      this.#names.set(id(page), (index) => {
        const field = FIELDS.get(index % WORDS_PER_SLOT) ?? `word ${index % WORDS_PER_SLOT}`;
        return `slot ${Math.floor(index / WORDS_PER_SLOT)}${of} ${field}`;
      });
      this.#names.set(id(shared.words), (index) => `VM${of} ${index === 0 ? 'state' : `word ${index}`}`);
      this.#names.set(id(shared.msis), (index) => `messages${of} ${index}`);
      this.#names.set(id(shared.lines), (index) => `interrupt lines${of} ${index}`);
      this.#names.set(id(shared.asyncIo.words), (index) => `asynchronous I/O${of} ${index}`);
      mailboxes.forEach((mailbox, client) =>
        this.#names.set(id(mailbox), (index) => `mailbox of client ${client}${of} ${index}`),
      );
    });
  }

  /** Words of a slot beside its state: only its owner uses them. */
  isMinor(buffer: number, index: number): boolean {
    return this.#pages.has(buffer) && index % WORDS_PER_SLOT !== STATE;
  }

  name(buffer: number, index: number): string {
    // A doorbell is two words: the count of rings, and whether its waiter is about to park.
    const bell = this.#bell(buffer, index) ?? this.#bell(buffer, index - 1);
    if (bell !== undefined) return `${bell} ${this.#bell(buffer, index) === undefined ? 'asleep' : 'rings'}`;
    const name = this.#names.get(buffer);
    if (name !== undefined) return name(index);
    // The Service VM's thread makes one buffer: the ticket words.
    const isOfServiceVm = buffer >= BUFFERS_PER_THREAD && buffer < 2 * BUFFERS_PER_THREAD;
    return isOfServiceVm ? `ticket ${index}` : `memory ${buffer}, word ${index}`;
  }

  value(buffer: number, index: number, value: number): string {
    if (this.#pages.has(buffer) && index % WORDS_PER_SLOT === STATE) return stateName(value);
    if (this.#states.has(buffer) && index === 0) return VM_STATES[value] ?? String(value);
    return value > 99 ? `0x${value.toString(16)}` : String(value);
  }

  /** The doorbell whose count of rings a word is. */
  #bell(buffer: number, index: number): string | undefined {
    // The engine has found out which words are event counts. Here those are the doorbells.
    const count = this.#space.eventCounts.find((one) => one.buffer === buffer && one.index === index);
    if (count === undefined) return undefined;
    // Thread 0, the Service VM's, waits by a word of a VM's state only while it pauses the VM.
    if (this.#states.has(buffer) && count.thread === 0) return 'pausing side';
    return buffer === this.#upcall ? 'upcall' : `doorbell of ${this.#space.nameOf(count.thread)}`;
  }
}
