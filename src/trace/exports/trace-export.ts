/**
 * TraceExport: what every format is to the one who writes the file: moves in, bytes out, in pieces.
 */

import type { Move } from '../move.js';

export interface TraceExport {
  /** The bytes that are ready; undefined while it still collects. */
  add(move: Move): Uint8Array | undefined;
  /** The rest, when there are no more moves. Once. */
  end(): Uint8Array;
}
