/** What the live view's page says to its server; see protocol.ts, which exports it too. */

export interface RequestRow {
  readonly type: 'port' | 'mmio' | 'pci' | 'write-protect';
  readonly direction: 'read' | 'write';
  /** Of PCI `00:1f.2 register 0x10`. */
  readonly address: string;
  readonly size: number;
  readonly value: string;
}

export type HoldPoint = 'pending' | 'complete';

/** All that are given have to hold. */
export interface BreakpointFields {
  /** `pending`: before the request is given to its client. `complete`: the answer is known and not yet given. */
  readonly at: HoldPoint;
  readonly client?: string;
  readonly type?: RequestRow['type'];
  /** An access with any byte in first…last; `last` is `first` unless given. PCI requests have no address. */
  readonly first?: string;
  readonly last?: string;
  readonly direction?: 'read' | 'write';
  readonly vcpu?: number;
  /** What is written; of a read, before COMPLETE, what it gives. */
  readonly value?: string;
  /** For instance `size == 1 && (value & 0x80) != 0`; docs/live-page.md has the language. */
  readonly expression?: string;
}

export interface Hello {
  readonly kind: 'hello';
  readonly token: string;
}

/** All that are given have to hold. */
export interface MoveFilterFields {
  readonly client?: string;
  readonly type?: RequestRow['type'];
  /** Both inclusive, both or neither. */
  readonly first?: string;
  readonly last?: string;
  readonly vcpu?: number;
  readonly direction?: 'read' | 'write';
}

/** What to send from now on; nothing until it is asked for, and nothing while the page is not to be seen, please. */
export interface Watch {
  readonly kind: 'watch';
  readonly slots: boolean;
  readonly tables: boolean;
  /** Null: none. */
  readonly moves: MoveFilterFields | null;
}

/** Whose bytes to add to the slots' frames; null: nobody's. */
export interface Inspect {
  readonly kind: 'inspect';
  readonly vcpu: number | null;
}

/** Looks at a device's registers, without any effect on it. */
export interface Peek {
  readonly kind: 'peek';
  readonly id: number;
  /** Index in `clients`. */
  readonly client: number;
}

/** For the guest's console; sent as UTF-8. */
export interface TypeText {
  readonly kind: 'type';
  readonly text: string;
}

/** Every request from now on, or none but those of breakpoints. Nobody is let go by it. */
export interface HoldAll {
  readonly kind: 'hold-all';
  readonly id: number;
  readonly pending: boolean;
  readonly complete: boolean;
}

export interface AddBreakpoint {
  readonly kind: 'break';
  readonly id: number;
  readonly breakpoint: BreakpointFields;
}

export interface RemoveBreakpoint {
  readonly kind: 'unbreak';
  readonly id: number;
  readonly number: number;
}

/** Another value for a held request; see StopRow.canChange. */
export interface ChangeValue {
  readonly kind: 'change';
  readonly id: number;
  readonly vcpu: number;
  readonly value: string;
}

/** Lets a held request go; null: all of them. */
export interface Go {
  readonly kind: 'go';
  readonly id: number;
  readonly vcpu: number | null;
}

/** The same, until its next stop: before its COMPLETE, or else its vCPU's next request. */
export interface Step {
  readonly kind: 'step';
  readonly id: number;
  readonly vcpu: number;
}

/** No breakpoints, nothing held. */
export interface Detach {
  readonly kind: 'detach';
  readonly id: number;
}

export type PageMessage =
  | Hello
  | Watch
  | Inspect
  | Peek
  | TypeText
  | HoldAll
  | AddBreakpoint
  | RemoveBreakpoint
  | ChangeValue
  | Go
  | Step
  | Detach;
