/**
 * ModemStatusRegister: the MSR of a 16550: four inputs from the other end of the cable, and a bit
 * for each change until it is read. Part of Uart16550.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { ModemControl, ModemStatus } from './uart16550-registers.js';

/** The modem inputs, bits 4 to 7 of the register. Their changes are bits 0 to 3. */
const INPUTS = 0xf0;
const CHANGES = 0x0f;

/** The chip's modem inputs. True is asserted. */
export interface ModemLines {
  readonly cts: boolean;
  readonly dsr: boolean;
  readonly dcd: boolean;
  readonly ri: boolean;
}

const TERMINAL_READY: ModemLines = { cts: true, dsr: true, dcd: true, ri: false };

export class ModemStatusRegister {
  #lines = TERMINAL_READY;
  #value = inputs(TERMINAL_READY);
  /** The chip's modem control register. */
  #mcr = 0;

  /** Sets some of the lines. The others keep their level. */
  setLines(lines: Partial<ModemLines>): void {
    this.#lines = { ...this.#lines, ...lines };
    this.#update();
  }

  /** Sets MCR. In loopback its outputs become the inputs. */
  setControl(mcr: number): void {
    this.#mcr = mcr;
    this.#update();
  }

  get hasChanged(): boolean {
    return (this.#value & CHANGES) !== 0;
  }

  /** The value that `read` would return. */
  get value(): number {
    return this.#value;
  }

  read(): number {
    const value = this.#value;
    this.#value &= INPUTS;
    return value;
  }

  /** The lines keep their level: they belong to the other end. */
  reset(): void {
    this.#mcr = 0;
    this.#value = inputs(this.#lines);
  }

  /** With the lines, which the terminal need not set again. */
  save(): unknown {
    return { lines: inputs(this.#lines), value: this.#value, mcr: this.#mcr };
  }

  restore(state: unknown): void {
    const from = new SavedState('modem status', state);
    const lines = from.byte('lines');
    this.#lines = {
      cts: (lines & ModemStatus.CTS) !== 0,
      dsr: (lines & ModemStatus.DSR) !== 0,
      dcd: (lines & ModemStatus.DCD) !== 0,
      ri: (lines & ModemStatus.RI) !== 0,
    };
    this.#value = from.byte('value');
    this.#mcr = from.byte('mcr');
  }

  #update(): void {
    const now = (this.#mcr & ModemControl.LOOPBACK) !== 0 ? loopedInputs(this.#mcr) : inputs(this.#lines);
    let changed = (now ^ this.#value) & INPUTS;
    // RI counts only when it falls (TERI, the trailing edge).
    if ((now & ModemStatus.RI) !== 0) changed &= ~ModemStatus.RI;
    // The bit of a change is four bits below its line.
    this.#value = now | (this.#value & CHANGES) | (changed >>> 4);
  }
}

function inputs(lines: ModemLines): number {
  return (
    (lines.cts ? ModemStatus.CTS : 0) |
    (lines.dsr ? ModemStatus.DSR : 0) |
    (lines.ri ? ModemStatus.RI : 0) |
    (lines.dcd ? ModemStatus.DCD : 0)
  );
}

/** Loopback joins RTS to CTS, DTR to DSR, OUT1 to RI and OUT2 to DCD. */
function loopedInputs(mcr: number): number {
  return inputs({
    cts: (mcr & ModemControl.RTS) !== 0,
    dsr: (mcr & ModemControl.DTR) !== 0,
    ri: (mcr & ModemControl.OUT1) !== 0,
    dcd: (mcr & ModemControl.OUT2) !== 0,
  });
}
