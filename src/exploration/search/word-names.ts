/** Names of shared words, for people who read a schedule. */

import { SLOT_BYTES, SLOT_OFFSET } from '../../io-request/layout.js';
import { stateName } from '../../io-request/state.js';
import type { SharedMemory } from '../machine/shared-memory.js';
import type { ExploredWorld } from './explored-world.js';

const FIELDS = new Map<number, string>(Object.entries(SLOT_OFFSET).map(([name, offset]) => [offset >> 2, name]));
const VM_STATES = ['POWERED_OFF', 'CREATED', 'RUNNING', 'PAUSED'];
const WORDS_PER_SLOT = SLOT_BYTES >> 2;
const STATE = SLOT_OFFSET.state >> 2;

export class WordNames {
  readonly #world: ExploredWorld;
  readonly #names = new Map<number, (index: number) => string>();
  readonly #pages = new Set<number>();
  readonly #states = new Set<number>();

  constructor(world: ExploredWorld) {
    this.#world = world;
    const id = (buffer: unknown): number => (buffer as SharedMemory).id;
    world.world.vms.forEach(({ page, shared, mailboxes }, vm) => {
      const of = world.plan.vmCount > 1 ? ` of VM ${vm}` : '';
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

  /** Whether a word is a slot's beside its state: its owner's alone. */
  isInsideSlot(buffer: number, index: number): boolean {
    return this.#pages.has(buffer) && index % WORDS_PER_SLOT !== STATE;
  }

  name(buffer: number, index: number): string {
    const bell = this.#bell(buffer, index) ?? this.#bell(buffer, index - 1);
    if (bell !== undefined) return `${bell} ${this.#bell(buffer, index) === undefined ? 'asleep' : 'rings'}`;
    const name = this.#names.get(buffer);
    if (name !== undefined) return name(index);
    return buffer >= 1000 && buffer < 2000 ? `ticket ${index}` : `memory ${buffer}, word ${index}`;
  }

  value(buffer: number, index: number, value: number): string {
    if (this.#pages.has(buffer) && index % WORDS_PER_SLOT === STATE) return stateName(value);
    if (this.#states.has(buffer) && index === 0) return VM_STATES[value] ?? String(value);
    return value > 99 ? `0x${value.toString(16)}` : String(value);
  }

  /** Whose doorbell a word is. */
  #bell(buffer: number, index: number): string | undefined {
    const { space, world } = this.#world;
    const at = space.placeNames.findIndex((name) => name.buffer === buffer && name.index === index);
    const waiter = at < 0 ? undefined : space.uses.waiterOf(space.firstPlace + at);
    if (waiter === undefined) return undefined;
    if (this.#states.has(buffer) && waiter === 0) return 'pausing side';
    if ((world.upcall as unknown as SharedMemory).id === buffer) return 'upcall';
    return `doorbell of ${space.threads[waiter]?.name}`;
  }
}
