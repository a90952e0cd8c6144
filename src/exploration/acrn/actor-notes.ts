/**
 * Actor notes: what the explored threads report to the invariants beside their accesses to shared
 * memory. A note is a name and numbers (engine/probe.ts).
 *
 * Called by: the actors, their clients and devices. Invariants has a rule for each name.
 */

import { note } from '../engine/probe.js';

/** By name: what the numbers are. The first is the VM's. */
export interface ActorNotes {
  // Of a vCPU.
  /** The guest starts, also after a reset. */
  readonly starts: [vm: number, vcpu: number];
  /** It begins a read of a port. */
  readonly asks: [vm: number, vcpu: number, port: number];
  /** The read has returned a value. */
  readonly got: [vm: number, vcpu: number, port: number, value: number];
  /** The read was given up without a value: the VM was paused or reset. */
  readonly stopped: [vm: number, vcpu: number];
  /** The guest has no accesses left. */
  readonly ends: [vm: number, vcpu: number];
  // Of the Service VM.
  /** A pass of the worker over the VM's slots begins. */
  readonly pass: [vm: number];
  /** A client is notified of a vCPU's request. */
  readonly notify: [vm: number, client: number, vcpu: number, port: number];
  /** A client's answer was accepted. `ticket`: the number of the assignment. */
  readonly finished: [vm: number, vcpu: number, ticket: number];
  /** A client was removed. */
  readonly disconnected: [vm: number, client: number];
  /** The range that was client `range`'s at first belongs to client `owner` now. */
  readonly owns: [vm: number, range: number, owner: number];
  /**
   * A CLEAR or a reset begins (1) or ends (0). Meanwhile requests may end with the value they have.
   */
  readonly clearing: [vm: number, isBeginning: number];
  /** The VM is about to be destroyed. */
  readonly destroying: [vm: number];
  /** An act of the operator is done: its index in the plan. */
  readonly done: [act: number];
  // Only for people who read a schedule.
  /** The Service VM has set itself up. */
  readonly ready: [];
  /** The VM's devices are reset. */
  readonly reset: [vm: number];
  /** A device in a thread of its own reads a register. */
  readonly serves: [vm: number, client: number, port: number];
}

export type ActorNote = keyof ActorNotes;

export const actorNote: <Name extends ActorNote>(name: Name, ...numbers: ActorNotes[Name]) => void = note;
