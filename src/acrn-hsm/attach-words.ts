/**
 * AttachWords: the shared words on which a thread of ACRN userspace waits for the default client's
 * requests. They carry the ioctl ATTACH_IOREQ_CLIENT, which blocks until there is a request.
 *
 * Called by: UserspaceClient in the Service VM's thread, UserspaceThread in the thread that blocks.
 *
 * Threads: the Service VM's thread writes the ticket of each slot that it assigns to the client.
 * One other thread parks until one of these tickets is current. (A ticket is the number of one
 * assignment of a slot. It is current while the HSM's own ticket word of the slot holds it, so
 * while the request is not finished: hsm/request-finisher.ts.)
 */

import { Doorbell, DOORBELL_WORDS } from '../sync/doorbell.js';
import { AdaptiveSpin } from '../sync/adaptive-spin.js';
import type { Poll } from '../sync/poll.js';
import { SLOT_COUNT } from '../io-request/layout.js';
import { SharedWords } from '../sync/shared-words.js';

// Indices of words.
/** 1: the client is removed. */
const DESTROYED = DOORBELL_WORDS;
/** The first slot's ticket. The other slots' follow. */
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

  /** The ticket of slot `vcpu`'s last request. 0: the client never had one there. */
  ticket(vcpu: number): number {
    return this.#words.load(TICKETS + vcpu);
  }

  /** In the Service VM's thread: publishes a request. */
  give(vcpu: number, ticket: number): void {
    this.#words.store(TICKETS + vcpu, ticket);
    this.#doorbell.ring();
  }

  get isDestroyed(): boolean {
    return this.#words.load(DESTROYED) !== 0;
  }

  /** In the Service VM's thread: the client is removed, and waiting is over. */
  destroy(): void {
    this.#words.store(DESTROYED, 1);
    this.#doorbell.ring();
  }

  /**
   * Blocks this thread until `poll` succeeds (true) or the time is over (false). Only one thread
   * may wait for a client.
   */
  wait(poll: Poll, timeoutMs: number): boolean {
    return this.#doorbell.wait(poll, timeoutMs, this.#spin);
  }
}
