/**
 * FolderHandles: the descriptors of one shared folder. It limits and counts them, so that a guest
 * cannot use up those of the process.
 *
 * Called by: the other files of this folder.
 */

import { open, readFile, type FileHandle } from 'node:fs/promises';
import { FolderError } from '../../../shared-folder.js';
import { systemCall } from './system-call.js';

/** Descriptors of one folder. */
export const MAX_FOLDER_HANDLES = 8192;
/** Part of the process's descriptors that one folder may take. */
const SHARE_OF_LIMIT = 1 / 4;
/** Assumed if the process's limit cannot be read. */
const USUAL_LIMIT = 1024;

export class FolderHandles {
  readonly #limit: number;
  readonly #closing = new Set<Promise<void>>();
  #count = 0;

  private constructor(limit: number) {
    this.#limit = limit;
  }

  static async make(): Promise<FolderHandles> {
    const limits = await readFile('/proc/self/limits', 'latin1').catch(() => '');
    const soft = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? USUAL_LIMIT);
    return new FolderHandles(Math.min(MAX_FOLDER_HANDLES, Math.floor(soft * SHARE_OF_LIMIT)));
  }

  get count(): number {
    return this.#count;
  }

  /** As open(2). Rejects with ENFILE above the limit. */
  async open(path: string | Buffer, flags: number, mode?: number): Promise<FileHandle> {
    if (this.#count >= this.#limit) throw new FolderError('ENFILE', `${this.#limit} descriptors are held`);
    this.#count++;
    try {
      return await systemCall(() => open(path, flags, mode));
    } catch (error) {
      this.#count--;
      throw error;
    }
  }

  /** Closes it when the operations that Node has begun on it are finished. */
  close(handle: FileHandle): void {
    const closing = handle
      .close()
      // An error here is that of an earlier write, which `sync` has reported if the guest asked.
      .catch(() => undefined)
      .finally(() => {
        this.#count--;
        this.#closing.delete(closing);
      });
    this.#closing.add(closing);
  }

  /** Resolves when every descriptor that was given to `close` is closed. */
  async settled(): Promise<void> {
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }
}
