/**
 * VectorRegisters: the interrupts on their way through a local APIC. A vector is requested (IRR),
 * then in service (ISR) until its end. TMR remembers which vectors came as levels.
 *
 * Called by: LocalApic.
 *
 * A vector's upper four bits are its priority class. Source: Intel SDM volume 3, "Interrupt, Task,
 * and Processor Priority".
 */

import { SavedState } from '../../io-request/saved-state.js';
import { VectorSet, WORDS } from './vector-set.js';

/** What `pending` and `end` return if there is no vector. */
export const NONE = -1;
const CLASS = 0xf0;

export class VectorRegisters {
  readonly requested = new VectorSet();
  readonly inService = new VectorSet();
  /** TMR. */
  readonly level = new VectorSet();

  request(vector: number, isLevel: boolean): void {
    this.requested.add(vector);
    if (isLevel) this.level.add(vector);
    else this.level.delete(vector);
  }

  /**
   * PPR: the task priority, or the class of the highest vector in service if that class is higher.
   */
  processorPriority(taskPriority: number): number {
    const inService = Math.max(0, this.inService.highest) & CLASS;
    return (taskPriority & CLASS) >= inService ? taskPriority : inService;
  }

  /** The highest requested vector if its class is above the processor's priority, or NONE. */
  pending(taskPriority: number): number {
    const vector = this.requested.highest;
    if (vector === NONE) return NONE;
    return (vector & CLASS) > (this.processorPriority(taskPriority) & CLASS) ? vector : NONE;
  }

  /** The CPU takes `vector`. */
  take(vector: number): void {
    this.requested.delete(vector);
    this.inService.add(vector);
  }

  /** Ends the highest vector in service. Returns it, or NONE. */
  end(): number {
    const vector = this.inService.highest;
    if (vector !== NONE) this.inService.delete(vector);
    return vector;
  }

  save(): unknown {
    return { requested: this.requested.save(), inService: this.inService.save(), level: this.level.save() };
  }

  restore(state: unknown): void {
    const from = new SavedState('local APIC vectors', state);
    const words = (name: string) => from.integers(name, WORDS, -0x8000_0000, 0x7fff_ffff);
    this.requested.restore(words('requested'));
    this.inService.restore(words('inService'));
    this.level.restore(words('level'));
  }
}
