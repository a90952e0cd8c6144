/**
 * FileBackend: a port whose output goes to a file, for `--port NAME=FILE`. The guest reads nothing
 * from it.
 *
 * Called by: VirtioConsole, as a ConsoleBackend.
 */

import { host } from '../../host/current.js';
import type { OutputFile } from '../../host/output-file.js';
import type { ConsoleBackend, ConsolePortHandle } from '../../device-model/virtio/console/console-backend.js';
import { UpcallError } from '../../io-request/upcall-error.js';

/** Bytes that wait for the disk. With more, the guest waits. */
export const MAX_WAITING_FILE_BYTES = 256 * 1024;

export class FileBackend implements ConsoleBackend {
  readonly #path: string;
  readonly #file: OutputFile;
  readonly #report: (message: string) => void;
  #port: ConsolePortHandle | undefined;
  #waiting: Uint8Array[] = [];
  /** Bytes that are not written yet, also those that are being written. */
  #waitingBytes = 0;
  #isFull = false;
  #hasFailed = false;
  #writing: Promise<void> | undefined;

  /**
   * Creates the file, or empties it. `option`: for messages. Rejects with OPTION_INVALID if it
   * cannot be written.
   */
  static async create(option: string, path: string, report: (message: string) => void): Promise<FileBackend> {
    try {
      return new FileBackend(path, await host.createFile(path), report);
    } catch (cause) {
      throw new UpcallError('OPTION_INVALID', `${option}: cannot write ${path} (${reasonOf(cause)})`, {
        remedy: 'Give a file in a folder that you can write to, for example --port log=/tmp/guest.log',
        cause,
      });
    }
  }

  constructor(path: string, file: OutputFile, report: (message: string) => void) {
    this.#path = path;
    this.#file = file;
    this.#report = report;
  }

  connect(port: ConsolePortHandle): void {
    this.#port = port;
    port.setOpen(true);
  }

  write(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, MAX_WAITING_FILE_BYTES - this.#waitingBytes);
    this.#isFull = taken < bytes.length;
    if (taken === 0) return 0;
    this.#waiting.push(bytes.slice(0, taken));
    this.#waitingBytes += taken;
    this.#writing ??= this.#writeWaiting();
    return taken;
  }

  room(): void {
    // It has nothing for the guest.
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close().catch((error: unknown) => this.#fail(error));
  }

  async #writeWaiting(): Promise<void> {
    // Bytes of one callback are written together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const bytes = Buffer.concat(this.#waiting);
      this.#waiting = [];
      try {
        if (!this.#hasFailed) await this.#file.write(bytes);
      } catch (error) {
        this.#fail(error);
      }
      this.#waitingBytes -= bytes.length;
      if (this.#isFull) {
        this.#isFull = false;
        this.#port?.resume();
      }
    }
    this.#writing = undefined;
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#report(`${this.#path}: writing failed (${reasonOf(error)}); its port is removed from the guest`);
    this.#port?.unplug();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
