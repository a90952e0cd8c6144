/**
 * Register messages: what the server sends of a device for the page's device view.
 *
 * Called by: server-messages.ts, which has the other messages; protocol.ts, which exports all.
 */

import type { DirectionName } from '../io-request/io-request.js';
import type { FunctionRow } from './function-messages.js';

/** A register of a device, with its current value. */
export interface RegisterRow {
  readonly name: string;
  /** In bytes, as those of RegisterDescription (device-model/register-map.ts). */
  readonly offset: number;
  readonly size: number;
  readonly access: 'r' | 'w' | 'rw';
  readonly meaning: string;
  /**
   * Hexadecimal. Null: the register is write-only or cannot be peeked, or the device's thread did
   * not reply in time.
   */
  readonly value: string | null;
  readonly fields: readonly {
    /** The numbers of its first and last bit. */
    readonly bits: readonly [number, number];
    readonly name: string;
    readonly meaning: string;
  }[];
}

/** The first bytes of a range, as a read of each alone would return them. */
export interface RawBytes {
  /** The address of the first one. */
  readonly first: string;
  /** Null: the byte cannot be peeked. */
  readonly bytes: readonly (number | null)[];
}

/** The latest access to an address in one direction. */
export interface AccessRow {
  /** Hexadecimal. Of a PCI request `00:1f.2 register 0x10`. */
  readonly address: string;
  /** From the start of the client's range. Null: the address is in no range. */
  readonly offset: number | null;
  readonly direction: DirectionName;
  readonly size: number;
  readonly value: string;
  /** Since the start of the VM's trace. */
  readonly timeNs: number;
}

/** The reply to `peek`. */
export interface Registers {
  readonly kind: 'registers';
  readonly id: number;
  readonly client: number;
  /** The data sheet, or empty. */
  readonly source: string;
  /** False if the device's thread did not reply in time. */
  readonly isAnswered: boolean;
  readonly registers: readonly RegisterRow[];
  /** Only of a client without a register map: bytes of its ranges, if its device can be peeked. */
  readonly bytes: readonly RawBytes[];
  /** Only of a client without a register map. It begins with the first `peek` of the client. */
  readonly accesses: readonly AccessRow[];
  /** Of a card its PCI function, of the default client all of them. */
  readonly functions: readonly FunctionRow[];
}
