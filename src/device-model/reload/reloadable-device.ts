/**
 * ReloadableDevice: a device whose class can be exchanged while its VM runs. It stays attached, and
 * passes each access on to the current generation.
 *
 * Called by: DeviceClient and the VM, as any device; DeviceReloader, which exchanges generations.
 */

import type { AccessSize, Device } from '../device.js';
import type { RegisterMap } from '../register-map.js';
import type { Generation, Reloadable } from './generation.js';
import { OpenAccesses } from './open-accesses.js';

/** A Device. Which of the optional members it has depends on the current generation. */
export class ReloadableDevice
  implements Pick<Device, 'name' | 'read' | 'write' | 'reset' | 'close'>, Reloadable<Device>
{
  /** That of the first generation: tables and traces go on under it. */
  readonly name: string;
  readonly accesses = new OpenAccesses();
  #current: Generation<Device>;
  #device: Device;
  #peek: Device['peek'];

  constructor(first: Generation<Device>) {
    this.name = first.device.name;
    this.#current = first;
    this.#device = first.device;
    this.#peek = peekOf(first.device);
  }

  get current(): Generation<Device> {
    return this.#current;
  }

  get registers(): RegisterMap | undefined {
    return this.#device.registers;
  }

  get peek(): Device['peek'] {
    return this.#peek;
  }

  get stateVersion(): number | undefined {
    return this.#device.stateVersion;
  }

  read(offset: number, size: AccessSize): number | Promise<number> {
    const value = this.#device.read(offset, size);
    return typeof value === 'number' ? value : this.accesses.track(value);
  }

  write(offset: number, size: AccessSize, value: number): void | Promise<void> {
    const written = this.#device.write(offset, size, value);
    return written === undefined ? undefined : this.accesses.track(written);
  }

  reset(): void {
    this.#device.reset?.();
  }

  get save(): Device['save'] {
    return this.#device.save?.bind(this.#device);
  }

  get restore(): Device['restore'] {
    return this.#device.restore?.bind(this.#device);
  }

  close(): void {
    this.accesses.end();
    try {
      this.#device.close?.();
    } finally {
      this.#current.gate.end();
    }
  }

  refusal(): undefined {
    return undefined;
  }

  connectNext(): void {
    // A device has got its context when it was created.
  }

  exchange(next: Generation<Device>): void {
    this.#current = next;
    this.#device = next.device;
    this.#peek = peekOf(next.device);
  }
}

/** Undefined for a device without the method, which a person would see as unknown values. */
function peekOf(device: Device): Device['peek'] {
  return device.peek?.bind(device);
}
