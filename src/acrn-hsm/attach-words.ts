/**
 * AttachWords: the shared words on which a thread of ACRN userspace waits for the default client's
 * requests.
 *
 * Threads: the Service VM's thread writes the ticket of each slot that it assigns to the client.
 * One other thread sleeps until one of these tickets is current.
 */

import { Doorbell, DOORBELL_WORDS } from '../sync/doorbell.js';
import { AdaptiveSpin } from '../sync/adaptive-spin.js';
import type { Poll } from '../sync/poll.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { SharedWords } from '../sync/shared-words.js';

const DESTROYED = DOORBELL_WORDS;
const TICKETS = DESTROYED + 1;
const WORDS = TICKETS + SLOT_COUNT;

export class AttachWords {
  readonly #words: SharedWords;
  readonly #doorbell: Doorbell;
  readonly #spin = new AdaptiveSpin();

  constructor(buffer?: SharedArrayBuffer) {
    this.#words = new SharedWords(buffer ?? WORDS);
    this.#doorbell = new Doorbell(this.#words.buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /**
   * The ticket of slot `vcpu`'s last request; it is pending while the HSM's word holds the same.
   */
  ticket(vcpu: number): number {
    return this.#words.load(TICKETS + vcpu);
  }

  give(vcpu: number, ticket: number): void {
    this.#words.store(TICKETS + vcpu, ticket);
    this.#doorbell.ring();
  }

  get isDestroyed(): boolean {
    return this.#words.load(DESTROYED) !== 0;
  }

  destroy(): void {
    this.#words.store(DESTROYED, 1);
    this.#doorbell.ring();
  }

  /**
   * Blocks this thread until there is work (true) or the time is over (false). One waiting thread
   * for each client.
   */
  wait(poll: Poll, timeoutMs: number): boolean {
    return this.#doorbell.wait(poll, timeoutMs, this.#spin);
  }
}
