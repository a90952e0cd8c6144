/**
 * DebugExit: port 0xF4, where a test guest writes its result and powers the machine off. ACRN's
 * device model has the same port (`--debugexit`), where reads give 0xFFFF.
 *
 * Callers must: attach four ports. Many guests write 32 bits, and the whole access must lie in the
 * range.
 *
 * `exitCode` is the value as the guest wrote it. Guests for QEMU's `isa-debug-exit` expect the exit
 * status `(value << 1) | 1` of their emulator. A program that exits on behalf of the guest has to
 * choose.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { allOnes } from '../device.js';
import type { AccessSize, Device, PowerControl } from '../device.js';
import type { RegisterMap } from '../register-map.js';

export const DEBUG_EXIT_REGISTERS: RegisterMap = {
  source: 'ACRN device model, debug exit; the port of QEMU isa-debug-exit as most guests configure it',
  registers: [{ offset: 0, size: 1, name: 'EXIT', access: 'rw', meaning: 'a write powers off, with this exit code' }],
};

/** ACRN's answer to a read. */
const READ_VALUE = 0xffff;

export class DebugExit implements Device {
  readonly name = 'debug-exit';
  readonly registers = DEBUG_EXIT_REGISTERS;
  readonly #power: PowerControl;
  #exitCode: number | undefined;

  constructor(options: { readonly power: PowerControl }) {
    this.#power = options.power;
  }

  /**
   * The first value that the guest wrote since the last reset, up to 32 bits. Undefined if it wrote
   * none.
   */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Reading has no side effect here. */
  peek(offset: number, size: AccessSize): number {
    return this.read(offset, size);
  }

  read(_offset: number, size: AccessSize): number {
    return (READ_VALUE & allOnes(size)) >>> 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    // The first result counts: vCPUs may run on for a moment, and another one may write as well.
    if (offset !== 0 || this.#exitCode !== undefined) return;
    this.#exitCode = value;
    this.#power.powerOff(`the guest wrote ${value} to the debug exit port`);
  }

  save(): unknown {
    return { exitCode: this.#exitCode ?? null };
  }

  restore(state: unknown): void {
    const from = new SavedState(this.name, state);
    this.#exitCode = from.optional('exitCode', () => from.integer('exitCode', 0, 0xffff_ffff));
  }

  reset(): void {
    this.#exitCode = undefined;
  }
}
