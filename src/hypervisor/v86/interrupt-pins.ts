/**
 * InterruptPins: the input pins of the core's interrupt controllers. As in ACRN a global system
 * interrupt is the pin of that number of the IO-APIC, and the first 16 also reach the two 8259s
 * (GSI 2 as IRQ 0, where the timer is).
 *
 * Called by: Core, also inside of a trapped access. Raising a pin runs no guest code. The core
 * polls its controllers when the instruction is over.
 *
 * The core has functions for the 8259s' pins. It drives those of its IO-APIC only together with
 * them, so here they are driven in the registers of IO-APIC and local APIC.
 *
 * Sources: 82093AA data sheet, Intel SDM volume 3, chapter 10.
 */

import type { InterruptController } from '../interrupt-lines.js';
import type { CoreExports } from './core-exports.js';
import { coreBytes, coreWords } from './core-memory.js';
import { CoreOffset, IO_APIC_PINS, IoApicWord, LocalApicWord } from './core-layout.js';

const PIC_PINS = 16;
const TIMER_GSI = 2;
const TIMER_IRQ = 0;

/** Bits of a redirection entry's low word. */
const REMOTE_IRR = 1 << 14;
const LEVEL_TRIGGERED = 1 << 15;
const MASKED = 1 << 16;
const DELIVERY_MODE_SHIFT = 8;
const LOWEST_PRIORITY = 1;

const FIRST_VALID_VECTOR = 0x10;

export class InterruptPins implements InterruptController {
  readonly #core: CoreExports;
  readonly #ioApic: Int32Array;
  readonly #localApic: Int32Array;
  readonly #acpiEnabled: Uint8Array;

  constructor(core: CoreExports) {
    this.#core = core;
    const { buffer } = core.memory;
    this.#ioApic = coreWords(buffer, core.get_ioapic_addr());
    this.#localApic = coreWords(buffer, core.get_apic_addr());
    this.#acpiEnabled = coreBytes(buffer, CoreOffset.acpiEnabled, 1);
  }

  raise(line: number): void {
    if (line < PIC_PINS) this.#only8259(() => this.#core.device_raise_irq(irqOf(line)));
    if (line < IO_APIC_PINS) this.#raiseIoApic(line);
  }

  lower(line: number): void {
    if (line < PIC_PINS) this.#only8259(() => this.#core.device_lower_irq(irqOf(line)));
    if (line < IO_APIC_PINS) this.#lowerIoApic(line);
  }

  /**
   * A message-signalled interrupt of fixed or lowest-priority delivery: an edge at the one local
   * APIC.
   */
  message(vector: number): void {
    this.#request(vector, false);
  }

  /** The core's functions drive pin n of the IO-APIC too, but only while that exists. */
  #only8259(drive: () => void): void {
    this.#acpiEnabled[0] = 0;
    drive();
    this.#acpiEnabled[0] = 1;
  }

  #raiseIoApic(pin: number): void {
    const bit = 1 << pin;
    const lines = this.#word(IoApicWord.lines);
    if ((lines & bit) !== 0) return;
    this.#ioApic[IoApicWord.lines] = lines | bit;
    const entry = this.#word(IoApicWord.redirection + pin);
    const isLevel = (entry & LEVEL_TRIGGERED) !== 0;
    const isMasked = (entry & MASKED) !== 0;
    // An edge on a masked pin is lost; a level stays requested until the line is low.
    if (isMasked && !isLevel) return;
    if (isLevel) this.#ioApic[IoApicWord.irr] = this.#word(IoApicWord.irr) | bit;
    if (isMasked || (isLevel && (entry & REMOTE_IRR) !== 0)) return;
    if (isLevel) this.#ioApic[IoApicWord.redirection + pin] = entry | REMOTE_IRR;
    if (((entry >>> DELIVERY_MODE_SHIFT) & 7) <= LOWEST_PRIORITY) this.#request(entry & 0xff, isLevel);
  }

  #lowerIoApic(pin: number): void {
    const bit = 1 << pin;
    this.#ioApic[IoApicWord.lines] = this.#word(IoApicWord.lines) & ~bit;
    if ((this.#word(IoApicWord.redirection + pin) & LEVEL_TRIGGERED) !== 0)
      this.#ioApic[IoApicWord.irr] = this.#word(IoApicWord.irr) & ~bit;
  }

  /** A fixed interrupt at the local APIC; a vector that is requested already stays one request. */
  #request(vector: number, isLevel: boolean): void {
    if (vector < FIRST_VALID_VECTOR) return;
    const word = vector >>> 5;
    const bit = 1 << (vector & 31);
    const irr = this.#localApic[LocalApicWord.irr + word] as number;
    if ((irr & bit) !== 0) return;
    this.#localApic[LocalApicWord.irr + word] = irr | bit;
    const tmr = this.#localApic[LocalApicWord.tmr + word] as number;
    this.#localApic[LocalApicWord.tmr + word] = isLevel ? tmr | bit : tmr & ~bit;
  }

  #word(index: number): number {
    return this.#ioApic[index] as number;
  }
}

function irqOf(line: number): number {
  return line === TIMER_GSI ? TIMER_IRQ : line;
}
