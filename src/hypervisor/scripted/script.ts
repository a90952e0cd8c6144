/**
 * Script: what a scripted vCPU plays, as plain data that survives structured cloning.
 *
 * Called by: programs that create a ScriptedHypervisor; ScriptPlayer, which plays it.
 */

import type { AccessSize, MmioAccessSize } from '../../io-request/io-request.js';

/**
 * The value of read number `read` (from 0) of this round plus `plus`, or the number of #GPs in this
 * round until now.
 */
export type ScriptValue = { readonly read: number; readonly plus?: number } | 'faults';

export interface PortStep {
  readonly type: 'port';
  readonly direction: 'read' | 'write';
  readonly address: number;
  readonly size: AccessSize;
  /** Writes only. Default: 0. */
  readonly value?: number | ScriptValue;
}

export interface MmioStep {
  /**
   * An `mmio` write to a write-protected page of RAM makes a write-protect request, as in a guest.
   * `write-protect` always makes one. Its `direction` is ignored.
   */
  readonly type: 'mmio' | 'write-protect';
  readonly direction: 'read' | 'write';
  readonly address: number;
  readonly size: MmioAccessSize;
  /** A bigint for 8 bytes. Default: 0. */
  readonly value?: number | bigint | ScriptValue;
}

/**
 * Halts until interrupt line `line` is high, and leaves the line alone. Only vCPU 0 gets
 * interrupts.
 */
export interface InterruptStep {
  readonly type: 'wait-for-interrupt';
  readonly line: number;
}

export type ScriptStep = PortStep | MmioStep | InterruptStep;

export interface Script {
  readonly steps: readonly ScriptStep[];
  /** How often the list is played. Default: 1. */
  readonly repeat?: number;
}

/** What a vCPU's script has come to. `values` and `faults` are those of the last round. */
export interface ScriptResult {
  /** The value of each read as it came from the page, in order. */
  readonly values: readonly bigint[];
  /** RAX of a guest that reads into RAX only, after all rounds. It begins with 0. */
  readonly rax: bigint;
  /** #GPs in the last round. A read that got one is all ones in `values` and leaves RAX alone. */
  readonly faults: number;
  /** Accesses of all rounds. */
  readonly accesses: number;
  /** From the start of the vCPU to the end of its script, in ms. */
  readonly elapsedMs: number;
}
