/**
 * MoveRecorder: writes the moves that one thread makes into a TraceRing. Each view of the page that makes moves has one
 * as its slots' watcher: a vCPU's thread, the Service VM's thread, a device's thread. While the ring is off it costs a
 * look at a word.
 *
 * A clock reading costs as much as everything else here together, so each is taken where it delays nobody if there is
 * such a place: after PENDING and COMPLETE the other side is at work already, and this one would only wait. The stamp is
 * therefore put into the event after the move; the event itself was complete before it.
 */

import { IoRequestType } from '../io-request/layout.js';
import type { MoveWatcher, Slot } from '../io-request/slot.js';
import { IoRequestState } from '../io-request/state.js';
import { eventIndex, EventWord, headIndex, MoveBits, TraceRing } from './trace-ring.js';

const NONE = -1;

export class MoveRecorder implements MoveWatcher {
  readonly #ring: TraceRing;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #times: Float64Array<SharedArrayBuffer>;
  readonly #offsetMs: number;
  /** Where the event of the move lies that is being made. */
  #at = NONE;
  /** Number of the client that the next PROCESSING is for; only the HSM sets it. */
  client = 0;
  /** While set, what is completed is completed in its client's place; only the HSM sets it. */
  isForced = false;

  constructor(ring: TraceRing) {
    this.#ring = ring;
    this.#words = ring.words;
    this.#times = ring.times;
    this.#offsetMs = ring.clockOffsetMs;
  }

  moving(slot: Slot, from: number, to: number): void {
    if (!this.#ring.isOn) return;
    const words = this.#words;
    const { vcpu } = slot;
    const head = headIndex(vcpu);
    const number = words[head] as number;
    const at = eventIndex(vcpu, number);
    words[at + EventWord.number] = 0;
    this.#times[(at + EventWord.time) >> 1] = 0;
    let move = (from & MoveBits.STATE_MASK) | ((to & MoveBits.STATE_MASK) << MoveBits.TO_SHIFT);
    if (from >>> 0 > IoRequestState.FREE) move |= MoveBits.STATE_MASK;
    if (to === IoRequestState.PROCESSING) words[at + EventWord.client] = this.client;
    else if (this.isForced) move |= MoveBits.FORCED;
    if (to !== IoRequestState.FREE) {
      const { type } = slot;
      // At PROCESSING the request is still the one of PENDING, unless the HSM has made a PCI access of it.
      if (to !== IoRequestState.PROCESSING || type === IoRequestType.PCI) {
        move |= MoveBits.HAS_REQUEST;
        words[at + EventWord.type] = type;
        words[at + EventWord.direction] = slot.direction;
        words[at + EventWord.addressLow] = slot.addressLow;
        words[at + EventWord.addressHigh] = slot.addressHigh;
        words[at + EventWord.size] = slot.sizeLow;
        words[at + EventWord.valueLow] = slot.valueLow;
        words[at + EventWord.valueHigh] = slot.valueHigh;
        if (type === IoRequestType.PCI) {
          words[at + EventWord.pciBus] = slot.pciBus;
          words[at + EventWord.pciDevice] = slot.pciDevice;
          words[at + EventWord.pciFunction] = slot.pciFunction;
          words[at + EventWord.pciRegister] = slot.pciRegister;
        }
      }
    }
    words[at + EventWord.move] = move;
    words[at + EventWord.number] = (number + 1) | 0;
    words[head] = (number + 1) | 0;
    this.#at = at;
  }

  moved(): void {
    const at = this.#at;
    if (at === NONE) return;
    this.#at = NONE;
    this.#times[(at + EventWord.time) >> 1] = performance.now() + this.#offsetMs;
  }

  refused(): void {
    const at = this.#at;
    if (at === NONE) return;
    this.#words[at + EventWord.move] = (this.#words[at + EventWord.move] as number) | MoveBits.REFUSED;
    this.moved();
  }
}
