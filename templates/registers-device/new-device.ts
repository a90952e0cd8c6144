/**
 * A device with the registers of new-device.registers.ts. They keep what is written, as their map
 * says. Add what your device does.
 *
 * The guest is hostile: it makes accesses of any offset, size and value. An access that reaches no
 * register is answered as a bus does: reads give all ones, writes are ignored.
 */

import { allOnes, type AccessSize, type Device, type DeviceContext, type InterruptLine } from 'upcall';
import { registers, type RegisterName } from './new-device.registers.ts';
import { RegisterState, type Values } from './new-device.state.ts';

export interface NewDeviceOptions {
  /** The interrupt line: `--device FILE@RANGE,line=5`. Default: 5. */
  readonly line?: number;
}

export default class NewDevice implements Device {
  readonly name = 'new-device';
  readonly registers = registers;
  readonly #state = new RegisterState();
  readonly #interrupt: InterruptLine;

  constructor(context: Pick<DeviceContext, 'interruptLine'>, options: NewDeviceOptions = {}) {
    this.#interrupt = context.interruptLine(options.line ?? 5);
  }

  read(offset: number, size: AccessSize): number {
    const register = this.#state.at('r', offset, size);
    return register === undefined ? allOnes(size) : this.#state.read(register);
  }

  /** What `read` returns, for people who look at registers. It must have no effect. */
  peek(offset: number, size: AccessSize): number {
    const register = this.#state.at('r', offset, size);
    return register === undefined ? allOnes(size) : this.#state.get(register.name);
  }

  write(offset: number, size: AccessSize, value: number): void {
    const register = this.#state.at('w', offset, size);
    if (register === undefined) return;
    this.#state.write(register, value);
    this.#written(register.name, value);
  }

  /** Also the state at power on. */
  reset(): void {
    this.#state.reset();
    this.#interrupt.set(false);
  }

  /** For `--watch`: the state that the class goes on with after a change of this file. */
  save(): Values {
    return this.#state.save();
  }

  restore(values: Values): void {
    this.#state.restore(values);
  }

  /** What a write does beside storing: this.#state.set(…), this.#interrupt.set(true). */
  #written(name: RegisterName, value: number): void {
    switch (name) {
      default:
        void value;
    }
  }
}
