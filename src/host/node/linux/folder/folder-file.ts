/**
 * LinuxFolderFile: an open regular file of a shared folder.
 *
 * Called by: folder-node.ts. Node finishes the operations of a FileHandle before it closes it.
 */

import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { FolderError, type FileAccess, type FolderFile } from '../../../shared-folder.js';
import type { FolderHandles } from './folder-handles.js';
import { systemCall } from './system-call.js';

/** Open flags of a regular file. The open never waits. */
export function openFlags(access: FileAccess): number {
  const { O_RDONLY, O_WRONLY, O_RDWR, O_TRUNC, O_APPEND, O_SYNC, O_NONBLOCK, O_NOCTTY } = constants;
  return (
    (access.writes ? (access.reads ? O_RDWR : O_WRONLY) : O_RDONLY) |
    (access.truncates === true ? O_TRUNC : 0) |
    (access.appends === true ? O_APPEND : 0) |
    (access.isSynchronous === true ? O_SYNC : 0) |
    O_NONBLOCK |
    O_NOCTTY
  );
}

export class LinuxFolderFile implements FolderFile {
  readonly #handles: FolderHandles;
  readonly #handle: FileHandle;
  #isClosed = false;

  constructor(handles: FolderHandles, handle: FileHandle) {
    this.#handles = handles;
    this.#handle = handle;
  }

  async read(position: number, target: Uint8Array): Promise<number> {
    if (!Number.isSafeInteger(position + target.length)) return 0;
    const { bytesRead } = await systemCall(() => this.#handle.read(target, 0, target.length, position));
    return bytesRead;
  }

  async write(position: number, bytes: Uint8Array): Promise<number> {
    if (!Number.isSafeInteger(position + bytes.length)) throw new FolderError('EFBIG');
    const { bytesWritten } = await systemCall(() => this.#handle.write(bytes, 0, bytes.length, position));
    return bytesWritten;
  }

  truncate(size: number): Promise<void> {
    return systemCall(() => this.#handle.truncate(size));
  }

  sync(dataOnly: boolean): Promise<void> {
    return systemCall(() => (dataOnly ? this.#handle.datasync() : this.#handle.sync()));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#handles.close(this.#handle);
  }
}
