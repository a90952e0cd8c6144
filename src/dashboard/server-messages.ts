/**
 * Server messages: the live page server's text messages, which protocol.ts describes and exports.
 */

import type { HoldPoint } from '../debugging/breakpoint.js';
import type { DirectionName, IoRequest } from '../io-request/io-request.js';
import type { BreakpointFields, MoveFilterFields } from './page-messages.js';
import type { Registers } from './register-messages.js';

export type { HoldPoint };

/** A request. */
export interface RequestRow {
  readonly type: IoRequest['type'];
  readonly direction: DirectionName;
  /** Hexadecimal. Of a PCI request `00:1f.2 register 0x10`. */
  readonly address: string;
  /** In bytes. */
  readonly size: number;
  /** Hexadecimal. Of a read that is not answered: that of an earlier access. */
  readonly value: string;
}

/** The first message after `hello`. */
export interface Welcome {
  readonly kind: 'welcome';
  /** PROTOCOL_VERSION of the server. */
  readonly protocol: number;
  /** The version of upcall. */
  readonly version: string;
  readonly vm: {
    readonly name: string;
    readonly vcpus: number;
    readonly memoryBytes: number;
    readonly hypervisor: string;
    /** Whether the page can show and use the guest's console. */
    readonly hasConsole: boolean;
  };
}

/** An address range. Both ends are inclusive. */
export interface RangeRow {
  readonly type: 'port' | 'mmio';
  /** Hexadecimal. */
  readonly first: string;
  readonly last: string;
}

export interface ClientDescription {
  /** Not unique. Slots refer to a client by its index in the list, which is never reused. */
  readonly name: string;
  readonly isDefault: boolean;
  /** Whether its device runs in a thread of its own. */
  readonly isThreaded: boolean;
  readonly isRemoved: boolean;
  /** Whether `peek` returns registers. */
  readonly hasRegisters: boolean;
  readonly ranges: readonly RangeRow[];
}

/** Sent after `welcome` and on each change. The default client is the first. */
export interface Clients {
  readonly kind: 'clients';
  readonly clients: readonly ClientDescription[];
}

export interface Percentiles {
  readonly p50Ns: number;
  readonly p99Ns: number;
}

/** The requests of a client or of a range. */
export interface TableRow {
  readonly name: string;
  /** Requests since the start of the VM. */
  readonly reads: number;
  readonly writes: number;
  readonly perSecond: number;
  /**
   * Time from PENDING to FREE of the requests since the last message. Null: there were no requests.
   */
  readonly recent: Percentiles | null;
  /** The same of all requests so far. */
  readonly all: Percentiles | null;
}

/** The accesses to an address that no client claims. */
export interface UnclaimedRow {
  /** For example `port 0x3ff`. */
  readonly name: string;
  readonly reads: number;
  readonly writes: number;
  readonly perSecond: number;
}

/** Sent to pages that watch `tables`, about four times per second. */
export interface Tables {
  readonly kind: 'tables';
  /** By the clock of FrameOffset.timeMs. */
  readonly timeMs: number;
  /** Time since the last message. `perSecond` and `recent` are of this interval. */
  readonly intervalMs: number;
  readonly requests: number;
  readonly perSecond: number;
  /** Accesses that trapped, including those that the hypervisor answered itself. */
  readonly trapped: number;
  readonly answeredByHypervisor: number;
  /** Accesses of the guest that ended in a fault or lost their request. */
  readonly guestErrors: number;
  /**
   * The stages of the requests since the last message: `wait` from PENDING to PROCESSING, `work` to
   * COMPLETE, `wake` to FREE, and `total` all three.
   */
  readonly latency: Readonly<Record<'wait' | 'work' | 'wake' | 'total', Percentiles | null>>;
  readonly clients: readonly TableRow[];
  readonly ranges: readonly TableRow[];
  readonly unclaimed: readonly UnclaimedRow[];
}

/** A line of the interrupt controllers that has an owner, was counted, or is high. */
export interface InterruptLineRow {
  readonly line: number;
  readonly isHigh: boolean;
  /** Names of the devices with an output to it. */
  readonly owners: readonly string[];
  /** The owners that hold it high now. */
  readonly holders: readonly string[];
  /** How often it rose. Null: the VM does not count it. */
  readonly rises: number | null;
  /** How often the guest ended its interrupt (EOI). Null: the hypervisor does not report it. */
  readonly ends: number | null;
}

/**
 * The interrupt messages (MSI and MSI-X) of one source, a card or a program, and one of its
 * vectors. vm/vm-interrupts.ts describes the fields.
 */
export interface InterruptMessageRow {
  readonly source: string;
  readonly vector: number;
  readonly sent: number;
  readonly refused: number;
  readonly isPending: boolean;
}

/**
 * Sent to pages that watch `interrupts`: at once, and after each change, at most four times per
 * second.
 */
export interface Interrupts {
  readonly kind: 'interrupts';
  readonly lines: readonly InterruptLineRow[];
  readonly messages: readonly InterruptMessageRow[];
  /** Kinds of messages beyond MAX_MESSAGE_ROWS. */
  readonly hiddenMessages: number;
  readonly doorbells: readonly { readonly card: string; readonly writes: number }[];
}

export type StateName = 'FREE' | 'PENDING' | 'PROCESSING' | 'COMPLETE' | 'UNKNOWN';

/** A move: one change of a slot's state. trace/move.ts describes the fields. */
export interface MoveRow {
  readonly timeNs: number;
  /** False if the move has no time of its own: `timeNs` is that of the slot's previous move. */
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

/** Sent to pages that watch `moves`, at most eight times per second. */
export interface Moves {
  readonly kind: 'moves';
  /** The filter that selected them. A page ignores a message with a filter that it has replaced. */
  readonly filter: MoveFilterFields;
  readonly moves: readonly MoveRow[];
  /** Moves that matched or may have matched, and were dropped before or within these. */
  readonly lost: number;
}

/**
 * A breakpoint with its number and its hits (BreakpointState in debugging/armed-breakpoints.ts).
 */
export type BreakpointRow = BreakpointFields & {
  readonly number: number;
  readonly hits: number;
};

/** A request that is held. */
export interface StopRow {
  readonly vcpu: number;
  readonly at: HoldPoint;
  /** The client that will get it, or has answered it. */
  readonly client: string;
  readonly request: RequestRow;
  /** Whether `change` is allowed: a write at PENDING, or a read before COMPLETE. */
  readonly canChange: boolean;
  /** The number of the breakpoint that it hit. Null: a step, or all requests are held. */
  readonly breakpoint: number | null;
  /**
   * The interrupt that the breakpoint matched: `line 4 raised by uart16550`. Null: a breakpoint on
   * requests, or none.
   */
  readonly interrupt: string | null;
  /** By the clock of FrameOffset.timeMs. */
  readonly sinceMs: number;
}

/** What the debugger holds. Sent after `welcome` and on each change, also by another page. */
export interface Stops {
  readonly kind: 'stops';
  readonly holdAll: { readonly pending: boolean; readonly complete: boolean };
  readonly breakpoints: readonly BreakpointRow[];
  readonly stops: readonly StopRow[];
  /** Whether requests stay held when no page is open. Otherwise they continue after `releaseMs`. */
  readonly keepsHeld: boolean;
  readonly releaseMs: number;
}

/** The reply to a message with an `id`, except `peek`. */
export interface Done {
  readonly kind: 'done';
  readonly id: number;
  /** Missing on success. */
  readonly error?: string;
}

/** An event of the VM, in one line of English. */
export interface EventMessage {
  readonly kind: 'event';
  readonly event: string;
  readonly text: string;
}

/** The VM has ended. The connection stays open until the process ends. */
export interface Ended {
  readonly kind: 'ended';
  readonly reason: string;
  readonly message: string;
}

export type ServerMessage =
  Welcome | Clients | Tables | Interrupts | Moves | Stops | Registers | Done | EventMessage | Ended;
