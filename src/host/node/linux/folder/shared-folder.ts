/**
 * openFolder: a SharedFolder of Linux.
 *
 * Called by: ../../node-host.ts, on demand.
 */

import { constants } from 'node:fs';
import { realpath, stat, statfs } from 'node:fs/promises';
import {
  FolderUnavailableError,
  type FolderOptions,
  type FolderSpace,
  type SharedFolder,
} from '../../../shared-folder.js';
import { FolderContext, O_PATH } from './folder-context.js';
import { FolderHandles } from './folder-handles.js';
import { LinuxFolderNode } from './folder-node.js';
import { HeldFile } from './held-file.js';
import { systemCall } from './system-call.js';

/** What statfs(2) calls a proc file system. */
const PROC_SUPER_MAGIC = 0x9fa0;

/**
 * Opens the folder at `path`, which may be or contain links. Rejects with FolderUnavailableError if
 * this host cannot share it safely, and with FolderError if it is not a folder that can be opened.
 */
export async function openFolder(path: string, { isWritable = false }: FolderOptions = {}): Promise<SharedFolder> {
  if (process.platform !== 'linux')
    throw new FolderUnavailableError('only Linux can open files relative to an open folder, in /proc/self/fd');
  const handles = await FolderHandles.make();
  const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const handle = await handles.open(await systemCall(() => realpath(path)), flags);
  const root = await HeldFile.make(new FolderContext(handles, isWritable), handle);
  try {
    await checkProc(handle.fd);
  } catch (error) {
    root.release();
    await handles.settled();
    throw error;
  }
  return new LinuxFolder(root);
}

/** A container may have no /proc, or other files in its place. */
async function checkProc(fd: number): Promise<void> {
  try {
    const [{ type }, byNumber, byPath] = await Promise.all([
      statfs('/proc/self/fd'),
      stat(`/proc/self/fd/${fd}`, { bigint: true }),
      stat(`/proc/self/fd/${fd}/.`, { bigint: true }),
    ]);
    if (type === PROC_SUPER_MAGIC && byNumber.ino === byPath.ino) return;
  } catch (error) {
    throw new FolderUnavailableError('/proc/self/fd cannot be used', { cause: error });
  }
  throw new FolderUnavailableError('/proc is not the proc file system');
}

class LinuxFolder implements SharedFolder {
  readonly root: LinuxFolderNode;
  readonly #held: HeldFile;
  #isClosed = false;

  constructor(held: HeldFile) {
    this.#held = held;
    this.root = new LinuxFolderNode(held);
  }

  get openHandles(): number {
    return this.#held.context.handles.count;
  }

  space(): Promise<FolderSpace> {
    return this.#held.hold(async (path) => {
      const space = await statfs(path, { bigint: true });
      return {
        blockSize: space.bsize,
        blocks: space.blocks,
        freeBlocks: space.bfree,
        availableBlocks: space.bavail,
        files: space.files,
        freeFiles: space.ffree,
      };
    });
  }

  async close(): Promise<void> {
    if (!this.#isClosed) this.#held.release();
    this.#isClosed = true;
    await this.#held.context.handles.settled();
  }
}
