/**
 * SharedFolder: a folder of the host and what lies below it, reached by handles instead of paths.
 *
 * Called by: device-model/virtio/share/; cli/share-option.ts, for the errors. Implementation:
 * node/linux/folder/shared-folder.ts.
 * Callers must: release each node and close each file that they get, then close the folder.
 *
 * No operation leaves the folder. A name is one component, and neither `..` nor a symbolic link is
 * followed. A node is a file, not a path: it stays the same one while others rename its folders. So
 * no time passes between check and use. Devices, FIFOs and sockets can be looked at, renamed and
 * removed, and are never opened.
 *
 * All promises reject with FolderError.
 */

import { LinuxErrno, type LinuxErrnoName } from './linux-errno.js';

/** An operation that the folder, its file system or the host refuses. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
  /** Linux' error number, positive. */
  readonly errno: number;

  constructor(errno: LinuxErrnoName | number, message?: string, cause?: unknown) {
    super(message ?? `errno ${errno}`, cause === undefined ? undefined : { cause });
    this.errno = typeof errno === 'number' ? errno : LinuxErrno[errno];
  }
}

/**
 * The host cannot share a folder as safely as `SharedFolder` promises. The message has the reason.
 */
export class FolderUnavailableError extends Error {
  override readonly name = 'FolderUnavailableError';
}

export interface FolderOptions {
  /** If false, each operation that changes something is refused with EROFS. Default: false. */
  readonly isWritable?: boolean;
}

export type FileKind = 'directory' | 'file' | 'link' | 'other';

export interface FileStatus {
  /** 64 bits, unique in the folder if it has at most 255 file systems. */
  readonly id: bigint;
  readonly kind: FileKind;
  /** With the bits of the type, as stat(2). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: bigint;
  /** Of a device node: its number. */
  readonly device: bigint;
  readonly size: bigint;
  readonly blockSize: bigint;
  /** In units of 512 bytes. */
  readonly blocks: bigint;
  /** In ns since 1970, as are the other times. */
  readonly accessedNs: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** As statfs(2). */
export interface FolderSpace {
  readonly blockSize: bigint;
  readonly blocks: bigint;
  readonly freeBlocks: bigint;
  readonly availableBlocks: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
}

export interface FileAccess {
  readonly reads: boolean;
  readonly writes: boolean;
  /** Makes the file empty. */
  readonly truncates?: boolean;
  /** Each write goes to the end. */
  readonly appends?: boolean;
  /** Each write is on disk when it resolves. */
  readonly isSynchronous?: boolean;
}

export interface CreateOptions extends FileAccess {
  /** Permission bits. The host's umask applies. */
  readonly mode: number;
  /** Refuses a file that exists. Default: it is opened. */
  readonly isExclusive?: boolean;
}

/** What is absent stays as it is. */
export interface FileChanges {
  /** Permission bits. Those that run a program as its owner or group are dropped. */
  readonly mode?: number | undefined;
  readonly size?: number | undefined;
  /** In seconds since 1970, as is the other one. */
  readonly accessed?: number | undefined;
  readonly modified?: number | undefined;
}

export interface SharedFolder {
  readonly root: FolderNode;
  /** Descriptors that are open. */
  readonly openHandles: number;
  space(): Promise<FolderSpace>;
  /** Closes the root. Resolves when every descriptor that was released is closed. */
  close(): Promise<void>;
}

/**
 * A file of any kind. After the last `release` its methods must not be called: those that need the
 * file reject with EBADF. Calls that are under way by then are finished.
 */
export interface FolderNode {
  readonly kind: FileKind;
  /**
   * The directory in which it was found or to which this folder moved it. Undefined for the root.
   */
  readonly parent: FolderNode | undefined;
  /** Adds a reference, which has to be released. */
  retain(): this;
  release(): void;
  status(): Promise<FileStatus>;
  /** Opens a file, which must be regular: EISDIR, ELOOP and ENXIO for others. */
  open(access: FileAccess): Promise<FolderFile>;
  change(changes: FileChanges): Promise<void>;
  /** The text of a symbolic link. */
  target(): Promise<Uint8Array>;
  /** Removes the name by which it was found. Rejects with ESTALE if another file has it now. */
  remove(): Promise<void>;
  /** Adds a name for this file. ESTALE as `remove`. */
  linkTo(directory: FolderNode, name: Uint8Array): Promise<void>;
  /** Renames it. ESTALE as `remove`. */
  moveTo(directory: FolderNode, name: Uint8Array): Promise<void>;

  // Of directories. Other nodes reject with ENOTDIR.

  /** The file with this name. The caller has to release it. */
  child(name: Uint8Array): Promise<FolderNode>;
  statusOf(name: Uint8Array): Promise<FileStatus>;
  /** Rejects with EACCES if it cannot be listed. */
  checkListable(): Promise<void>;
  /**
   * Calls `take` with each name but `.` and `..`. A throw of it ends the listing, which rejects
   * with that error, as a FolderError.
   */
  list(take: (name: Uint8Array) => void): Promise<void>;
  /** Creates a regular file, or opens it if it exists. The caller has to release both. */
  create(name: Uint8Array, options: CreateOptions): Promise<{ readonly node: FolderNode; readonly file: FolderFile }>;
  makeDirectory(name: Uint8Array, mode: number): Promise<FileStatus>;
  makeLink(name: Uint8Array, target: Uint8Array): Promise<FileStatus>;
  rename(name: Uint8Array, directory: FolderNode, newName: Uint8Array): Promise<void>;
  unlink(name: Uint8Array): Promise<void>;
  removeDirectory(name: Uint8Array): Promise<void>;
}

/** An open regular file. */
export interface FolderFile {
  /** Returns how many bytes there were: 0 at the end. */
  read(position: number, target: Uint8Array): Promise<number>;
  /** Returns how many bytes were written. */
  write(position: number, bytes: Uint8Array): Promise<number>;
  truncate(size: number): Promise<void>;
  /** Resolves when the file is on disk. `dataOnly`: without what is not needed to read it. */
  sync(dataOnly: boolean): Promise<void>;
  /** Operations that are under way are finished first. */
  close(): void;
}
