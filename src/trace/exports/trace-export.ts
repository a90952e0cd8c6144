/**
 * TraceExport: the interface of a file format for traces. It takes moves (changes of a slot's
 * state, move.ts) and returns the file's bytes in pieces.
 *
 * Called by: cli/commands/trace-files.ts, for `upcall trace` and for `--trace` of `upcall hsm` and
 * `upcall serve`; programs that write a trace of their own.
 */

import type { InterruptEvent } from '../interrupt-reader.js';
import type { Move } from '../move.js';

export interface TraceExport {
  /** Takes a move. Returns the bytes that are ready, in order. Undefined if no bytes are ready. */
  add(move: Move): Uint8Array | undefined;
  /** Takes an interrupt. Default: the format has moves only. */
  addInterrupt?(event: InterruptEvent): Uint8Array | undefined;
  /** Returns the remaining bytes. Call once, after the last move. */
  end(): Uint8Array;
}
