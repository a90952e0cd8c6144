/** What a scripted vCPU plays: a list of accesses, as plain data that can be sent to its thread. */

import type { AccessSize, MmioAccessSize } from '../../io-request/io-request.js';

/** The value of read number `read` of this round plus `plus`, or the #GPs of this round. */
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
   * An `mmio` write to a page of RAM that was write-protected is the write-protect request that it
   * would be in a guest. `write-protect` is one, whatever `direction` says and whatever is
   * protected.
   */
  readonly type: 'mmio' | 'write-protect';
  readonly direction: 'read' | 'write';
  readonly address: number;
  readonly size: MmioAccessSize;
  /** A bigint for 8 bytes. Default: 0. */
  readonly value?: number | bigint | ScriptValue;
}

/**
 * Halted until interrupt line `line` is high, which this step then leaves as it is. Only vCPU 0
 * gets interrupts.
 */
export interface InterruptStep {
  readonly type: 'wait-for-interrupt';
  readonly line: number;
}

export type ScriptStep = PortStep | MmioStep | InterruptStep;

export interface Script {
  readonly steps: readonly ScriptStep[];
  /** How often the whole list is played; 1 unless given. */
  readonly repeat?: number;
}

/** What a vCPU saw in its last round through the list. */
export interface ScriptResult {
  /** One for each read, in order: the value as it came from the page. */
  readonly values: readonly bigint[];
  /** RAX as a guest would have it that did all its reads there, starting from 0. */
  readonly rax: bigint;
  /**
   * #GPs taken in the last round. An access that got one reads all ones in `values` and leaves RAX
   * as it was.
   */
  readonly faults: number;
  /** Accesses made in all rounds. */
  readonly accesses: number;
  /** From the first access to the last, in ms. */
  readonly elapsedMs: number;
}
