/**
 * UartState: what a list of accesses to a 16550 says about the chip's state, for recognising
 * explained differences. It knows no interrupts and no time: a `wait` changes nothing here.
 *
 * Called by: uart-explained.ts.
 *
 * It is an approximation. A field that is true for too long may explain a difference that is a
 * fault, so explanations also check which bits differ. A field that is false too early is noticed:
 * a difference that has an explanation is reported as unexplained.
 */

import type { Step } from '../step.js';

/** Characters that the receiver's FIFO holds. */
const DEPTH = 16;

export class UartState {
  /** LCR bit 7: offsets 0 and 1 are the divisor. */
  dlab = false;
  fifoEnabled = false;
  lcr = 0;
  mcr = 0;
  ier = 0;
  /** Received characters that were not read. */
  characters = 0;
  /** Whether the modem outputs were the modem inputs since MSR was last read. */
  loopedSinceMsr = false;
  /** FCR bit 2 was written, and since then neither IIR read nor a character sent. */
  clearedTransmitter = false;
  /** FCR bit 1 was written without bit 0, while the FIFOs were off and a character waited. */
  clearedWithoutFifo = false;
  /**
   * LCR or the divisor was written while a character waited. Ends only with a format that is
   * written while none waits, not when the character is read: QEMU may still keep the old timeout.
   */
  formatChanged = false;
  /** Characters were sent in loopback with less than 8 bits, at any time before. */
  sentShort = false;
  /** The register that the last step read. FCR: it was written. Undefined for all other steps. */
  last: 'RBR' | 'IIR' | 'MSR' | 'FCR' | 'LSR' | undefined;

  /** After all of `steps`. For a read as the last step: before it. */
  static after(steps: readonly Step[]): UartState {
    const state = new UartState();
    steps.forEach((step, index) => state.#follow(step, index === steps.length - 1));
    return state;
  }

  get loopback(): boolean {
    return (this.mcr & 0x10) !== 0;
  }

  get out2(): boolean {
    return (this.mcr & 0x08) !== 0;
  }

  #follow(step: Step, isLast: boolean): void {
    this.last = undefined;
    if (step.kind === 'write') this.#write(step.offset, step.value);
    else if (step.kind === 'read') this.#read(step.offset, isLast);
  }

  #read(offset: number, isLast: boolean): void {
    if (offset === 0 && !this.dlab) this.last = 'RBR';
    else if (offset === 2) this.last = 'IIR';
    else if (offset === 5) this.last = 'LSR';
    else if (offset === 6) this.last = 'MSR';
    if (isLast) return;
    if (this.last === 'RBR') this.characters = Math.max(0, this.characters - 1);
    else if (this.last === 'IIR') this.clearedTransmitter = false;
    else if (this.last === 'MSR') this.loopedSinceMsr = this.loopback;
  }

  #write(offset: number, value: number): void {
    if (offset === 3 || (offset < 2 && this.dlab)) this.formatChanged = this.characters > 0;
    if (offset === 0 && !this.dlab) this.#send();
    else if (offset === 1 && !this.dlab) this.ier = value & 0x0f;
    else if (offset === 2) this.#controlFifos(value);
    else if (offset === 3) {
      this.lcr = value;
      this.dlab = (value & 0x80) !== 0;
    } else if (offset === 4) {
      if (((value | this.mcr) & 0x10) !== 0) this.loopedSinceMsr = true;
      this.mcr = value & 0x1f;
    }
  }

  /** THR is written. In loopback the character is received at once: too early by its own time. */
  #send(): void {
    this.clearedTransmitter = false;
    if (!this.loopback) return;
    if ((this.lcr & 3) !== 3) this.sentShort = true;
    this.characters = Math.min(this.characters + 1, this.fifoEnabled ? DEPTH : 1);
  }

  #controlFifos(value: number): void {
    this.last = 'FCR';
    const enable = (value & 1) !== 0;
    if (!enable && !this.fifoEnabled && (value & 2) !== 0 && this.characters > 0) this.clearedWithoutFifo = true;
    if (enable !== this.fifoEnabled || (enable && (value & 2) !== 0)) this.characters = 0;
    if ((value & 4) !== 0) this.clearedTransmitter = true;
    this.fifoEnabled = enable;
  }
}
