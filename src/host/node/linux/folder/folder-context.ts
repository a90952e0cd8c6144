/**
 * FolderContext: what the files of one shared folder have in common. `File` is HeldFile, which
 * imports this file.
 *
 * Called by: held-file.ts, folder-node.ts and shared-folder.ts.
 */

import { readFile, type FileHandle } from 'node:fs/promises';
import { FolderError } from '../../../shared-folder.js';
import { FileIdentities } from './file-status.js';
import type { FolderHandles } from './folder-handles.js';
import { systemCall } from './system-call.js';

/** Of open(2), the same on all processors that Node supports. Node does not name it. */
export const O_PATH = 0o1000_0000;

export class FolderContext<File> {
  readonly handles: FolderHandles;
  readonly identities = new FileIdentities();
  /** The files that are held: HeldFile adds and removes itself. */
  readonly held = new Set<File>();
  readonly #isWritable: boolean;
  /** The device and the mount of the root. */
  #root: { readonly device: bigint; readonly mount: string } | undefined;

  constructor(handles: FolderHandles, isWritable: boolean) {
    this.handles = handles;
    this.#isWritable = isWritable;
  }

  assertWritable(): void {
    if (!this.#isWritable) throw new FolderError('EROFS');
  }

  /**
   * Rejects with EXDEV if the file is of another mounted file system than the root, which is the
   * first file that is checked: a folder with `/proc` or `/dev` in it does not share these.
   */
  async checkMount(handle: FileHandle, device: bigint): Promise<void> {
    if (this.#root === undefined) this.#root = { device, mount: await mountOf(handle) };
    else if (device !== this.#root.device && (await mountOf(handle)) !== this.#root.mount)
      throw new FolderError('EXDEV');
  }
}

/** The number of the mount through which a descriptor was opened: proc(5), fdinfo. */
async function mountOf(handle: FileHandle): Promise<string> {
  const info = await systemCall(() => readFile(`/proc/self/fdinfo/${handle.fd}`, 'latin1'));
  const [, mount] = /^mnt_id:\s*(\d+)$/m.exec(info) ?? [];
  if (mount === undefined) throw new FolderError('EXDEV', 'the mount is unknown');
  return mount;
}
