/**
 * CaptureFile: writes packets to a pcapng file, as fast as the disk takes them, in bounded memory.
 *
 * Called by: CapturePort; the command line, which reports `problem`.
 * Threads: the card's: that of the Service VM, or one of its own (placement/).
 */

import { host } from '../../host/current.js';
import type { OutputFile } from '../../host/output-file.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { fileHeader, packetBlock, statisticsBlock, type Direction } from './pcapng.js';

/** Bytes that wait for the disk. Further packets are dropped and counted. */
export const MAX_WAITING_CAPTURE_BYTES = 4 << 20;

export class CaptureFile {
  readonly #path: string;
  readonly #file: OutputFile;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #packets = 0;
  #dropped = 0;
  #error: unknown;
  #closing: Promise<void> | undefined;

  /**
   * Creates the file, or replaces it. `interfaceName` names the card in it. Rejects with
   * OPTION_INVALID if it cannot be written.
   */
  static async create(path: string, interfaceName: string): Promise<CaptureFile> {
    let file: OutputFile | undefined;
    try {
      file = await host.createFile(path);
      await file.write(fileHeader(interfaceName));
      return new CaptureFile(path, file);
    } catch (cause) {
      await file?.close().catch(() => undefined);
      throw new UpcallError('OPTION_INVALID', `cannot write ${path} (${reasonOf(cause)})`, {
        remedy: 'Give a file in a folder that you can write to, for example pcap=/tmp/guest.pcapng',
        cause,
      });
    }
  }

  /** Callers have written the header to `file`. */
  constructor(path: string, file: OutputFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Packets that were added. */
  get packets(): number {
    return this.#packets;
  }

  /** Those of them that were dropped: too many bytes waited for the disk, or writing had failed. */
  get dropped(): number {
    return this.#dropped;
  }

  /** What the operator should know at the end, or undefined: packets that are missing, and why. */
  get problem(): string | undefined {
    if (this.#error !== undefined)
      return `${this.#path}: writing failed (${reasonOf(this.#error)}); the last packets are missing`;
    if (this.#dropped === 0) return undefined;
    return `${this.#path}: ${this.#dropped} of ${this.#packets} packets are missing, because the disk was too slow`;
  }

  /** The bytes of `frame` are copied. Does nothing after `close`. */
  add(frame: Uint8Array, direction: Direction): void {
    if (this.#closing !== undefined) return;
    this.#packets++;
    if (this.#error !== undefined || this.#waitingBytes >= MAX_WAITING_CAPTURE_BYTES) this.#dropped++;
    else this.#write(packetBlock(frame, direction, nowUs()));
  }

  /** Writes what waits, and ends the file. Never rejects: see `problem`. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (this.#error === undefined) this.#write(statisticsBlock(this.#packets, this.#dropped, nowUs()));
    await this.#writing;
    await this.#file.close().catch((error: unknown) => (this.#error ??= error));
  }

  #write(block: Uint8Array): void {
    this.#waiting.push(block);
    this.#waitingBytes += block.length;
    this.#writing ??= this.#writeWaiting();
  }

  /** Packets of one callback are written together. */
  async #writeWaiting(): Promise<void> {
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const bytes = joined(this.#waiting);
      this.#waiting = [];
      try {
        await this.#file.write(bytes);
      } catch (error) {
        this.#error = error;
        this.#waiting = [];
      }
      // Now, because until now the bytes have taken memory.
      this.#waitingBytes = this.#waiting.reduce((sum, { length }) => sum + length, 0);
    }
    this.#writing = undefined;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

const nowUs = (): number => Math.floor((performance.timeOrigin + performance.now()) * 1000);
