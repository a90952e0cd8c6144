/**
 * I8259: one programmable interrupt controller (PIC) with its edge/level control register.
 *
 * Called by: I8259Pair, which has two of them.
 * Threads: the vCPU's.
 *
 * A pin makes a request: in edge mode when it rises, in level mode while it is high. The chip
 * offers its CPU the unmasked request of the highest priority, unless one of the same or a higher
 * priority is in service. A request of an edge stays until it is acknowledged, although the data
 * sheet wants the pin to be held until then: ACRN's RAISING_PULSE depends on it. So the spurious
 * interrupt 7 of a request that vanished does not occur.
 *
 * Sources: Intel 8259A data sheet; for the edge/level control register Intel 82371AB (PIIX4).
 */

import { SavedState } from '../../io-request/saved-state.js';

const PINS = 8;
const ALL_PINS = 0xff;
const LOWEST_AT_RESET = 7;
/** What `pending` and `acknowledge` return if there is no request. */
export const NO_REQUEST = -1;

/** What bits 4 and 3 of a write to the even port select. */
const ICW1 = 0x10;
const OCW3 = 0x08;

const Icw1 = { NEEDS_ICW4: 0x01, SINGLE: 0x02 } as const;
const Icw4 = { AUTOMATIC_END: 0x02, SPECIAL_FULLY_NESTED: 0x10 } as const;
/** Bits 7…5 of OCW2. */
const Ocw2 = {
  ROTATE_IN_AUTOMATIC_END_OFF: 0,
  END: 1,
  SPECIFIC_END: 3,
  ROTATE_IN_AUTOMATIC_END_ON: 4,
  END_AND_ROTATE: 5,
  SET_PRIORITY: 6,
  SPECIFIC_END_AND_ROTATE: 7,
} as const;
const Ocw3 = {
  SELECT_IN_SERVICE: 0x01,
  SELECT_REGISTER: 0x02,
  POLL: 0x04,
  SPECIAL_MASK: 0x20,
  SET_SPECIAL_MASK: 0x40,
} as const;
/** Bit 7 of the answer to a poll: there was a request. */
const POLL_FOUND = 0x80;

/** Which write to the odd port comes next: an initialization command word, or OCW1, the mask. */
const ODD_WRITES = ['icw2', 'icw3', 'icw4', 'ocw1'] as const;
type OddWrite = (typeof ODD_WRITES)[number];

export interface I8259Options {
  /** The pin to which the second chip's output is connected, always a level. Default: none. */
  readonly cascadePin?: number;
  /** The bits of the edge/level control register that can be set. The other pins are edges. */
  readonly levelPins: number;
  /** The interrupt of a pin has ended: by the guest, or at once in automatic mode. */
  readonly onEnd?: (pin: number) => void;
}

export class I8259 {
  readonly #cascade: number;
  readonly #levelPins: number;
  readonly #onEnd: (pin: number) => void;
  #elcr = 0;
  /** The pins that are high. */
  #pins = 0;
  /** The pins that rose since they were acknowledged. */
  #risen = 0;
  #inService = 0;
  /** ACRN masks all pins until the guest initializes the chip. */
  #mask = ALL_PINS;
  /** Vector of pin 0. */
  #base = 0;
  #lowestPriority = LOWEST_AT_RESET;
  #next: OddWrite = 'ocw1';
  #isSingle = false;
  #needsIcw4 = false;
  #endsAutomatically = false;
  #rotatesInAutomaticEnd = false;
  #isSpecialFullyNested = false;
  #hasSpecialMask = false;
  #readsInService = false;
  #polls = false;

  constructor({ cascadePin, levelPins, onEnd = () => undefined }: I8259Options) {
    this.#onEnd = onEnd;
    this.#cascade = cascadePin === undefined ? 0 : 1 << cascadePin;
    this.#levelPins = levelPins;
  }

  setPin(pin: number, high: boolean): void {
    const bit = 1 << pin;
    if (high) {
      this.#risen |= bit & ~this.#pins;
      this.#pins |= bit;
      return;
    }
    this.#pins &= ~bit;
    // A level that ends is no request any more. An edge stays one.
    if (((this.#elcr | this.#cascade) & bit) !== 0) this.#risen &= ~bit;
  }

  /** The pin whose request the chip offers now, or NO_REQUEST. */
  get pending(): number {
    const requests = this.#requests & ~this.#mask;
    if (requests === 0) return NO_REQUEST;
    // In special mask mode a masked pin in service blocks no other.
    const blocking = this.#inService & ~(this.#hasSpecialMask ? this.#mask : 0);
    // The second chip may interrupt a routine of its own. Lower pins stay blocked by that.
    const passing = requests & (this.#isSpecialFullyNested ? this.#cascade : 0);
    for (let rank = 1; rank <= PINS; rank++) {
      const pin = (this.#lowestPriority + rank) % PINS;
      if ((blocking & ~passing & (1 << pin)) !== 0) return NO_REQUEST;
      if ((requests & (1 << pin)) !== 0) return pin;
    }
    return NO_REQUEST;
  }

  /**
   * The CPU acknowledges the pending request. Returns its pin, or NO_REQUEST.
   */
  acknowledge(): number {
    const pin = this.pending;
    if (pin === NO_REQUEST) return NO_REQUEST;
    const bit = 1 << pin;
    this.#risen &= ~bit;
    if (!this.#endsAutomatically) this.#inService |= bit;
    else {
      if (this.#rotatesInAutomaticEnd) this.#lowestPriority = pin;
      this.#onEnd(pin);
    }
    return pin;
  }

  vectorOf(pin: number): number {
    return this.#base | pin;
  }

  /** `isOdd`: the upper one of the chip's two ports. */
  read(isOdd: boolean): number {
    if (this.#polls) {
      this.#polls = false;
      const pin = this.acknowledge();
      return pin === NO_REQUEST ? 0 : POLL_FOUND | pin;
    }
    if (isOdd) return this.#mask;
    return this.#readsInService ? this.#inService : this.#requests;
  }

  write(isOdd: boolean, value: number): void {
    if (isOdd) this.#writeOdd(value);
    else if ((value & ICW1) !== 0) this.#initialize(value);
    else if ((value & OCW3) !== 0) this.#writeOcw3(value);
    else this.#writeOcw2(value >>> 5, value & 7);
  }

  save(): unknown {
    return {
      elcr: this.#elcr,
      pins: this.#pins,
      risen: this.#risen,
      inService: this.#inService,
      mask: this.#mask,
      base: this.#base,
      lowestPriority: this.#lowestPriority,
      next: this.#next,
      isSingle: this.#isSingle,
      needsIcw4: this.#needsIcw4,
      endsAutomatically: this.#endsAutomatically,
      rotatesInAutomaticEnd: this.#rotatesInAutomaticEnd,
      isSpecialFullyNested: this.#isSpecialFullyNested,
      hasSpecialMask: this.#hasSpecialMask,
      readsInService: this.#readsInService,
      polls: this.#polls,
    };
  }

  restore(state: unknown): void {
    const from = new SavedState('i8259', state);
    this.#elcr = from.byte('elcr') & this.#levelPins;
    this.#pins = from.byte('pins');
    this.#risen = from.byte('risen');
    this.#inService = from.byte('inService');
    this.#mask = from.byte('mask');
    this.#base = from.byte('base') & 0xf8;
    this.#lowestPriority = from.integer('lowestPriority', 0, PINS - 1);
    this.#next = from.oneOf('next', ODD_WRITES);
    this.#isSingle = from.boolean('isSingle');
    this.#needsIcw4 = from.boolean('needsIcw4');
    this.#endsAutomatically = from.boolean('endsAutomatically');
    this.#rotatesInAutomaticEnd = from.boolean('rotatesInAutomaticEnd');
    this.#isSpecialFullyNested = from.boolean('isSpecialFullyNested');
    this.#hasSpecialMask = from.boolean('hasSpecialMask');
    this.#readsInService = from.boolean('readsInService');
    this.#polls = from.boolean('polls');
  }

  get levelControl(): number {
    return this.#elcr;
  }

  set levelControl(value: number) {
    this.#elcr = value & this.#levelPins;
  }

  get #requests(): number {
    const levels = this.#elcr | this.#cascade;
    return (this.#risen & ~levels) | (this.#pins & levels);
  }

  /**
   * ICW1 starts the initialization. Edges are forgotten: each pin has to rise again. The data sheet
   * is silent about the in-service register; it is cleared, as in QEMU.
   */
  #initialize(icw1: number): void {
    this.#risen = 0;
    this.#inService = 0;
    this.#mask = 0;
    this.#lowestPriority = LOWEST_AT_RESET;
    this.#hasSpecialMask = false;
    this.#readsInService = false;
    this.#polls = false;
    this.#rotatesInAutomaticEnd = false;
    this.#endsAutomatically = false;
    this.#isSpecialFullyNested = false;
    this.#isSingle = (icw1 & Icw1.SINGLE) !== 0;
    this.#needsIcw4 = (icw1 & Icw1.NEEDS_ICW4) !== 0;
    this.#next = 'icw2';
  }

  #writeOdd(value: number): void {
    switch (this.#next) {
      case 'icw2':
        this.#base = value & 0xf8;
        this.#next = this.#isSingle ? this.#afterIcw3() : 'icw3';
        return;
      case 'icw3':
        // The wiring of the two chips is fixed, whatever the guest says about it.
        this.#next = this.#afterIcw3();
        return;
      case 'icw4':
        this.#endsAutomatically = (value & Icw4.AUTOMATIC_END) !== 0;
        this.#isSpecialFullyNested = (value & Icw4.SPECIAL_FULLY_NESTED) !== 0;
        this.#next = 'ocw1';
        return;
      case 'ocw1':
        this.#mask = value & ALL_PINS;
    }
  }

  #afterIcw3(): OddWrite {
    return this.#needsIcw4 ? 'icw4' : 'ocw1';
  }

  #writeOcw2(command: number, pin: number): void {
    switch (command) {
      case Ocw2.END:
      case Ocw2.END_AND_ROTATE:
        this.#end(this.#highestInService(), command === Ocw2.END_AND_ROTATE);
        return;
      case Ocw2.SPECIFIC_END:
      case Ocw2.SPECIFIC_END_AND_ROTATE:
        this.#end(pin, command === Ocw2.SPECIFIC_END_AND_ROTATE);
        return;
      case Ocw2.SET_PRIORITY:
        this.#lowestPriority = pin;
        return;
      case Ocw2.ROTATE_IN_AUTOMATIC_END_ON:
      case Ocw2.ROTATE_IN_AUTOMATIC_END_OFF:
        this.#rotatesInAutomaticEnd = command === Ocw2.ROTATE_IN_AUTOMATIC_END_ON;
    }
  }

  #end(pin: number, rotates: boolean): void {
    if (pin === NO_REQUEST) return;
    const wasInService = (this.#inService & (1 << pin)) !== 0;
    this.#inService &= ~(1 << pin);
    if (rotates) this.#lowestPriority = pin;
    if (wasInService) this.#onEnd(pin);
  }

  /** What a non-specific end of interrupt ends. Special mask mode leaves masked pins in service. */
  #highestInService(): number {
    const candidates = this.#inService & ~(this.#hasSpecialMask ? this.#mask : 0);
    for (let rank = 1; rank <= PINS; rank++) {
      const pin = (this.#lowestPriority + rank) % PINS;
      if ((candidates & (1 << pin)) !== 0) return pin;
    }
    return NO_REQUEST;
  }

  #writeOcw3(value: number): void {
    if ((value & Ocw3.SET_SPECIAL_MASK) !== 0) this.#hasSpecialMask = (value & Ocw3.SPECIAL_MASK) !== 0;
    if ((value & Ocw3.POLL) !== 0) this.#polls = true;
    else if ((value & Ocw3.SELECT_REGISTER) !== 0) this.#readsInService = (value & Ocw3.SELECT_IN_SERVICE) !== 0;
  }
}
