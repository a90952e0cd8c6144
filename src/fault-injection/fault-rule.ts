/**
 * FaultRule: which requests, or which interrupts of a line, go wrong, when, and how; as plain data. fault-rule-text.ts
 * reads and writes them as text, fault-injection.ts carries them out.
 */

import type { DirectionName } from '../io-request/io-request.js';

/** When a rule acts. Only requests that match it are counted; the conditions hold in the order in which they stand here. */
export interface FaultTiming {
  /** In ms since the VM was started: not before. */
  readonly fromMs?: number;
  /** In ms since the VM was started: not from then on. */
  readonly untilMs?: number;
  /** So many pass unharmed first. */
  readonly after?: number;
  /** Of those that follow, each so many-th. */
  readonly every?: number;
  /** Of these, by chance: 0…1. */
  readonly probability?: number;
  /** At most so many. */
  readonly times?: number;
}

/** How a request goes wrong. */
export type RequestFaultWay =
  /** All ones: what a read gives, or a write writes. */
  | { readonly kind: 'ones' }
  | { readonly kind: 'value'; readonly value: bigint }
  /** Without a mask one bit of the access, by chance. */
  | { readonly kind: 'flip'; readonly mask?: bigint }
  /** A read gives again what the same address gave before. */
  | { readonly kind: 'stale' }
  /** The device does its work, but the request is never answered: the time limit finishes it, or nobody. */
  | { readonly kind: 'drop' }
  /** The device does its work at once, and the answer comes so much later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The access reaches the device so much later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The client throws; one with a thread loses its thread. */
  | { readonly kind: 'crash' }
  /** The client is taken out, as a device that is pulled. */
  | { readonly kind: 'remove' };

/** How an interrupt goes wrong: a rising edge of its line. */
export type LineFaultWay =
  | { readonly kind: 'lose' }
  /** A second edge so much later. */
  | { readonly kind: 'duplicate'; readonly ms: number }
  | { readonly kind: 'delay'; readonly ms: number };

/** The first and the last of a range. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

export interface RequestFault extends FaultTiming {
  readonly kind: 'request';
  /** A client's name; `*` stands for any characters. */
  readonly client?: string;
  readonly type?: 'port' | 'mmio' | 'pci' | 'write-protect';
  /** An access with any byte in it; of ports and memory. */
  readonly address?: Span;
  readonly bus?: number;
  readonly device?: number;
  readonly function?: number;
  /** Of a PCI configuration access. */
  readonly register?: Span;
  readonly direction?: DirectionName;
  readonly size?: number;
  readonly vcpu?: number;
  readonly way: RequestFaultWay;
}

export interface LineFault extends FaultTiming {
  readonly kind: 'line';
  /** Global system interrupt, 0…47. */
  readonly line: number;
  readonly way: LineFaultWay;
}

export type FaultRule = RequestFault | LineFault;

/** What is to go wrong in a VM. */
export interface FaultPlan {
  /** Of all chance; a new one each time unless given. */
  readonly seed?: number;
  /** As text (see fault-rule-text.ts) or as data. */
  readonly rules: readonly (string | FaultRule)[];
}
