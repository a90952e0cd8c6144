/**
 * JsonLinesExport: the trace as JSON Lines, one object for each move (change of a slot's state) and
 * interrupt. A request that a client answers is four lines: PENDING, PROCESSING, COMPLETE, FREE.
 * Values of 8-byte accesses are hexadecimal strings: a JSON number has only 53 bits, and
 * JSON.stringify throws for a bigint. No other field is a bigint.
 *
 * Called by: the command line, for files named .jsonl; programs that write a trace of their own.
 */

import { hex } from '../../io-request/io-request.js';
import type { InterruptEvent } from '../interrupt-reader.js';
import type { Move } from '../move.js';
import { MoveRecords } from './move-record.js';
import type { TraceExport } from './trace-export.js';

export class JsonLinesExport implements TraceExport {
  readonly #vm: string;
  readonly #records: MoveRecords;
  readonly #encoder = new TextEncoder();

  constructor(vm: string) {
    this.#vm = vm;
    this.#records = new MoveRecords(vm);
  }

  add(move: Move): Uint8Array {
    const record = this.#records.record(move);
    const value = typeof record.value === 'bigint' ? hex(record.value) : record.value;
    return this.#encoder.encode(`${JSON.stringify({ ...record, value })}\n`);
  }

  /** Its field `interrupt` distinguishes it from a move. */
  addInterrupt(event: InterruptEvent): Uint8Array {
    return this.#encoder.encode(`${JSON.stringify({ vm: this.#vm, ...event })}\n`);
  }

  end(): Uint8Array {
    return new Uint8Array(0);
  }
}
