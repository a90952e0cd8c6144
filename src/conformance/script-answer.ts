/**
 * ScriptAnswer: the answer to one command of a conformance script, one line of output as JSON.
 * conformance/README.md has its format. The recorded answers of Linux' driver have the same format.
 */

import type { UserVmEvent } from '../vm/user-vm-events.js';
import type { KernelClientEvent } from './kernel-client.js';

export type ScriptEvent =
  | KernelClientEvent
  | { readonly notify: readonly [vm: number, vcpu: number] }
  /** CLEAR sleeps, in ms. */
  | { readonly sleep: number }
  /** A report of the HSM. `bad-range`: the driver's log line about a range that it refuses. */
  | { readonly log: UserVmEvent['kind'] | 'bad-range' }
  // The following only if a script uses /dev/acrn_hsm.
  /** A descriptor whose eventfd was signalled. */
  | { readonly signal: number }
  | { readonly msi: readonly [address: string, data: string] }
  | { readonly line: readonly [gsi: number, operation: number] }
  /** The vCPU of SET_VCPU_REGS. */
  | { readonly regs: number }
  /** The result of an ATTACH_IOREQ_CLIENT that returns. */
  | { readonly attach: number };

/** What a command adds to its line of output. */
export interface ScriptExtra {
  /** Of `dump`: the fields of slots. */
  slots?: object[];
  /** Of `hex`: the bytes of a slot. */
  hex?: string;
  /** Of `ioctl`: the bytes of the structure that the driver wrote back. */
  argument?: string;
}

/** 0 or −errno. `waits`: ATTACH_IOREQ_CLIENT has not returned. */
export type ScriptResult = number | 'waits';

/** One line of output. */
export interface ScriptAnswer extends Readonly<ScriptExtra> {
  /** The command. */
  readonly op: string;
  readonly ret: ScriptResult;
  readonly events: readonly ScriptEvent[];
  /**
   * The current VM, the states of its slots, the slots of each client (a bitmap), its PCI address
   * register.
   */
  readonly vm: number;
  readonly states: readonly number[];
  readonly maps: Readonly<Record<string, string>>;
  readonly cf8: string;
}

export function hexBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
