/**
 * TraceFiles: the files that `upcall trace` writes. A file is written at once and in large pieces:
 * while the disk works, the Service VM waits, and so does the guest, which is why nothing is lost
 * and nothing piles up. Standard output is another program's pipe; it is waited for without
 * stopping the guest, and what is lost then is counted.
 */

import { closeSync, openSync, writeSync } from 'node:fs';
import { UpcallError } from '../../io-request/upcall-error.js';
import { errorText } from '../../io-request/error-text.js';
import type { TraceExport } from '../../trace/exports/trace-export.js';
import type { Move } from '../../trace/move.js';

/** Bytes that are collected before they are written. */
const PIECE_BYTES = 256 * 1024;

export interface TraceTarget {
  /** A path, or `-` for standard output. */
  readonly path: string;
  readonly trace: TraceExport;
}

interface Output {
  write(bytes: Uint8Array): Promise<void> | undefined;
  close(): void;
}

interface Open {
  readonly output: Output;
  readonly trace: TraceExport;
  readonly pieceBytes: number;
  pieces: Uint8Array[];
  bytes: number;
}

export class TraceFiles {
  readonly #open: readonly Open[];

  /** Creates the files. Throws OPTION_INVALID when one cannot be. */
  constructor(targets: readonly TraceTarget[]) {
    this.#open = targets.map(({ path, trace }) => ({
      output: path === '-' ? standardOutput() : file(path),
      trace,
      // Who reads a pipe wants to see a move when it was made.
      pieceBytes: path === '-' ? 1 : PIECE_BYTES,
      pieces: [],
      bytes: 0,
    }));
  }

  /** Throws OPTION_INVALID when a file takes no more. */
  async add(move: Move): Promise<void> {
    for (const one of this.#open) {
      this.#put(one, one.trace.add(move));
      if (one.bytes >= one.pieceBytes) await this.#flush(one);
    }
  }

  async close(): Promise<void> {
    for (const one of this.#open) {
      this.#put(one, one.trace.end());
      await this.#flush(one);
      one.output.close();
    }
  }

  #put(one: Open, bytes: Uint8Array | undefined): void {
    if (bytes === undefined || bytes.length === 0) return;
    one.pieces.push(bytes);
    one.bytes += bytes.length;
  }

  async #flush(one: Open): Promise<void> {
    if (one.bytes === 0) return;
    const bytes = Buffer.concat(one.pieces, one.bytes);
    one.pieces = [];
    one.bytes = 0;
    await one.output.write(bytes);
  }
}

function file(path: string): Output {
  const handle = tried(path, () => openSync(path, 'w'));
  return {
    write: (bytes) =>
      tried(path, () => {
        for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at);
        return undefined;
      }),
    close: () => closeSync(handle),
  };
}

function tried<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UpcallError('OPTION_INVALID', `cannot write ${path}: ${errorText(error).message}`, {
      remedy: 'Give a path that can be written, on a disk with room',
      cause: error,
    });
  }
}

function standardOutput(): Output {
  let isBroken = false;
  // A reader that has seen enough is nothing to talk about.
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
