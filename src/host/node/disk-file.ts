/**
 * NodeDiskFile: a DiskFile by Node's functions, with locks and holes by Linux' system calls if
 * koffi is installed. Loaded by node-host.ts on demand.
 *
 * Node's thread pool performs the operations: four threads by default (UV_THREADPOOL_SIZE). Bytes
 * that the system has in memory are read without it (linux/cached-reads.ts).
 */

import { close, constants, fdatasync, fstat, open, read, realpath, write } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { UnfitFileError, type DiskFile, type DiskFileAccess } from '../disk-file.js';
import { NEVER_CACHED, readCached } from './linux/cached-reads.js';
import { lockFile } from './linux/file-locks.js';
import { canPunchHoles, punchHole } from './linux/file-holes.js';

const { O_CREAT, O_RDONLY, O_RDWR } = constants;
/** Opening a pipe would wait for its other end. Windows does not have the flag. */
const NO_WAIT = process.platform === 'win32' ? 0 : constants.O_NONBLOCK;
const FLAGS: Readonly<Record<DiskFileAccess, number>> = {
  read: O_RDONLY,
  write: O_RDWR,
  create: O_RDWR | O_CREAT,
};
/** Of a new file. The umask applies. */
const MODE = 0o666;

/**
 * The files that this process has open, by DiskFile.identity. 0: one writer, otherwise the number
 * of readers. Needed beside the locks for hosts that have none.
 */
const users = new Map<string, number>();

/** Rejects with Node's error, or with UnfitFileError. */
export async function openDiskFile(file: string, access: DiskFileAccess): Promise<DiskFile> {
  const fd = await promisify(open)(file, FLAGS[access] | NO_WAIT, MODE);
  try {
    const status = await promisify(fstat)(fd, { bigint: true });
    if (!status.isFile()) throw new UnfitFileError(file, 'not-regular');
    const isWriter = access !== 'read';
    const isLocked = lockFile(fd, isWriter);
    if (isLocked === 'in-use') throw new UnfitFileError(file, 'in-use');
    if (access === 'create' && status.size === 0n) await syncFolder(dirname(file));
    const path = await promisify(realpath)(file);
    const identity = `${status.dev}:${status.ino}`;
    const release = addUser(file, identity, isWriter);
    const use = { isWriter, isLocked: isLocked === 'locked', release };
    return new NodeDiskFile({ name: file, path, identity }, fd, Number(status.size), use);
  } catch (error) {
    await promisify(close)(fd);
    throw error;
  }
}

/** Throws UnfitFileError, or returns the function that removes the user. */
function addUser(file: string, key: string, isWriter: boolean): () => void {
  const others = users.get(key);
  if (others !== undefined && (isWriter || others === 0)) throw new UnfitFileError(file, 'in-use');
  users.set(key, isWriter ? 0 : (others ?? 0) + 1);
  return () => {
    const left = (users.get(key) ?? 0) - 1;
    if (left > 0) users.set(key, left);
    else users.delete(key);
  };
}

/** So that a new file is still in its folder after a power failure. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const fd = await promisify(open)(folder, O_RDONLY);
  try {
    await promisify(fdatasync)(fd);
  } finally {
    await promisify(close)(fd);
  }
}

/** How this process uses the file. `release` removes it from `users`. */
interface Use {
  readonly isWriter: boolean;
  readonly isLocked: boolean;
  readonly release: () => void;
}

class NodeDiskFile implements DiskFile {
  readonly name: string;
  readonly path: string;
  readonly identity: string;
  readonly isWritable: boolean;
  readonly isLocked: boolean;
  readonly #fd: number;
  readonly #release: () => void;
  #size: number;
  #canDeallocate: boolean;
  #mayBeCached = true;
  #syncFailure: Error | undefined;

  constructor(
    { name, path, identity }: Pick<DiskFile, 'name' | 'path' | 'identity'>,
    fd: number,
    size: number,
    { isWriter, isLocked, release }: Use,
  ) {
    this.name = name;
    this.path = path;
    this.identity = identity;
    this.#fd = fd;
    this.#size = size;
    this.isWritable = isWriter;
    this.isLocked = isLocked;
    this.#release = release;
    this.#canDeallocate = isWriter && canPunchHoles();
  }

  get size(): number {
    return this.#size;
  }

  get canDeallocate(): boolean {
    return this.#canDeallocate;
  }

  read(position: number, target: Uint8Array): Promise<number> {
    const cached = this.#readCached(position, target);
    if (cached === target.length) return Promise.resolve(cached);
    return new Promise((resolve, reject) => {
      const next = (at: number): void =>
        read(this.#fd, target, at, target.length - at, position + at, (error, count) => {
          if (error !== null) reject(error);
          else if (at + count === target.length) resolve(target.length);
          else if (count > 0) next(at + count);
          else {
            target.fill(0, at);
            resolve(at);
          }
        });
      next(cached);
    });
  }

  /** The number of bytes that are in `target` now. */
  #readCached(position: number, target: Uint8Array): number {
    const count = this.#mayBeCached ? readCached(this.#fd, position, target) : 0;
    if (count !== NEVER_CACHED) return count;
    this.#mayBeCached = false;
    return 0;
  }

  write(position: number, source: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (at: number): void =>
        write(this.#fd, source, at, source.length - at, position + at, (error, count) => {
          if (error !== null) reject(error);
          else if (count === 0 && source.length > 0) reject(new Error(`${this.name} takes no more bytes`));
          else if (at + count < source.length) next(at + count);
          else {
            this.#size = Math.max(this.#size, position + source.length);
            resolve();
          }
        });
      next(0);
    });
  }

  async deallocate(position: number, length: number): Promise<boolean> {
    if (!this.#canDeallocate) return false;
    if (await punchHole(this.#fd, position, length)) return true;
    // Mostly not on this file system. After any other error nothing is lost by not trying again.
    this.#canDeallocate = false;
    return false;
  }

  async sync(): Promise<void> {
    try {
      if (this.#syncFailure === undefined) await promisify(fdatasync)(this.#fd);
    } catch (error) {
      // Linux has dropped what it could not write, and would report success the next time.
      this.#syncFailure = error as Error;
    }
    if (this.#syncFailure !== undefined) throw this.#syncFailure;
  }

  async close(): Promise<void> {
    await promisify(close)(this.#fd).finally(this.#release);
  }
}
