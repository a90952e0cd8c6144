/**
 * DeviceMailbox: carries requests to a device in a thread of its own. It is shared memory with one
 * place for each slot, which holds a copy of the slot's request, and a pending word with a bit for
 * each copy that the thread has not taken.
 *
 * The copy has the request's ticket: the number of one assignment of the slot. Only the thread that
 * takes the ticket may finish the request (hsm/request-finisher.ts).
 *
 * Called by: ThreadClient (in-own-thread.ts) in the Service VM's thread, which posts requests and
 * control bits. device-thread.ts in the device's thread, which takes them. That thread finishes a
 * request in the page directly, with one exception: the answer to a relayed request goes back
 * through the mailbox, because the Service VM's thread may have to hold or alter it
 * (IoClient.relay).
 *
 * Ordering: a post stores the fields relaxed, then the ticket, then the pending bit, both
 * atomically. A thread that takes the bit therefore sees the fields. It may still read while the
 * next post changes them, so it loads them atomically and loads the ticket again. A processor that
 * lets the relaxed fields pass the store of ticket 0 can defeat that check, but not the one behind
 * it: the device's thread then compares the ticket with the HSM's own word. The HSM ended that
 * ticket before it found the slot PENDING again, which is when the next post began.
 */

import type { AssignedRequest } from '../../hsm/assigned-request.js';
import { SLOT_COUNT } from '../../io-request/layout.js';
import { loadFields, REQUEST_FIELD_WORDS, storeFields } from '../../io-request/request-fields.js';
import { AdaptiveSpin, MAX_EVENT_LOOP_SPIN_US } from '../../sync/adaptive-spin.js';
import { Doorbell, DOORBELL_WORDS } from '../../sync/doorbell.js';
import { OrderedPoll, type Poll } from '../../sync/poll.js';
import { SharedWords } from '../../sync/shared-words.js';

// Indices of words. The doorbell of the device's thread comes first.
/** Bit n: slot n's request is not taken yet. */
const PENDING = DOORBELL_WORDS;
/** MailboxControl bits that are not taken yet. */
const CONTROL = PENDING + 1;
/** The access that the device's thread is in: its vCPU + 1, or 0. */
const INSIDE = CONTROL + 1;
/** When that access began: the low 32 bits of Date.now(). */
const INSIDE_SINCE = INSIDE + 1;
/** Bit n: there is an answer to slot n's relayed request. Announced by the answer doorbell. */
const ANSWERED = INSIDE_SINCE + 1;
const ANSWER_DOORBELL = ANSWERED + 1;
const FIRST_REQUEST = ANSWER_DOORBELL + DOORBELL_WORDS;
// Indices within one request. Word 0 is its ticket, 0 while the fields change.
const FIELDS = 1;
/** 1 if the answer goes into the mailbox instead of the page. */
const IS_RELAYED = FIELDS + REQUEST_FIELD_WORDS;
const ANSWER_LOW = IS_RELAYED + 1;
const ANSWER_HIGH = ANSWER_LOW + 1;
/** The ticket of the answered request. 0 while the answer changes. */
const ANSWER_TICKET = ANSWER_HIGH + 1;
const REQUEST_WORDS = ANSWER_TICKET + 1;
const WORDS = FIRST_REQUEST + SLOT_COUNT * REQUEST_WORDS;

/**
 * What the Service VM's thread asks of the device's thread besides requests. RESET: call the
 * device's `reset`. CLOSE: close the device and end. PEEK: report the device's registers. RUNG:
 * doorbells of the card were rung. RELOAD: load the device's module anew.
 */
export const MailboxControl = { RESET: 1, CLOSE: 2, PEEK: 4, RUNG: 8, RELOAD: 16 } as const;

export class DeviceMailbox {
  readonly #words: SharedWords;
  readonly #doorbell: Doorbell;
  readonly #answerDoorbell: Doorbell;
  readonly #spin = new AdaptiveSpin({ maxUs: MAX_EVENT_LOOP_SPIN_US });
  /** Whether there are requests or control bits to take, for the device's thread. */
  readonly #work: Poll = {
    relaxed: () => (this.#words.loadRelaxed(PENDING) | this.#words.loadRelaxed(CONTROL)) !== 0,
    ordered: () => (this.#words.load(PENDING) | this.#words.load(CONTROL)) !== 0,
  };

  constructor(buffer?: SharedArrayBuffer) {
    this.#words = new SharedWords(buffer ?? WORDS);
    this.#doorbell = new Doorbell(this.#words.buffer);
    this.#answerDoorbell = new Doorbell(this.#words.buffer, ANSWER_DOORBELL);
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  /** In the Service VM's thread. The slot has no other request until this one is finished. */
  post(request: AssignedRequest, isRelayed = false): void {
    const at = FIRST_REQUEST + request.vcpu * REQUEST_WORDS;
    // No ticket while the fields change: the thread may still read the withdrawn request here.
    this.#words.store(at, 0);
    storeFields(this.#words, at + FIELDS, request);
    this.#words.storeRelaxed(at + IS_RELAYED, isRelayed ? 1 : 0);
    this.#words.store(at, request.ticket);
    this.#words.or(PENDING, 1 << request.vcpu);
    this.#doorbell.ring();
  }

  /** In the Service VM's thread. `bits`: MailboxControl. */
  control(bits: number): void {
    this.#words.or(CONTROL, bits);
    this.#doorbell.ring();
  }

  /** In the device's thread. Resolves with true when there is something to take. */
  wait(): Promise<boolean> {
    return this.#doorbell.waitAsync(this.#work, Infinity, this.#spin);
  }

  /** In the device's thread: the MailboxControl bits since the last call. */
  takeControl(): number {
    return this.#words.load(CONTROL) === 0 ? 0 : this.#words.exchange(CONTROL, 0);
  }

  /** In the device's thread. Bit n: `fetch` gives slot n's new request. */
  takePending(): number {
    return this.#words.exchange(PENDING, 0);
  }

  /**
   * In the device's thread: fills in `request`, of which only `vcpu` is read. Returns false if
   * another request is being posted in its place. The pending bit of that one follows.
   */
  fetch(request: AssignedRequest): boolean {
    const at = FIRST_REQUEST + request.vcpu * REQUEST_WORDS;
    request.ticket = this.#words.load(at);
    loadFields(this.#words, at + FIELDS, request);
    return request.ticket !== 0 && this.#words.load(at) === request.ticket;
  }

  /**
   * In the device's thread: the answer to a relayed request, as two int32 words. Returns false if
   * the request is not relayed, or no longer posted here. The answer carries its ticket: the next
   * request may be posted at any moment, and must not get the answer of a withdrawn one.
   */
  answer(vcpu: number, ticket: number, low: number, high: number): boolean {
    const at = FIRST_REQUEST + vcpu * REQUEST_WORDS;
    if (this.#words.load(at) !== ticket || this.#words.load(at + IS_RELAYED) === 0) return false;
    this.#words.store(at + ANSWER_TICKET, 0);
    this.#words.store(at + ANSWER_LOW, low);
    this.#words.store(at + ANSWER_HIGH, high);
    this.#words.store(at + ANSWER_TICKET, ticket);
    this.#words.or(ANSWERED, 1 << vcpu);
    this.#answerDoorbell.ring();
    return true;
  }

  /**
   * In the Service VM's thread. Resolves when there is an answer to take, or when `isOver` returns
   * true. A caller whose `isOver` has become true calls `wakeAnswers`.
   */
  async waitAnswer(isOver: () => boolean): Promise<void> {
    await this.#answerDoorbell.waitAsync(new OrderedPoll(() => this.#words.load(ANSWERED) !== 0 || isOver()));
  }

  wakeAnswers(): void {
    this.#answerDoorbell.ring();
  }

  /** In the Service VM's thread: calls `take` for each answer that arrived. */
  takeAnswers(take: (vcpu: number, ticket: number, low: number, high: number) => void): void {
    const bits = this.#words.exchange(ANSWERED, 0);
    for (let vcpu = 0; vcpu < SLOT_COUNT; vcpu++) {
      if ((bits & (1 << vcpu)) === 0) continue;
      const at = FIRST_REQUEST + vcpu * REQUEST_WORDS;
      const ticket = this.#words.load(at + ANSWER_TICKET);
      const low = this.#words.load(at + ANSWER_LOW);
      const high = this.#words.load(at + ANSWER_HIGH);
      // Otherwise the next answer is being stored there. Its bit follows.
      if (ticket !== 0 && this.#words.load(at + ANSWER_TICKET) === ticket) take(vcpu, ticket, low, high);
    }
  }

  /** In the device's thread, around each access. Relaxed, because only the operator reads it. */
  enter(vcpu: number): void {
    this.#words.storeRelaxed(INSIDE_SINCE, Date.now() | 0);
    this.#words.storeRelaxed(INSIDE, vcpu + 1);
  }

  leave(): void {
    this.#words.storeRelaxed(INSIDE, 0);
  }

  /** In the Service VM's thread: the access that the device's thread is in. */
  get inside(): { readonly vcpu: number; readonly ms: number } | undefined {
    const inside = this.#words.load(INSIDE);
    if (inside === 0) return undefined;
    return { vcpu: inside - 1, ms: (Date.now() - this.#words.load(INSIDE_SINCE)) >>> 0 };
  }

  /** Whether the request that was posted for `vcpu` is not taken yet. */
  isPending(vcpu: number): boolean {
    return (this.#words.load(PENDING) & (1 << vcpu)) !== 0;
  }
}
