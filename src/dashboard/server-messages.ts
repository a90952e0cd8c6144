/** Server messages: what the live page's server sends as text; protocol.ts exports them too. */

import type { HoldPoint } from '../debugging/breakpoint.js';
import type { DirectionName, IoRequest } from '../io-request/io-request.js';
import type { BreakpointFields, MoveFilterFields } from './page-messages.js';

export type { HoldPoint };

export interface RequestRow {
  readonly type: IoRequest['type'];
  readonly direction: DirectionName;
  /** Of PCI `00:1f.2 register 0x10`. */
  readonly address: string;
  readonly size: number;
  readonly value: string;
}

export interface Welcome {
  readonly kind: 'welcome';
  readonly protocol: number;
  /** Of upcall. */
  readonly version: string;
  readonly vm: {
    readonly name: string;
    readonly vcpus: number;
    readonly memoryBytes: number;
    readonly hypervisor: string;
    /** False: nothing that is typed reaches the guest. */
    readonly hasConsole: boolean;
  };
}

export interface RangeRow {
  readonly type: 'port' | 'mmio';
  readonly first: string;
  readonly last: string;
}

export interface ClientDescription {
  /** Names need not be different; the index in the list is what slots say. An index is never given to another client. */
  readonly name: string;
  readonly isDefault: boolean;
  /** In a thread of its own. */
  readonly isThreaded: boolean;
  /** Taken out. */
  readonly isGone: boolean;
  /** Whether `peek` gives something. */
  readonly hasRegisters: boolean;
  readonly ranges: readonly RangeRow[];
}

/** After `welcome`, and whenever something of it changes. The default client is the first. */
export interface Clients {
  readonly kind: 'clients';
  readonly clients: readonly ClientDescription[];
}

export interface Percentiles {
  readonly p50Ns: number;
  readonly p99Ns: number;
}

export interface TableRow {
  readonly name: string;
  readonly reads: number;
  readonly writes: number;
  readonly perSecond: number;
  /** PENDING to FREE, of the requests since the last message; null without any. */
  readonly recent: Percentiles | null;
  /** The same of all requests so far. */
  readonly all: Percentiles | null;
}

export interface UnclaimedRow {
  /** `port 0x3ff`. */
  readonly name: string;
  readonly reads: number;
  readonly writes: number;
  readonly perSecond: number;
}

/** Four times a second to who watches `tables`. */
export interface Tables {
  readonly kind: 'tables';
  /** Of the same clock as FrameOffset.timeMs. */
  readonly timeMs: number;
  /** Since the message before: what `perSecond` and `recent` are of. */
  readonly intervalMs: number;
  readonly requests: number;
  readonly perSecond: number;
  /** Accesses that trapped, and those of them that the hypervisor answered itself. */
  readonly trapped: number;
  readonly answeredByHypervisor: number;
  readonly guestErrors: number;
  /** Stages of the requests since the last message: PENDING → PROCESSING → COMPLETE → FREE, and all of it. */
  readonly latency: Readonly<Record<'wait' | 'work' | 'wake' | 'total', Percentiles | null>>;
  readonly clients: readonly TableRow[];
  readonly ranges: readonly TableRow[];
  readonly unclaimed: readonly UnclaimedRow[];
}

export type StateName = 'FREE' | 'PENDING' | 'PROCESSING' | 'COMPLETE' | 'UNKNOWN';

export interface MoveRow {
  readonly timeNs: number;
  /** False in a burst for a move whose time was not taken; `timeNs` is then that of the move before. */
  readonly isTimed: boolean;
  readonly vcpu: number;
  readonly from: StateName;
  readonly to: StateName;
  readonly by: 'vcpu' | 'hsm' | 'client';
  readonly client: string | null;
  readonly request: RequestRow | null;
  /** The same for all moves of one request. */
  readonly requestNumber: number;
  readonly isRefused: boolean;
}

/** Up to sixteen times a second to who watches `moves`. */
export interface Moves {
  readonly kind: 'moves';
  /** What they were chosen by: those on their way when the page asks for others are told from the others. */
  readonly filter: MoveFilterFields;
  readonly moves: readonly MoveRow[];
  /** Moves that fitted the filter or might have, and are left out before or within these. */
  readonly lost: number;
}

export interface BreakpointRow extends BreakpointFields {
  readonly number: number;
  readonly hits: number;
}

/** A request that is held. */
export interface StopRow {
  readonly vcpu: number;
  readonly at: HoldPoint;
  /** Who is to get it or has answered it. */
  readonly client: string;
  readonly request: RequestRow;
  /** Whether `change` may be asked: a write at PENDING, a read before COMPLETE. */
  readonly canChange: boolean;
  /** The breakpoint that stopped it; null: a step, or all are held. */
  readonly breakpoint: number | null;
  /** Of the same clock as FrameOffset.timeMs. */
  readonly sinceMs: number;
}

/** After `welcome`, and whenever something of it changes, whoever changed it. */
export interface Stops {
  readonly kind: 'stops';
  readonly holdAll: { readonly pending: boolean; readonly complete: boolean };
  readonly breakpoints: readonly BreakpointRow[];
  readonly stops: readonly StopRow[];
}

export interface RegisterRow {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly access: 'r' | 'w' | 'rw';
  readonly meaning: string;
  /** Null: cannot be looked at without a side effect. */
  readonly value: string | null;
  readonly fields: readonly {
    readonly bits: readonly [number, number];
    readonly name: string;
    readonly meaning: string;
  }[];
}

/** The answer to `peek`. */
export interface Registers {
  readonly kind: 'registers';
  readonly id: number;
  readonly client: number;
  /** The data sheet; empty without one. */
  readonly source: string;
  /** False: the device's thread did not answer in time. */
  readonly isAnswered: boolean;
  readonly registers: readonly RegisterRow[];
}

export interface Done {
  readonly kind: 'done';
  readonly id: number;
  /** Left out: it was done. */
  readonly error?: string;
}

/** Something worth knowing about the VM, in one line of English. */
export interface VmNews {
  readonly kind: 'event';
  readonly event: string;
  readonly text: string;
}

/** The VM is gone. The connection stays until the process ends. */
export interface Ended {
  readonly kind: 'ended';
  readonly reason: string;
  readonly message: string;
}

export type ServerMessage = Welcome | Clients | Tables | Moves | Stops | Registers | Done | VmNews | Ended;
