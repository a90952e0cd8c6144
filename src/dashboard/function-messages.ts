/**
 * Function messages: a PCI function in the reply to `peek`, with its queues if it is a virtio card.
 * protocol.ts describes the messages and exports these types to both sides. The names of fields and
 * bits are those of the specifications, in every language.
 */

/** A bit with its name, and whether it is set. */
export interface BitRow {
  readonly name: string;
  readonly isSet: boolean;
}

export interface BarRow {
  readonly bar: number;
  readonly kind: 'ports' | 'memory' | 'memory64';
  readonly isPrefetchable: boolean;
  readonly address: string;
  /** Null: unknown. */
  readonly size: string | null;
  /** Whether an access there reaches the function. Null: unknown. */
  readonly isDecoded: boolean | null;
}

export interface CapabilityRow {
  readonly at: string;
  readonly name: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** An entry of a MSI-X table. */
export interface VectorRow {
  readonly vector: number;
  readonly address: string;
  readonly data: string;
  readonly isMasked: boolean;
  readonly isPending: boolean;
}

export interface DescriptorRow {
  readonly index: number;
  readonly address: string;
  readonly length: number;
  /** The names of the flags, and in hexadecimal those without a name. */
  readonly flags: readonly string[];
  /** Of a split ring the next descriptor, of a packed one the buffer's ID. */
  readonly link: number;
  /** 0: it begins a chain, or is in a packed ring. 1: it follows. 2: it is in an indirect table. */
  readonly level: number;
}

export interface QueueRow {
  readonly index: number;
  readonly size: number;
  readonly isEnabled: boolean;
  readonly isPacked: boolean;
  readonly descriptors: string;
  readonly driver: string;
  readonly device: string;
  readonly indexes: readonly (readonly [name: string, value: number])[];
  readonly shown: readonly DescriptorRow[];
}

export interface VirtioRow {
  readonly status: readonly BitRow[];
  readonly features: readonly BitRow[];
  readonly queues: readonly QueueRow[];
  /** How many further queues are not shown. */
  readonly hiddenQueues: number;
}

export interface FunctionRow {
  /** `00:01.0`. */
  readonly address: string;
  readonly name: string;
  /** `1af4:1042`. */
  readonly ids: string;
  readonly subsystem: string;
  /** `01 00 00`: class, subclass, programming interface. */
  readonly class: string;
  readonly revision: string;
  readonly command: readonly BitRow[];
  readonly status: readonly BitRow[];
  readonly bars: readonly BarRow[];
  readonly capabilities: readonly CapabilityRow[];
  /** The first ones, if the table is long (SHOWN_VECTORS of device-model/pci/function-view.ts). */
  readonly vectors: readonly VectorRow[];
  /** Null: it is not a virtio card. */
  readonly virtio: VirtioRow | null;
}
