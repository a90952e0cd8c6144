/**
 * HeldFile: a file of any kind below a shared folder, held by a descriptor that is for its place
 * only (O_PATH): no driver is called, and no FIFO waits.
 *
 * Called by: folder-node.ts and shared-folder.ts.
 *
 * Node has no openat(2). `/proc/self/fd/N/name` is the same: the system goes from the directory
 * behind descriptor N, whatever its path is now, to `name`. With O_NOFOLLOW that opens a link
 * itself. `/proc/self/fd/N` names the file behind N, and ends there if that is a link. See
 * docs/decisions/0030-folders-by-descriptors.md.
 *
 * A descriptor must not be closed while a path with its number is in use: the number may be another
 * file's by then. So paths are lent to a function, and the file is held until it is done.
 *
 * Sources: openat(2), proc(5), path_resolution(7), symlink(7).
 */

import { constants } from 'node:fs';
import { lstat, readlink, type FileHandle } from 'node:fs/promises';
import { FolderError, type FileKind, type FileStatus } from '../../../shared-folder.js';
import { kindOf } from './file-status.js';
import { O_PATH, type FolderContext } from './folder-context.js';
import { checkName, systemCall } from './system-call.js';

/** Identifies a file. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

export class HeldFile {
  readonly kind: FileKind;
  /** The text of a link, which never changes. */
  readonly target: Buffer | undefined;
  readonly context: FolderContext<HeldFile>;
  readonly #handle: FileHandle;
  readonly #identity: Identity;
  #parent: HeldFile | undefined;
  /** The name in `#parent`. Undefined for the root, and if it is no longer known. */
  #name: Buffer | undefined;
  /** Calls of `release` until it is closed: one for its maker, and one for each `retain`. */
  #holders = 1;

  private constructor(
    context: FolderContext<HeldFile>,
    handle: FileHandle,
    identity: Identity,
    found: { readonly kind: FileKind; readonly target: Buffer | undefined; readonly parent: HeldFile | undefined },
    name: Buffer | undefined,
  ) {
    this.context = context;
    this.#handle = handle;
    this.#identity = identity;
    this.kind = found.kind;
    this.target = found.target;
    this.#parent = found.parent?.retain();
    this.#name = name;
    context.held.add(this);
  }

  /**
   * Takes over `handle`, of O_PATH, also if it rejects. The file was found as `name` in `parent`.
   * The root has neither.
   */
  static async make(
    context: FolderContext<HeldFile>,
    handle: FileHandle,
    parent?: HeldFile,
    name?: Buffer,
  ): Promise<HeldFile> {
    try {
      const stats = await systemCall(() => handle.stat({ bigint: true }));
      await context.checkMount(handle, stats.dev);
      const kind = kindOf(stats);
      const isFound = parent !== undefined && name !== undefined;
      const target = kind === 'link' && isFound ? await parent.#readLink(name) : undefined;
      return new HeldFile(context, handle, { dev: stats.dev, ino: stats.ino }, { kind, target, parent }, name);
    } catch (error) {
      context.handles.close(handle);
      throw error;
    }
  }

  get parent(): HeldFile | undefined {
    return this.#parent;
  }

  retain(): this {
    if (this.#holders === 0) throw new FolderError('EBADF');
    this.#holders++;
    return this;
  }

  release(): void {
    // A loop: there may be as many parents as descriptors.
    let parent = this.#releaseOne();
    while (parent !== undefined) parent = parent.#releaseOne();
  }

  async status(): Promise<FileStatus> {
    return this.context.identities.status(await systemCall(() => this.#handle.stat({ bigint: true })));
  }

  /**
   * Runs `act` with a path of this file, whose descriptor stays open until then. Rejects with
   * FolderError.
   */
  async hold<T>(act: (path: string) => Promise<T>): Promise<T> {
    this.retain();
    try {
      return await systemCall(() => act(`/proc/self/fd/${this.#handle.fd}`));
    } finally {
      this.release();
    }
  }

  /** As `hold`, for a directory. Others reject with ENOTDIR. */
  async holdDirectory<T>(act: (path: string) => Promise<T>): Promise<T> {
    if (this.kind !== 'directory') throw new FolderError('ENOTDIR');
    return this.hold(act);
  }

  /** Runs `act` with the path of `name` in this directory. The caller must not follow a link. */
  async withName<T>(name: Uint8Array, act: (path: Buffer) => Promise<T>): Promise<T> {
    checkName(name);
    return this.holdDirectory((path) => act(Buffer.concat([Buffer.from(`${path}/`), name])));
  }

  /** Runs `act` with the place of this file. Rejects with ESTALE if it is not there any more. */
  async withPlace<T>(act: (path: Buffer, parent: HeldFile, name: Buffer) => Promise<T>): Promise<T> {
    const [parent, name] = [this.#parent, this.#name];
    if (parent === undefined) throw new FolderError('EBUSY', 'it is the root');
    if (name === undefined) throw new FolderError('ESTALE');
    return parent.withName(name, async (path) => {
      const { dev, ino } = await lstat(path, { bigint: true });
      if (dev !== this.#identity.dev || ino !== this.#identity.ino) throw new FolderError('ESTALE');
      return act(path, parent, name);
    });
  }

  /** The file with this name in this directory. */
  find(name: Uint8Array): Promise<HeldFile> {
    return this.withName(name, async (path) => {
      const handle = await this.context.handles.open(path, O_PATH | constants.O_NOFOLLOW);
      return HeldFile.make(this.context, handle, this, Buffer.from(name));
    });
  }

  /** Records the new place of a file that this folder has renamed. */
  renamed(name: Uint8Array, directory: HeldFile, newName: Uint8Array): void {
    for (const file of this.context.held) {
      const parent = file.#parent;
      if (parent !== undefined && parent.#isSame(this) && file.#name?.equals(name) === true)
        file.#move(directory, Buffer.from(newName));
    }
  }

  /** Returns the parent if it is to be released, too. */
  #releaseOne(): HeldFile | undefined {
    if (--this.#holders !== 0) return undefined;
    this.context.held.delete(this);
    this.context.handles.close(this.#handle);
    return this.#parent;
  }

  #readLink(name: Buffer): Promise<Buffer> {
    return this.withName(name, (path) => readlink(path, { encoding: 'buffer' }));
  }

  #isSame(other: HeldFile): boolean {
    return this.#identity.dev === other.#identity.dev && this.#identity.ino === other.#identity.ino;
  }

  /**
   * Gives the file its new place. If other processes moved directories, the new parent may seem to
   * lie in this file: then the place is unknown.
   */
  #move(parent: HeldFile, name: Buffer): void {
    for (let above: HeldFile | undefined = parent; above !== undefined; above = above.#parent)
      if (above === this) {
        this.#name = undefined;
        return;
      }
    const old = this.#parent;
    this.#parent = parent.retain();
    this.#name = name;
    old?.release();
  }
}
