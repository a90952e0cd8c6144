/**
 * TraceFiles: the files that `upcall trace` and `upcall hsm --trace` write.
 *
 * - Called by: cli/commands/trace.ts and cli/vm-trace-file.ts, with each move (change of a slot's
 *   state) and each interrupt event.
 * - A file is written synchronously in large chunks, and each second what there is. The Service VM
 *   and the guest wait for the disk, so nothing is lost and memory is bounded.
 * - Standard output is usually a pipe to another program. `add` waits for it without stopping the
 *   guest. Meanwhile the trace may lose moves, which its reader counts.
 */

import { closeSync, openSync, writeSync } from 'node:fs';
import { UpcallError } from '../../io-request/upcall-error.js';
import { errorText } from '../../io-request/error-text.js';
import type { TraceExport } from '../../trace/exports/trace-export.js';
import { isInterrupt, type InterruptEvent } from '../../trace/interrupt-reader.js';
import type { Move } from '../../trace/move.js';

/** How many bytes of a file are collected before a write. */
const CHUNK_BYTES = 256 * 1024;
/** When fewer bytes are written, too: for `tail -f`, and for a process that is killed. */
const FLUSH_MS = 1000;

/** A file to write, and its format. */
export interface TraceTarget {
  /** A path, or `-` for standard output. */
  readonly path: string;
  readonly trace: TraceExport;
}

interface Output {
  /** Undefined if the bytes are written. Otherwise resolves when more may be written. */
  write(bytes: Uint8Array): Promise<void> | undefined;
  close(): void;
}

/** A file that is being written. */
interface OpenTarget {
  readonly output: Output;
  readonly trace: TraceExport;
  readonly chunkBytes: number;
  /** Pieces that are not written yet, and their total length. */
  chunks: Uint8Array[];
  bytes: number;
}

export class TraceFiles {
  readonly #targets: readonly OpenTarget[];
  readonly #timer: NodeJS.Timeout;
  /** Of a write by the timer. The next call rejects with it. */
  #error: Error | undefined;

  /** Creates the files. Throws OPTION_INVALID if one cannot be created. */
  constructor(targets: readonly TraceTarget[]) {
    this.#targets = targets.map(({ path, trace }) => ({
      output: path === '-' ? standardOutput() : file(path),
      trace,
      // Standard output: the reader of a pipe expects each move at once.
      chunkBytes: path === '-' ? 1 : CHUNK_BYTES,
      chunks: [],
      bytes: 0,
    }));
    this.#timer = setInterval(() => this.#flushAll(), FLUSH_MS).unref();
  }

  /** Adds an event to each file whose format has it. Rejects as `close` does. */
  async add(event: Move | InterruptEvent): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    for (const target of this.#targets) {
      const { trace } = target;
      this.#append(target, isInterrupt(event) ? trace.addInterrupt?.(event) : trace.add(event));
      if (target.bytes >= target.chunkBytes) await this.#flush(target);
    }
  }

  /** Ends the files. Rejects with OPTION_INVALID if a write fails. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#error !== undefined) throw this.#error;
    for (const target of this.#targets) {
      this.#append(target, target.trace.end());
      await this.#flush(target);
      target.output.close();
    }
  }

  #append(target: OpenTarget, bytes: Uint8Array | undefined): void {
    if (bytes === undefined || bytes.length === 0) return;
    target.chunks.push(bytes);
    target.bytes += bytes.length;
  }

  /** Standard output never has bytes left here. */
  #flushAll(): void {
    for (const target of this.#targets)
      this.#flush(target).catch((error: unknown) => {
        this.#error = error as Error;
        clearInterval(this.#timer);
      });
  }

  async #flush(target: OpenTarget): Promise<void> {
    if (target.bytes === 0) return;
    const bytes = Buffer.concat(target.chunks, target.bytes);
    target.chunks = [];
    target.bytes = 0;
    await target.output.write(bytes);
  }
}

function file(path: string): Output {
  const handle = withPath(path, () => openSync(path, 'w'));
  return {
    write: (bytes) =>
      withPath(path, () => {
        for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at);
        return undefined;
      }),
    close: () => closeSync(handle),
  };
}

/** Does `work`, and throws its error as OPTION_INVALID with the path. */
function withPath<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UpcallError('OPTION_INVALID', `cannot write ${path}: ${errorText(error).message}`, {
      remedy: 'Give a writable path, on a disk with free space',
      cause: error,
    });
  }
}

function standardOutput(): Output {
  let isBroken = false;
  // The reader has seen enough, for example `head`. That is not an error.
  process.stdout.on('error', () => (isBroken = true));
  return {
    write: (bytes) => {
      if (isBroken || process.stdout.write(bytes)) return undefined;
      return new Promise<void>((resolve) => {
        const done = (): void => {
          process.stdout.off('drain', done).off('error', done);
          resolve();
        };
        process.stdout.on('drain', done).on('error', done);
      });
    },
    close: () => undefined,
  };
}
