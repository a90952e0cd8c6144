/** TraceExport: the interface of a trace format: moves in, bytes out, in pieces. */

import type { Move } from '../move.js';

export interface TraceExport {
  /** Takes a move. Returns the bytes that are ready, in order. Undefined if no bytes are ready. */
  add(move: Move): Uint8Array | undefined;
  /** Returns the remaining bytes. Call once, after the last move. */
  end(): Uint8Array;
}
