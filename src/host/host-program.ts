/**
 * HostProgram: a program of the machine that was started with a stream to this process.
 *
 * Called by: device-model/network/passt-port.ts. Implementation: node/programs.ts.
 */

import type { ByteStream } from './byte-stream.js';

export interface HostProgram {
  /** The other end of the program's descriptor PROGRAM_STREAM. */
  readonly stream: ByteStream;
  /** Resolves when the program has ended. */
  readonly ended: Promise<HostProgramEnd>;
  /** Asks it to end, and ends it if it does not. `ended` resolves afterwards. */
  end(): void;
}

export interface HostProgramEnd {
  /** `status 1` or `signal SIGKILL`. */
  readonly how: string;
  /** The last lines of the program's output. */
  readonly lastLines: string;
}

/** The number of the stream's descriptor in the program. */
export const PROGRAM_STREAM = 3;
