/**
 * GuestProgram: what a vCPU of a hypervisor under test does, as a list of steps. It is data,
 * because hypervisors differ in how a guest gets its program: one plays the list, another executes
 * machine code that is assembled from it.
 *
 * The values that a guest reads are numbered from 0 in the order in which it reads them. Each
 * element of a string instruction has a number of its own. A guest reports what it read by writing
 * it to a port or an address.
 */

import type { AccessSize, MmioAccessSize } from '../../io-request/io-request.js';

/** A constant, the value with number `read`, or the #GPs that the guest has got so far. */
export type GuestValue = number | bigint | { readonly read: number } | 'faults';

/** IN and OUT. */
export interface PortAccess {
  readonly op: 'in';
  readonly port: number;
  readonly size: AccessSize;
}
export interface PortStore {
  readonly op: 'out';
  readonly port: number;
  readonly size: AccessSize;
  readonly value: GuestValue;
}

/** A load or a store outside of RAM. An access of 8 bytes is one instruction. */
export interface MemoryLoad {
  readonly op: 'load';
  readonly address: number;
  readonly size: MmioAccessSize;
}
export interface MemoryStore {
  readonly op: 'store';
  readonly address: number;
  readonly size: MmioAccessSize;
  readonly value: GuestValue;
}

/**
 * One instruction that loads and stores. `add` stores the loaded value plus `value`, cut to the
 * size, and gives the guest no value to report. `exchange` stores `value`, and the guest has read
 * the old value.
 */
export interface ReadModifyWrite {
  readonly op: 'add' | 'exchange';
  readonly address: number;
  readonly size: AccessSize;
  readonly value: number;
}

/**
 * A string instruction that reads `count` elements: from one port, or from addresses that go up.
 */
export type StringRead = { readonly size: AccessSize; readonly count: number } & (
  { readonly op: 'ins'; readonly port: number } | { readonly op: 'load-string'; readonly address: number }
);

/** A string instruction that writes `values`: to one port, or to addresses that go up. */
export type StringWrite = { readonly size: AccessSize; readonly values: readonly number[] } & (
  { readonly op: 'outs'; readonly port: number } | { readonly op: 'store-string'; readonly address: number }
);

/**
 * Halts until interrupt line `line` is raised: 3 to 15, not 9, because a PC has 0 to 2 and 9 for
 * the timer, the keyboard, the cascade of its controllers and ACPI. A line that was raised since
 * the last `wait` for it does not halt the guest. vCPU 0 only. A case makes an access before its
 * first `wait`, which shows that the guest has set up its controllers, and lowers the line before
 * the next `wait` for it.
 */
export interface Wait {
  readonly op: 'wait';
  readonly line: number;
}

/** The CPU shuts down, as by a triple fault. */
export interface ShutDown {
  readonly op: 'shut-down';
}

export type GuestStep =
  PortAccess | PortStore | MemoryLoad | MemoryStore | ReadModifyWrite | StringRead | StringWrite | Wait | ShutDown;

/**
 * After its last step a guest halts with interrupts off, or begins again if `forever` is set.
 */
export interface GuestProgram {
  readonly steps: readonly GuestStep[];
  readonly forever?: boolean;
}

/** How many values a guest reads in this step. */
export function readsOf(step: GuestStep): number {
  switch (step.op) {
    case 'in':
    case 'load':
    case 'exchange':
      return 1;
    case 'ins':
    case 'load-string':
      return step.count;
    default:
      return 0;
  }
}
