/**
 * SystemControlPort: port 0x61 of a PC, one port. Its outputs are the gate of the timer's counter 2
 * and the speaker's switch, its inputs OUT of counter 2 and the memory refresh signal. Guests
 * calibrate their clocks with it: open the gate, poll OUT2.
 *
 * Called by: DeviceClient (vm/standard-pc.ts attaches it).
 */

import { SavedState } from '../../io-request/saved-state.js';
import { readBytes, writeBytes } from '../byte-registers.js';
import type { ByteRegisters } from '../byte-registers.js';
import type { AccessSize, Device } from '../device.js';
import type { Pit8254 } from './pit8254.js';
import { SYSTEM_CONTROL_REGISTERS } from './pit8254-registers.js';

/** Bits that the guest can write. */
const WRITABLE = 0x0f;
const GATE2 = 0x01;
const REFRESH = 0x10;
const OUT2 = 0x20;

/** The refresh signal toggles every 18 PIT ticks (15.085 us), as PC firmware programs counter 1. */
const REFRESH_TICKS = 18;

export class SystemControlPort implements Device, ByteRegisters {
  readonly name = 'system-control-port';
  readonly registers = SYSTEM_CONTROL_REGISTERS;
  readonly #pit: Pit8254;
  #control = 0;

  constructor(pit: Pit8254) {
    this.#pit = pit;
    this.reset();
  }

  read(offset: number, size: AccessSize): number {
    return readBytes(this, offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    writeBytes(this, offset, size, value);
  }

  /** Reading has no side effect here. */
  peek(offset: number): number {
    return this.readByte(offset);
  }

  /** The refresh signal is computed from the time, however the guest programs counter 1. */
  readByte(offset: number): number {
    if (offset !== 0) return 0xff;
    const refresh = Math.floor(this.#pit.ticks / REFRESH_TICKS) % 2 === 1 ? REFRESH : 0;
    return this.#control | refresh | (this.#pit.out2 ? OUT2 : 0);
  }

  writeByte(offset: number, value: number): void {
    if (offset !== 0) return;
    this.#control = value & WRITABLE;
    this.#pit.gate2 = (value & GATE2) !== 0;
  }

  /** The gate's level is the timer's to save. */
  save(): unknown {
    return { control: this.#control };
  }

  restore(state: unknown): void {
    this.#control = new SavedState(this.name, state).byte('control') & WRITABLE;
  }

  reset(): void {
    this.#control = 0;
    this.#pit.gate2 = false;
  }
}
