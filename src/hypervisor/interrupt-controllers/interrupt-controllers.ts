/**
 * InterruptControllers: the two 8259s, the I/O APIC and the local APIC of a VM with one vCPU, wired
 * as in ACRN's User VMs.
 *
 * Called by: v86/core-interrupts.ts. Lines and messages go in, the vectors and NMIs that the CPU
 * takes come out. The guest reaches the registers through v86/controller-handlers.ts.
 * Callers must: ask `isRequesting` again after each call, and `acknowledge` once for each interrupt
 * that the CPU takes.
 * Threads: the vCPU's.
 *
 * A global system interrupt is the pin of that number of the I/O APIC, and the first 16 also reach
 * the 8259s. The 8259s' output goes to LINT0 of the local APIC and to pin 0 of the I/O APIC, where
 * it counts if that pin's entry says ExtINT: "virtual wire mode" in two ways.
 */

import { SavedState } from '../../io-request/saved-state.js';
import type { InterruptController } from '../interrupt-lines.js';
import { Delivery, MessageBit } from './apic-message.js';
import { NO_REQUEST } from './i8259.js';
import { I8259Pair, PAIR_PINS } from './i8259-pair.js';
import { IO_APIC_PINS, IoApic } from './io-apic.js';
import { LocalApic } from './local-apic.js';

/** The I/O APIC's pin that also gets the 8259s' output. */
const VIRTUAL_WIRE_PIN = 0;
/** What `acknowledge` returns if there is no interrupt. */
export const NO_VECTOR = -1;

export class InterruptControllers implements InterruptController {
  readonly #now: () => number;
  #pics!: I8259Pair;
  #ioApic!: IoApic;
  #localApic!: LocalApic;
  #hasNmi = false;

  readonly #onEnd: (line: number) => void;

  /** `now`: the guest's time in ms. `onEnd`: the guest has ended (EOI) the interrupt of a line. */
  constructor(now: () => number, onEnd: (line: number) => void = () => undefined) {
    this.#now = now;
    this.#onEnd = onEnd;
    this.reset();
  }

  /** Power-on. All pins are low; the lines then raise those that are high. */
  reset(): void {
    this.#hasNmi = false;
    this.#pics = new I8259Pair(this.#onEnd);
    this.#localApic = this.#newLocalApic();
    this.#ioApic = new IoApic((message, destination) => this.#localApic.receive(message, destination), this.#onEnd);
  }

  save(): unknown {
    return {
      pics: this.#pics.save(),
      ioApic: this.#ioApic.save(),
      hasLocalApic: this.#localApic.existsForGuest,
      localApic: this.#localApic.save(),
      hasNmi: this.#hasNmi,
    };
  }

  /** Sets all registers and pins at once: nothing is delivered or reported by it. */
  restore(state: unknown): void {
    const from = new SavedState('interrupt controllers', state);
    this.reset();
    this.#pics.restore(from.value('pics'));
    this.#ioApic.restore(from.value('ioApic'));
    this.#localApic = this.#newLocalApic(from.boolean('hasLocalApic'));
    this.#localApic.restore(from.value('localApic'));
    this.#hasNmi = from.boolean('hasNmi');
  }

  get pics(): I8259Pair {
    return this.#pics;
  }

  get ioApic(): IoApic {
    return this.#ioApic;
  }

  get localApic(): LocalApic {
    return this.#localApic;
  }

  /**
   * The global enable bit of IA32_APIC_BASE. An APIC that comes back is as at power-on (SDM,
   * "Enabling or Disabling the Local APIC").
   */
  setLocalApicExists(exists: boolean): void {
    if (exists === this.#localApic.existsForGuest) return;
    this.#localApic = this.#newLocalApic(exists);
    this.followPics();
  }

  raise(line: number): void {
    this.#setLine(line, true);
  }

  lower(line: number): void {
    this.#setLine(line, false);
  }

  /** A message-signalled interrupt for this vCPU. It is an edge whatever its trigger mode says. */
  message(delivery: number, vector: number): void {
    // To APIC ID 0, which is this vCPU's.
    this.#localApic.receive((delivery << MessageBit.DELIVERY_SHIFT) | vector, 0);
  }

  /** The 8259s' registers changed, or one of their pins. */
  followPics(): void {
    this.#localApic.setLint0(this.#pics.output);
  }

  /** Whether the CPU's interrupt input is asserted. It takes the interrupt if EFLAGS.IF is set. */
  get isRequesting(): boolean {
    return this.#hasExtInt || this.#localApic.pending !== NO_VECTOR;
  }

  /** The CPU takes the interrupt: its vector, or NO_VECTOR. The 8259s' come first, as in ACRN. */
  acknowledge(): number {
    if (!this.#hasExtInt) return this.#localApic.acknowledge();
    const vector = this.#pics.acknowledge();
    this.followPics();
    return vector === NO_REQUEST ? NO_VECTOR : vector;
  }

  /** Whether an NMI waits for the CPU. Several that arrive before it takes one are one. */
  get hasNmi(): boolean {
    return this.#hasNmi;
  }

  takeNmi(): void {
    this.#hasNmi = false;
  }

  /**
   * Lets the timer expire if it is due. Returns the milliseconds until it is due next, or Infinity.
   */
  expire(nowMs: number): number {
    return this.#localApic.expire(nowMs);
  }

  get #hasExtInt(): boolean {
    if (!this.#pics.output) return false;
    return this.#localApic.passesLint0 || this.#ioApic.routes(VIRTUAL_WIRE_PIN, Delivery.EXT_INT);
  }

  #newLocalApic(exists = true): LocalApic {
    const outputs = {
      ended: (vector: number) => this.#ioApic.ended(vector),
      endOfInterrupt: (vector: number) => this.#ioApic.endOfInterrupt(vector),
      nmi: () => {
        this.#hasNmi = true;
      },
      acceptsMore: () => this.#ioApic.retry(),
    };
    return new LocalApic(outputs, this.#now, exists);
  }

  #setLine(line: number, high: boolean): void {
    if (line < PAIR_PINS) {
      this.#pics.setLine(line, high);
      this.followPics();
    }
    if (line < IO_APIC_PINS) this.#ioApic.setPin(line, high);
  }
}
