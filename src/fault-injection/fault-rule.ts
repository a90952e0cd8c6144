/**
 * FaultRule: which requests, interrupts of a line, operations of a disk or frames of a network card
 * fail, when and how. Plain data.
 *
 * Read by: fault-rule-text.ts, which parses and prints it as text; fault-injection.ts and the files
 * around it, which apply it. Programs may write it as `FaultPlan.rules`.
 */

import type { DirectionName } from '../io-request/io-request.js';

/**
 * When a rule applies. It counts only the requests, edges, operations or frames that it selects.
 * The conditions apply in this order.
 */
export interface FaultTiming {
  /** In ms since the start of the VM. Default: 0. */
  readonly fromMs?: number;
  /** In ms since the start of the VM, exclusive. Default: no end. */
  readonly untilMs?: number;
  /** The first N do not fail. Default: 0. */
  readonly after?: number;
  /** Of the others, every Nth. Default: 1. */
  readonly every?: number;
  /** Of these, each with this probability, 0…1. Default: 1. */
  readonly probability?: number;
  /** At most N fail. Default: no limit. */
  readonly times?: number;
}

/** How a request fails. */
export type RequestFaultEffect =
  /** A read returns, or a write writes, all ones. */
  | { readonly kind: 'ones' }
  /** A read returns, or a write writes, this value, truncated to the access. */
  | { readonly kind: 'value'; readonly value: bigint }
  /** Flips these bits. Default: one random bit of the access. */
  | { readonly kind: 'flip'; readonly mask?: bigint }
  /**
   * A read returns the value of the last read of this address. The first one returns its own value,
   * and does not count.
   */
  | { readonly kind: 'stale' }
  /**
   * The device handles the access, but its answer is dropped. Only the time limit or a reset
   * finishes the request.
   */
  | { readonly kind: 'drop' }
  /** The device handles the access at once, and the answer comes later. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** The access reaches the device later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The client throws. A client with its own thread loses the thread. */
  | { readonly kind: 'crash' }
  /** The client is removed, like a device that is unplugged. */
  | { readonly kind: 'remove' };

/** How a rising edge of an interrupt line fails. */
export type LineFaultEffect =
  /** The line stays low until the device lowers and raises it again. */
  | { readonly kind: 'lose' }
  /** A second edge follows later. */
  | { readonly kind: 'duplicate'; readonly ms: number }
  /** The edge comes later, also if the device has lowered the line by then. */
  | { readonly kind: 'delay'; readonly ms: number };

/** A range; both ends are inclusive. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/** Selects the requests for which all fields that are present match. */
export interface RequestFault extends FaultTiming {
  readonly kind: 'request';
  /** A client's name. `*` matches any characters. */
  readonly client?: string;
  readonly type?: 'port' | 'mmio' | 'pci' | 'write-protect';
  /** An access with any byte in the range. PCI requests have no address. */
  readonly address?: Span;
  readonly bus?: number;
  readonly device?: number;
  readonly function?: number;
  /** Of a PCI configuration access. */
  readonly register?: Span;
  readonly direction?: DirectionName;
  readonly size?: number;
  readonly vcpu?: number;
  readonly effect: RequestFaultEffect;
}

/** Selects the rising edges of a line. */
export interface LineFault extends FaultTiming {
  readonly kind: 'line';
  /** Global system interrupt, 0…47. */
  readonly line: number;
  readonly effect: LineFaultEffect;
}

/** How an operation of a disk fails. */
export type DiskFaultEffect =
  /** It is not performed, and the driver gets an I/O error. */
  | { readonly kind: 'error' }
  /** It is performed later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** It is performed, and the driver gets no answer until the VM is reset or ends. */
  | { readonly kind: 'drop' }
  /** One random bit of the data is flipped: of what is read, or of what is stored. */
  | { readonly kind: 'flip' };

export const DISK_OPERATIONS = ['read', 'write', 'discard', 'flush'] as const;
/** `discard` includes writing zeros without data. */
export type DiskOperation = (typeof DISK_OPERATIONS)[number];

/** Selects the operations of a disk, as the card makes them: it divides those that are too long. */
export interface DiskFault extends FaultTiming {
  readonly kind: 'disk';
  /** The card's name, such as `virtio-blk`. `*` matches any characters. */
  readonly disk: string;
  readonly operation?: DiskOperation;
  /** Operations on any of these sectors of 512 bytes. A flush has none. */
  readonly sectors?: Span;
  readonly effect: DiskFaultEffect;
}

/** How a frame on its way between a network card and its network fails. */
export type NetFaultEffect =
  /** It is lost. */
  | { readonly kind: 'drop' }
  /** It comes a second time, after `ms`. */
  | { readonly kind: 'duplicate'; readonly ms: number }
  /** It comes later, after frames that followed it. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** One random bit of it is flipped. */
  | { readonly kind: 'flip' };

/** `send`: from the guest. `receive`: to it. */
export type FrameWay = 'send' | 'receive';

/** Selects the frames of a network card. */
export interface NetFault extends FaultTiming {
  readonly kind: 'net';
  /** The card's name, such as `virtio-net`. `*` matches any characters. */
  readonly net: string;
  readonly way?: FrameWay;
  readonly effect: NetFaultEffect;
}

export type FaultRule = RequestFault | LineFault | DiskFault | NetFault;

/** The faults of a VM. */
export interface FaultPlan {
  /** Seed of all random choices. Default: a new one each time. */
  readonly seed?: number;
  /** As text (see fault-rule-text.ts) or as data. */
  readonly rules: readonly (string | FaultRule)[];
}
