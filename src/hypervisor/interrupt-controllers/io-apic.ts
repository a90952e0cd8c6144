/**
 * IoApic: the I/O APIC of a User VM, with the 48 pins that ACRN's has.
 *
 * Called by: InterruptControllers.
 * Threads: the vCPU's.
 *
 * A pin is asserted while its level is the one that its entry's polarity bit calls active. An
 * edge-triggered entry sends an interrupt when its pin becomes asserted. A level-triggered one
 * sends while its pin is asserted and Remote IRR is clear. Remote IRR is set when a local APIC
 * accepts such an interrupt, and cleared by that APIC's end of interrupt (EOI).
 *
 * Source: Intel 82093AA data sheet.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { deliveryOf, hasVector, MessageBit } from './apic-message.js';

export const IO_APIC_PINS = 48;

/** Byte offsets of the two registers that the guest's addresses reach. */
const SELECT = 0x00;
const WINDOW = 0x10;
/** Numbers of the registers behind the window. */
const Register = { ID: 0, VERSION: 1, ARBITRATION: 2, REDIRECTION: 0x10 } as const;
/** Version 0x11, as ACRN's, and the number of the last redirection entry. */
const VERSION = 0x11 | ((IO_APIC_PINS - 1) << 16);
const ID_MASK = 0x0f00_0000;
const DESTINATION_MASK = 0xff00_0000;
const ALL_ONES = 0xffff_ffff;

/** Bits of the lower half of a redirection entry, beside those of MessageBit. */
const Entry = {
  /** Read-only and always 0: a message is delivered at once. */
  DELIVERY_STATUS: 1 << 12,
  ACTIVE_LOW: 1 << 13,
  /** Read-only. */
  REMOTE_IRR: 1 << 14,
  MASKED: 1 << 16,
} as const;
/** Bits 0 to 16 but the read-only ones. */
const WRITABLE = 0x1_ffff & ~(Entry.DELIVERY_STATUS | Entry.REMOTE_IRR);

export class IoApic {
  readonly #send: (message: number, destination: number) => boolean;
  // The redirection entries, in two halves.
  readonly #low = new Int32Array(IO_APIC_PINS).fill(Entry.MASKED);
  readonly #high = new Int32Array(IO_APIC_PINS);
  /** Of the pins: 1 is high, whatever the polarity bit says. */
  readonly #levels = new Uint8Array(IO_APIC_PINS);
  /** 1: a local APIC has accepted the pin's interrupt, which has not ended. */
  readonly #isOpen = new Uint8Array(IO_APIC_PINS);
  readonly #onEnd: (pin: number) => void;
  #id = 0;
  /** The number of the register behind the window. */
  #selected = 0;

  /**
   * `send` returns whether a local APIC accepted the message for its request register. `onEnd`: the
   * interrupt of a pin has ended.
   */
  constructor(send: (message: number, destination: number) => boolean, onEnd: (pin: number) => void = () => undefined) {
    this.#send = send;
    this.#onEnd = onEnd;
  }

  setPin(pin: number, high: boolean): void {
    const level = high ? 1 : 0;
    if (this.#levels[pin] === level) return;
    this.#levels[pin] = level;
    if (!this.#isAsserted(pin)) return;
    if (this.#isLevelTriggered(pin)) this.#sendLevel(pin);
    // An edge on a masked pin is lost.
    else if (!this.#is(pin, Entry.MASKED)) this.#sendFrom(pin);
  }

  /**
   * A local APIC ended the interrupt `vector`, an edge or a level: calls `onEnd` for each pin with
   * an open interrupt of that vector.
   */
  ended(vector: number): void {
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      if (this.#isOpen[pin] === 0 || (this.#entry(pin) & MessageBit.VECTOR) !== vector) continue;
      this.#isOpen[pin] = 0;
      this.#onEnd(pin);
    }
  }

  /** A local APIC ended the level-triggered interrupt `vector`. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      if (!this.#is(pin, Entry.REMOTE_IRR) || (this.#entry(pin) & MessageBit.VECTOR) !== vector) continue;
      this.#low[pin] = this.#entry(pin) & ~Entry.REMOTE_IRR;
      this.#sendLevel(pin);
    }
  }

  /** Tries levels again that no local APIC accepted: one may accept them now. */
  retry(): void {
    for (let pin = 0; pin < IO_APIC_PINS; pin++) this.#sendLevel(pin);
  }

  /** Whether pin `pin` is unmasked and has the delivery mode `delivery`. */
  routes(pin: number, delivery: number): boolean {
    return !this.#is(pin, Entry.MASKED) && deliveryOf(this.#entry(pin)) === delivery;
  }

  /** A 32-bit load at byte `offset` of the APIC's page. */
  read(offset: number): number {
    if (offset === SELECT) return this.#selected;
    return offset === WINDOW ? this.#readSelected() >>> 0 : ALL_ONES;
  }

  write(offset: number, value: number): void {
    if (offset === SELECT) this.#selected = value & 0xff;
    else if (offset === WINDOW) this.#writeSelected(value);
  }

  save(): unknown {
    const [low, high] = [Array.from(this.#low), Array.from(this.#high)];
    const [levels, isOpen] = [Array.from(this.#levels), Array.from(this.#isOpen)];
    return { low, high, levels, isOpen, id: this.#id, selected: this.#selected };
  }

  restore(state: unknown): void {
    const from = new SavedState('io-apic', state);
    const [lowest, highest] = [-0x8000_0000, 0x7fff_ffff];
    const known = WRITABLE | Entry.REMOTE_IRR;
    this.#low.set(from.integers('low', IO_APIC_PINS, lowest, highest).map((entry) => entry & known));
    this.#high.set(from.integers('high', IO_APIC_PINS, lowest, highest).map((entry) => entry & DESTINATION_MASK));
    this.#levels.set(from.integers('levels', IO_APIC_PINS, 0, 1));
    this.#isOpen.set(from.integers('isOpen', IO_APIC_PINS, 0, 1));
    this.#id = from.word('id') & ID_MASK;
    this.#selected = from.byte('selected');
  }

  /** The level of each pin: 1 is high. */
  get levels(): readonly number[] {
    return Array.from(this.#levels);
  }

  #readSelected(): number {
    const number = this.#selected;
    if (number === Register.ID || number === Register.ARBITRATION) return this.#id;
    if (number === Register.VERSION) return VERSION;
    const pin = (number - Register.REDIRECTION) >> 1;
    if (!isPin(pin)) return 0;
    return ((number & 1) === 0 ? this.#low[pin] : this.#high[pin]) as number;
  }

  #writeSelected(value: number): void {
    const number = this.#selected;
    if (number === Register.ID) this.#id = value & ID_MASK;
    const pin = (number - Register.REDIRECTION) >> 1;
    if (!isPin(pin)) return;
    if ((number & 1) !== 0) {
      this.#high[pin] = value & DESTINATION_MASK;
      // A level that the old destination did not accept goes to the new one.
      this.#sendLevel(pin);
      return;
    }
    // An entry that becomes edge-triggered loses Remote IRR: guests clear a stuck one that way.
    const kept = (value & MessageBit.LEVEL) === 0 ? 0 : this.#entry(pin) & Entry.REMOTE_IRR;
    this.#low[pin] = (value & WRITABLE) | kept;
    this.#sendLevel(pin);
  }

  /** Sends a level-triggered pin's interrupt if it is asserted and the last one has ended. */
  #sendLevel(pin: number): void {
    if (!this.#isLevelTriggered(pin) || !this.#isAsserted(pin)) return;
    if (this.#is(pin, Entry.MASKED) || this.#is(pin, Entry.REMOTE_IRR)) return;
    if (this.#sendFrom(pin)) this.#low[pin] = this.#entry(pin) | Entry.REMOTE_IRR;
  }

  #sendFrom(pin: number): boolean {
    const isAccepted = this.#send(this.#entry(pin), (this.#high[pin] as number) >>> 24);
    if (isAccepted) this.#isOpen[pin] = 1;
    return isAccepted;
  }

  /** NMI and the other deliveries without a vector are edges even if programmed as levels. */
  #isLevelTriggered(pin: number): boolean {
    return this.#is(pin, MessageBit.LEVEL) && hasVector(this.#entry(pin));
  }

  #isAsserted(pin: number): boolean {
    return (this.#levels[pin] === 1) !== this.#is(pin, Entry.ACTIVE_LOW);
  }

  #is(pin: number, bit: number): boolean {
    return (this.#entry(pin) & bit) !== 0;
  }

  #entry(pin: number): number {
    return this.#low[pin] as number;
  }
}

function isPin(pin: number): boolean {
  return pin >= 0 && pin < IO_APIC_PINS;
}
