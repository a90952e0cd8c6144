/**
 * CardLink: shared words between a card in a thread of its own and its function, which stays in the
 * Service VM's thread with configuration space, the MSI-X table and the interrupt pin. Requests
 * and answers go through the mailbox (device-mailbox.ts). Here are the signals.
 *
 * - From the function: whether the card is a bus master, and the kind of its interrupts. Doorbells
 *   that were rung.
 * - From the card: messages, the level of its pin, DMA that found no memory.
 *
 * A reset begins a new epoch. Until the card's thread has taken the reset, its DMA and interrupts
 * are those of the former epoch and go nowhere, however long it computes.
 *
 * Called by: ThreadCard (thread-card.ts) in the Service VM's thread, LinkedCard (linked-card.ts) in
 * the card's.
 *
 * Signals are bits, so there is no queue and no overflow: several signals of one kind between two
 * polls are one, as several messages of one vector in a local APIC are. The pin remembers that it
 * rose, so a pulse is not lost.
 */

import { Doorbell, DOORBELL_WORDS } from '../../sync/doorbell.js';
import { OrderedPoll } from '../../sync/poll.js';
import { SharedWords } from '../../sync/shared-words.js';
import { MAX_MSIX_VECTORS } from '../pci/card-description.js';
import type { CardState } from '../pci/card-function.js';

// Indices of words. The doorbell of the Service VM's thread comes first.
/** The epoch above the bits of State. */
const STATE = DOORBELL_WORDS;
/** The epoch above the bits of Pin. */
const PIN = STATE + 1;
/** 1: DMA found no memory. */
const ABORTED = PIN + 1;
/** How many DMA accesses were refused. */
const REFUSED = ABORTED + 1;
/** 1: there are bits in the words of the vectors. */
const HAS_VECTORS = REFUSED + 1;
const VECTORS = HAS_VECTORS + 1;
const VECTOR_WORDS = MAX_MSIX_VECTORS / 32;
const RUNG = VECTORS + VECTOR_WORDS;
/** Doorbells of a card in a thread. Further ones are registers like others. */
export const MAX_LINKED_DOORBELLS = 64;
const RUNG_WORDS = MAX_LINKED_DOORBELLS / 32;
const WORDS = RUNG + RUNG_WORDS;

const State = { BUS_MASTER: 1, MESSAGES: 2, MSIX: 4 } as const;
const STATE_BITS = 3;
const Pin = { HIGH: 1, ROSE: 2 } as const;
const PIN_BITS = 2;
/** Bits of an epoch, so that it fits above the bits of both words. */
const EPOCH_MASK = 2 ** (31 - STATE_BITS) - 1;

/** What the function does with the signals of its card. */
export interface LinkReceiver {
  setLevel(high: boolean): void;
  message(vector: number): void;
  aborted(): void;
}

export class CardLink {
  readonly #words: SharedWords;
  readonly #doorbell: Doorbell;
  /** Whether there is a signal of the card. */
  readonly #signals = new OrderedPoll(() => this.#isOver || this.#hasSignals);
  /** The card's level, as the function has it. In the Service VM's thread. */
  #isHigh = false;
  #isOver = false;
  /** The epoch of the card's last reset. In the card's thread. */
  #cardEpoch = 0;

  constructor(buffer?: SharedArrayBuffer) {
    this.#words = new SharedWords(buffer ?? WORDS);
    this.#doorbell = new Doorbell(this.#words.buffer);
  }

  get buffer(): SharedArrayBuffer {
    return this.#words.buffer;
  }

  // In the Service VM's thread.

  setState({ isBusMaster, hasMessages, isMsixEnabled }: CardState): void {
    const bits =
      (isBusMaster ? State.BUS_MASTER : 0) | (hasMessages ? State.MESSAGES : 0) | (isMsixEnabled ? State.MSIX : 0);
    this.#words.store(STATE, (this.#epoch << STATE_BITS) | bits);
  }

  /** A reset of the card begins. The caller signals it to the thread afterwards. */
  beginEpoch(): void {
    this.#words.store(STATE, ((this.#epoch + 1) & EPOCH_MASK) << STATE_BITS);
    for (let word = 0; word < VECTOR_WORDS; word++) this.#words.store(VECTORS + word, 0);
    for (let word = 0; word < RUNG_WORDS; word++) this.#words.store(RUNG + word, 0);
    this.#words.exchange(ABORTED, 0);
    this.#isHigh = false;
  }

  /** `doorbell`: below MAX_LINKED_DOORBELLS. The caller wakes the card's thread afterwards. */
  ring(doorbell: number): void {
    this.#words.or(RUNG + (doorbell >>> 5), 1 << (doorbell & 31));
  }

  get refusedDma(): number {
    return this.#words.load(REFUSED) >>> 0;
  }

  /** Passes on the signals so far, those of messages last. */
  deliver(receiver: LinkReceiver): void {
    if (!this.#hasSignals) return;
    if (this.#words.exchange(ABORTED, 0) !== 0) receiver.aborted();
    this.#deliverPin(receiver);
    if (this.#words.exchange(HAS_VECTORS, 0) === 0) return;
    for (let word = 0; word < VECTOR_WORDS; word++) {
      if (this.#words.load(VECTORS + word) === 0) continue;
      forEachBit(this.#words.exchange(VECTORS + word, 0), (bit) => receiver.message(word * 32 + bit));
    }
  }

  /** Resolves with true when there are signals, with false after `end`. */
  async wait(): Promise<boolean> {
    await this.#doorbell.waitAsync(this.#signals);
    return !this.#isOver;
  }

  end(): void {
    this.#isOver = true;
    this.#doorbell.ring();
  }

  // In the card's thread.

  /** The thread is about to reset the card. */
  takeEpoch(): void {
    this.#cardEpoch = this.#epoch;
    this.#words.store(PIN, this.#cardEpoch << PIN_BITS);
  }

  get isBusMaster(): boolean {
    return this.#allows(State.BUS_MASTER);
  }

  get hasMessages(): boolean {
    return this.#allows(State.MESSAGES);
  }

  get isMsixEnabled(): boolean {
    return this.#allows(State.MSIX);
  }

  /** `vector`: below MAX_MSIX_VECTORS. */
  postMessage(vector: number): void {
    // A reset that begins after this check leaves a stray bit. CardFunction.message drops it: by
    // then the reset has disabled messages.
    if (!this.#isCurrent) return;
    this.#words.or(VECTORS + (vector >>> 5), 1 << (vector & 31));
    this.#words.store(HAS_VECTORS, 1);
    this.#doorbell.ring();
  }

  setLevel(high: boolean): void {
    const epoch = this.#cardEpoch << PIN_BITS;
    const rose = high ? Pin.HIGH | Pin.ROSE : 0;
    for (;;) {
      const word = this.#words.load(PIN);
      if (((word & Pin.HIGH) !== 0) === high && word >>> PIN_BITS === this.#cardEpoch) return;
      const kept = high ? 0 : word & Pin.ROSE;
      if (this.#words.move(PIN, word, epoch | rose | kept)) break;
    }
    this.#doorbell.ring();
  }

  abort(): void {
    if (!this.#isCurrent) return;
    this.#words.store(ABORTED, 1);
    this.#doorbell.ring();
  }

  countRefused(): void {
    this.#words.add(REFUSED, 1);
  }

  /** Calls back for each doorbell that was rung since the last call. */
  takeRung(callback: (doorbell: number) => void): void {
    for (let word = 0; word < RUNG_WORDS; word++)
      forEachBit(this.#words.exchange(RUNG + word, 0), (bit) => callback(word * 32 + bit));
  }

  get #epoch(): number {
    return this.#words.load(STATE) >>> STATE_BITS;
  }

  get #isCurrent(): boolean {
    return this.#epoch === this.#cardEpoch;
  }

  #allows(bit: number): boolean {
    const state = this.#words.load(STATE);
    return state >>> STATE_BITS === this.#cardEpoch && (state & bit) !== 0;
  }

  get #hasSignals(): boolean {
    if ((this.#words.load(HAS_VECTORS) | this.#words.load(ABORTED)) !== 0) return true;
    const pin = this.#words.load(PIN);
    // The pin of a former epoch is that of a card whose reset is not taken yet.
    return pin >>> PIN_BITS === this.#epoch && ((pin & Pin.ROSE) !== 0 || ((pin & Pin.HIGH) !== 0) !== this.#isHigh);
  }

  #deliverPin(receiver: LinkReceiver): void {
    const pin = this.#words.load(PIN);
    if (pin >>> PIN_BITS !== this.#epoch) return;
    const taken = this.#words.and(PIN, ~Pin.ROSE);
    const isHigh = (taken & Pin.HIGH) !== 0;
    if ((taken & Pin.ROSE) !== 0) {
      if (this.#isHigh) receiver.setLevel(false);
      receiver.setLevel(true);
      if (!isHigh) receiver.setLevel(false);
    } else if (isHigh !== this.#isHigh) receiver.setLevel(isHigh);
    this.#isHigh = isHigh;
  }
}

function forEachBit(word: number, callback: (bit: number) => void): void {
  let bits = word;
  while (bits !== 0) {
    const bit = 31 - Math.clz32(bits & -bits);
    bits &= bits - 1;
    callback(bit);
  }
}
