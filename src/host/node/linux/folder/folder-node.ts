/**
 * LinuxFolderNode: the operations on a file of a shared folder.
 *
 * Called by: shared-folder.ts, which creates the root; the users of a SharedFolder.
 *
 * Each path comes from a HeldFile. Calls that follow a link get the path of the file itself, which
 * is not followed further. The others get a name in a directory: lstat, mkdir, symlink, link,
 * rename, unlink, rmdir, and open with O_NOFOLLOW.
 */

import { constants } from 'node:fs';
import * as fs from 'node:fs/promises';
import { LinuxErrno } from '../../../linux-errno.js';
import {
  FolderError,
  type CreateOptions,
  type FileAccess,
  type FileChanges,
  type FileKind,
  type FileStatus,
  type FolderNode,
} from '../../../shared-folder.js';
import { LinuxFolderFile, openFlags } from './folder-file.js';
import { O_PATH } from './folder-context.js';
import { HeldFile } from './held-file.js';

/** Permission bits without those that run a program as its owner or group. */
const MODE_MASK = 0o1777;
/** Names of a directory that are read at a time. */
const LIST_BATCH = 128;

interface Created {
  readonly node: LinuxFolderNode;
  readonly file: LinuxFolderFile;
}

export class LinuxFolderNode implements FolderNode {
  readonly #held: HeldFile;

  /** Takes over the caller's reference to `held`. */
  constructor(held: HeldFile) {
    this.#held = held;
  }

  get kind(): FileKind {
    return this.#held.kind;
  }

  get parent(): LinuxFolderNode | undefined {
    return this.#held.parent && new LinuxFolderNode(this.#held.parent);
  }

  retain(): this {
    this.#held.retain();
    return this;
  }

  release(): void {
    this.#held.release();
  }

  status(): Promise<FileStatus> {
    return this.#held.hold(() => this.#held.status());
  }

  open(access: FileAccess): Promise<LinuxFolderFile> {
    return this.#held.hold(async (path) => {
      if (access.writes || access.truncates === true) this.#held.context.assertWritable();
      if (this.kind === 'directory') throw new FolderError('EISDIR');
      if (this.kind !== 'file') throw new FolderError(this.kind === 'link' ? 'ELOOP' : 'ENXIO');
      const { handles } = this.#held.context;
      return new LinuxFolderFile(handles, await handles.open(path, openFlags(access)));
    });
  }

  change({ mode, size, accessed, modified }: FileChanges): Promise<void> {
    return this.#write(async (path) => {
      if (size !== undefined) {
        if (this.kind !== 'file') throw new FolderError(this.kind === 'directory' ? 'EISDIR' : 'EINVAL');
        await fs.truncate(path, size);
      }
      if (mode !== undefined) await fs.chmod(path, mode & MODE_MASK);
      if (accessed === undefined && modified === undefined) return;
      const { accessedNs, modifiedNs } = await this.#held.status();
      await fs.utimes(path, timeOf(accessed ?? Number(accessedNs) / 1e9), timeOf(modified ?? Number(modifiedNs) / 1e9));
    });
  }

  target(): Promise<Uint8Array> {
    const { target } = this.#held;
    return target === undefined ? Promise.reject(new FolderError('EINVAL')) : Promise.resolve(target);
  }

  remove(): Promise<void> {
    return this.#write(() =>
      this.#held.withPlace((path) => (this.kind === 'directory' ? fs.rmdir(path) : fs.unlink(path))),
    );
  }

  linkTo(directory: FolderNode, name: Uint8Array): Promise<void> {
    // link(2) does not follow a link, so it needs a name of the file: that of its descriptor is a
    // link.
    return this.#write(() =>
      this.#held.withPlace((from) => heldBy(directory).withName(name, (to) => fs.link(from, to))),
    );
  }

  moveTo(directory: FolderNode, name: Uint8Array): Promise<void> {
    return this.#write(() =>
      this.#held.withPlace((_, parent, ownName) => new LinuxFolderNode(parent).rename(ownName, directory, name)),
    );
  }

  async child(name: Uint8Array): Promise<LinuxFolderNode> {
    return new LinuxFolderNode(await this.#held.find(name));
  }

  statusOf(name: Uint8Array): Promise<FileStatus> {
    const { identities } = this.#held.context;
    return this.#held.withName(name, async (path) => identities.status(await fs.lstat(path, { bigint: true })));
  }

  checkListable(): Promise<void> {
    return this.#held.holdDirectory((path) => fs.access(path, constants.R_OK));
  }

  list(take: (name: Uint8Array) => void): Promise<void> {
    return this.#held.holdDirectory(async (path) => {
      // Node's types do not know that names can be bytes here, too.
      const options = { encoding: 'buffer' as BufferEncoding, bufferSize: LIST_BATCH };
      for await (const { name } of await fs.opendir(path, options)) take(name as unknown as Buffer);
    });
  }

  create(name: Uint8Array, options: CreateOptions): Promise<Created> {
    return this.#writeName(name, async (path) => {
      // Exclusive in any case: what has the name may be a FIFO by now.
      const flags = openFlags(options) | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      const { handles } = this.#held.context;
      const handle = await handles.open(path, flags, options.mode & MODE_MASK).catch((error: unknown) => {
        if (options.isExclusive !== true && error instanceof FolderError && error.errno === LinuxErrno.EEXIST)
          return undefined;
        throw error;
      });
      if (handle === undefined) return this.#openExisting(name, options);
      const file = new LinuxFolderFile(handles, handle);
      try {
        const place = await handles.open(`/proc/self/fd/${handle.fd}`, O_PATH);
        const held = await HeldFile.make(this.#held.context, place, this.#held, Buffer.from(name));
        return { node: new LinuxFolderNode(held), file };
      } catch (error) {
        file.close();
        throw error;
      }
    });
  }

  makeDirectory(name: Uint8Array, mode: number): Promise<FileStatus> {
    return this.#writeName(name, async (path) => {
      await fs.mkdir(path, mode & MODE_MASK);
      return this.statusOf(name);
    });
  }

  makeLink(name: Uint8Array, target: Uint8Array): Promise<FileStatus> {
    return this.#writeName(name, async (path) => {
      await fs.symlink(Buffer.from(target), path);
      return this.statusOf(name);
    });
  }

  rename(name: Uint8Array, directory: FolderNode, newName: Uint8Array): Promise<void> {
    const to = heldBy(directory);
    return this.#writeName(name, (path) =>
      to.withName(newName, async (newPath) => {
        await fs.rename(path, newPath);
        this.#held.renamed(name, to, newName);
      }),
    );
  }

  unlink(name: Uint8Array): Promise<void> {
    return this.#writeName(name, (path) => fs.unlink(path));
  }

  removeDirectory(name: Uint8Array): Promise<void> {
    return this.#writeName(name, (path) => fs.rmdir(path));
  }

  async #openExisting(name: Uint8Array, access: FileAccess): Promise<Created> {
    const node = await this.child(name);
    try {
      return { node, file: await node.open(access) };
    } catch (error) {
      node.release();
      throw error;
    }
  }

  #write<T>(act: (path: string) => Promise<T>): Promise<T> {
    return this.#held.hold((path) => {
      this.#held.context.assertWritable();
      return act(path);
    });
  }

  #writeName<T>(name: Uint8Array, act: (path: Buffer) => Promise<T>): Promise<T> {
    return this.#write(() => this.#held.withName(name, act));
  }

  static heldBy(node: FolderNode): HeldFile {
    if (node instanceof LinuxFolderNode) return node.#held;
    throw new FolderError('EXDEV', 'the node is of another host');
  }
}

/** Node takes a number below 0 for the current time. */
const timeOf = (seconds: number): number | Date => (seconds < 0 ? new Date(seconds * 1000) : seconds);

const heldBy = (node: FolderNode): HeldFile => LinuxFolderNode.heldBy(node);
