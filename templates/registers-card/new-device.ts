/**
 * A PCI card with the registers of new-device.registers.ts. They keep what is written, as their map
 * says. Add what your card does.
 *
 * The guest is hostile: it makes accesses of any offset, size and value. An access that reaches no
 * register is answered as a bus does: reads give all ones, writes are ignored.
 */

import { allOnes, type AccessSize, type CardHandle, type PciCard, type PciDescription } from 'upcall';
import { registers, type RegisterName } from './new-device.registers.ts';
import { RegisterState, type Values } from './new-device.state.ts';

export default class NewDevice implements PciCard {
  readonly name = 'new-device';
  readonly pci: PciDescription = {
    vendor: 0x1234,
    device: 0x0001,
    class: 0xff_00_00,
    bars: [{ type: 'memory', size: RANGE_LENGTH }],
    // QEMU 11.1 aborts when it removes a card with MSI-X from a running machine.
    msi: 1,
    interruptPin: 'A',
  };
  readonly registers = registers;
  readonly #state = new RegisterState();
  #card: CardHandle | undefined;

  connect(card: CardHandle): void {
    this.#card = card;
  }

  read(_bar: number, offset: number, size: AccessSize): number {
    const register = this.#state.at('r', offset, size);
    return register === undefined ? allOnes(size) : this.#state.read(register);
  }

  /** What `read` returns, for people who look at registers. It must have no effect. */
  peek(_bar: number, offset: number, size: AccessSize): number {
    const register = this.#state.at('r', offset, size);
    return register === undefined ? allOnes(size) : this.#state.get(register.name);
  }

  write(_bar: number, offset: number, size: AccessSize, value: number): void {
    const register = this.#state.at('w', offset, size);
    if (register === undefined) return;
    this.#state.write(register, value);
    this.#written(register.name, value);
  }

  /** Also the state at power on. */
  reset(): void {
    this.#state.reset();
  }

  /** For `--watch`: the state that the class goes on with after a change of this file. */
  save(): Values {
    return this.#state.save();
  }

  restore(values: Values): void {
    this.#state.restore(values);
  }

  /** What a write does beside storing: this.#state.set(…), this.#card?.interrupt(). */
  #written(name: RegisterName, value: number): void {
    switch (name) {
      default:
        void value;
    }
  }
}
