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
  readonly #gate: Gate;

  constructor(memory: GuestMemory, gate: Gate) {
    super(memory.handle);
    this.#gate = gate;
  }

  override write(address: number, data: Uint8Array): void {
    if (!this.#gate.isEnded) super.write(address, data);
  }

  override writeU8(address: number, value: number): void {
    if (!this.#gate.isEnded) super.writeU8(address, value);
  }

  override writeU16(address: number, value: number): void {
    if (!this.#gate.isEnded) super.writeU16(address, value);
  }

  override writeU32(address: number, value: number): void {
    if (!this.#gate.isEnded) super.writeU32(address, value);
  }

  override fill(value: number, address?: number, length?: number): void {
    if (!this.#gate.isEnded) super.fill(value, address, length);
  }
}
