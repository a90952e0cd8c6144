/**
 * GatedMemory: guest memory as one generation of a reloaded device gets it. Once the generation was
 * replaced, its writes go nowhere.
 *
 * Called by: gated-context.ts and gated-handle.ts. Stores through `bytes` cannot be stopped: a
 * device that keeps it must end its own work in `close`.
 */

import { GuestMemory } from '../../hypervisor/guest-memory.js';
import type { Gate } from './gate.js';

export class GatedMemory extends GuestMemory {
  readonly #memory: GuestMemory;
  readonly #gate: Gate;

  constructor(memory: GuestMemory, gate: Gate) {
    super(memory.handle);
    this.#memory = memory;
    this.#gate = gate;
  }

  // Reads are those of the memory itself, which may lie in regions (region-memory.ts).

  override contains(address: number, length: number): boolean {
    return this.#memory.contains(address, length);
  }

  override isRemote(address: number): boolean {
    return this.#memory.isRemote(address);
  }

  override readInto(address: number, target: Uint8Array): void {
    this.#memory.readInto(address, target);
  }

  override read(address: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#memory.read(address, length);
  }

  override readU8(address: number): number {
    return this.#memory.readU8(address);
  }

  override readU16(address: number): number {
    return this.#memory.readU16(address);
  }

  override readU32(address: number): number {
    return this.#memory.readU32(address);
  }

  override write(address: number, data: Uint8Array): void {
    if (!this.#gate.isEnded) this.#memory.write(address, data);
  }

  override writeU8(address: number, value: number): void {
    if (!this.#gate.isEnded) this.#memory.writeU8(address, value);
  }

  override writeU16(address: number, value: number): void {
    if (!this.#gate.isEnded) this.#memory.writeU16(address, value);
  }

  override writeU32(address: number, value: number): void {
    if (!this.#gate.isEnded) this.#memory.writeU32(address, value);
  }

  override fill(value: number, address?: number, length?: number): void {
    if (!this.#gate.isEnded) this.#memory.fill(value, address, length);
  }
}
