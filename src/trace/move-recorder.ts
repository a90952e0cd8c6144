/**
 * MoveRecorder: writes the moves that one thread makes into a TraceRing. Each view of the page that makes moves has one
 * as its slots' watcher: a vCPU's thread, the Service VM's thread, a device's thread. While the ring is off it costs a
 * look at a word.
 *
 * A clock reading costs as much as everything else here together, so each is taken where it delays nobody if there is
 * such a place: after PENDING and COMPLETE the other side is at work already, and this one would only wait. The stamp is
 * therefore put into the event after the move; the event itself was complete before it.
 */

import { IoRequestType, SLOT_COUNT } from '../io-request/layout.js';
import type { MoveWatcher, Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import { eventIndex, EventWord, headIndex, MoveBits, TraceRing } from './trace-ring.js';

// Constants of this file: those of another are looked up at each use, which would cost as much as the stores.
const { PENDING, PROCESSING, COMPLETE, FREE } = IoRequestState;
const { PCI } = IoRequestType;
const NUMBER = EventWord.number;
const MOVE = EventWord.move;
const ADDRESS_LOW = EventWord.addressLow;
const ADDRESS_HIGH = EventWord.addressHigh;
const VALUE_LOW = EventWord.valueLow;
const VALUE_HIGH = EventWord.valueHigh;
const TIME = EventWord.time;
const CLIENT = EventWord.client;
const { TO_SHIFT, STATE_MASK, TYPE_SHIFT, SIZE_SHIFT, BYTE_MASK } = MoveBits;
const { IS_WRITE, REFUSED, HAS_REQUEST, HAS_VALUE, FORCED } = MoveBits;
const NONE = -1;

export class MoveRecorder implements MoveWatcher {
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #offsetMs: number;
  readonly #assigned = new Int32Array(SLOT_COUNT);
  /** Where the event of the move lies that is being made. */
  #at = NONE;
  /** Number of the client that the next PROCESSING is for; only the HSM sets it. */
  client = 0;
  /** While set, what is completed is completed in its client's place; only the HSM sets it. */
  isForced = false;

  constructor(ring: TraceRing) {
    this.#words = ring.words;
    this.#times = ring.times;
    this.#offsetMs = ring.clockOffsetMs;
  }

  /** Number of the last event in slot `vcpu` by which this recorder's thread moved it to PROCESSING. */
  assigned(vcpu: number): number {
    return this.#assigned[vcpu] as number;
  }

  get watching(): Int32Array {
    return this.#words;
  }

  moving(slot: Slot, from: number, to: number): void {
    // A slot that is stamped FREE where it was FREE did not move.
    if (from === to) return;
    const words = this.#words;
    const head = headIndex(slot.vcpu);
    const number = words[head] as number;
    const at = eventIndex(slot.vcpu, number);
    words[at + NUMBER] = 0;
    this.#times[(at + TIME) >> 1] = 0;
    let move = (from >>> 0 > FREE ? STATE_MASK : from) | (to << TO_SHIFT);
    if (to === PENDING) move |= this.#putRequest(slot, at);
    else if (to === PROCESSING) {
      this.#assigned[slot.vcpu] = number;
      words[at + CLIENT] = this.client;
      // Otherwise the request is still the one of PENDING.
      if (slot.type === PCI) move |= this.#putRequest(slot, at);
    } else if (to === COMPLETE) {
      move |= this.isForced ? HAS_VALUE | FORCED : HAS_VALUE;
      words[at + VALUE_LOW] = slot.valueLow;
      words[at + VALUE_HIGH] = slot.valueHigh;
    }
    words[at + MOVE] = move;
    words[at + NUMBER] = (number + 1) | 0;
    words[head] = (number + 1) | 0;
    this.#at = at;
  }

  moved(): void {
    const at = this.#at;
    if (at === NONE) return;
    this.#at = NONE;
    this.#times[(at + TIME) >> 1] = performance.now() + this.#offsetMs;
  }

  refused(): void {
    const at = this.#at;
    if (at === NONE) return;
    this.#words[at + MOVE] = (this.#words[at + MOVE] as number) | REFUSED;
    this.moved();
  }

  /** Writes the slot's request; returns its part of the move word. */
  #putRequest(slot: Slot, at: number): number {
    const words = this.#words;
    const { type } = slot;
    if (type === PCI) {
      words[at + ADDRESS_LOW] = (toByte(slot.pciBus) << 16) | (toByte(slot.pciDevice) << 8) | toByte(slot.pciFunction);
      words[at + ADDRESS_HIGH] = slot.pciRegister;
    } else {
      words[at + ADDRESS_LOW] = slot.addressLow;
      words[at + ADDRESS_HIGH] = slot.addressHigh;
    }
    words[at + VALUE_LOW] = slot.valueLow;
    words[at + VALUE_HIGH] = slot.valueHigh;
    return (
      HAS_REQUEST | (toByte(type) << TYPE_SHIFT) | (toByte(slot.sizeLow) << SIZE_SHIFT) | (slot.isRead ? 0 : IS_WRITE)
    );
  }
}

function toByte(word: number): number {
  return word >>> 0 > BYTE_MASK ? BYTE_MASK : word;
}
